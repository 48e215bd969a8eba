"""Stream: the endless training data, as a pure function. `batch(position, size)` is all there is; no loader state.

Any number of threads or replicas sees the same data, and a resumed run needs only the position.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from eyas.data.apply import APPLIER, mixed, render
from eyas.data.augment import Augment, Draws, draw
from eyas.data.batch import Batch
from eyas.data.draws import DRAWS_VERSION
from eyas.data.order import Order
from eyas.data.pack import Pack


@final
@dataclass(frozen=True, eq=False)
class Stream:
    """Training data without an end, `height` x `width`, augmented; element i of `order` is sample `rows[i]`.

    `rows` int64 (n,): the samples of this stream, as rows of `Samples`; `labels` and `weights`: columns of `Samples`,
    looked up by those rows. `order.rows` gives numbers in 0..n-1.
    """

    pack: Pack
    rows: NDArray[np.int64]
    labels: NDArray[np.int32] | NDArray[np.int64]
    order: Order
    augment: Augment
    seed: int
    height: int
    width: int
    weights: NDArray[np.float32] | None = None
    _slots: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_slots", self.pack.slots(self.rows))

    @property
    def epoch_size(self) -> int:
        """Samples in one epoch."""
        return self.order.length

    def batch(self, position: int, size: int, rows: slice | None = None) -> Batch:
        """Rows `rows` (all, when None) of the batch of `size` samples that begins at sample number `position`.

        Only the images of these rows are built, and of their partners when images are mixed. Slices put end to end
        are the whole batch, bit for bit.
        """
        start, stop, step = (rows or slice(None)).indices(size)
        assert step == 1, "a part of a batch is contiguous"
        numbers = self.order.rows(position, size)
        slots = self._slots[numbers]
        draws = draw(
            self.augment,
            self.seed,
            positions=np.arange(position, position + size, dtype=np.int64),
            samples=self.rows[numbers],
            epochs=self.order.epochs(position, size),
            shapes=self.pack.sizes[slots] if self.augment.resized_crop else np.empty((size, 2), np.int64),
            height=self.height,
            width=self.width,
        )
        wanted = np.arange(start, stop)
        index = self.rows[numbers[start:stop]]
        labels = self.labels[index].astype(np.int64)
        weights = None if self.weights is None else self.weights[index]
        mine = draws if (start, stop) == (0, size) else draws.take(slice(start, stop))
        if mine.partner is None:
            images = self._render(slots[start:stop], mine)
            return Batch(images, labels, index, position, size, start, weights=weights)
        needed = np.union1d(wanted, mine.partner)
        built = self._render(slots[needed], draws.take(needed))
        own = built[start:stop] if len(needed) == size else built[np.searchsorted(needed, wanted)]
        return Batch(
            mixed(own, built[np.searchsorted(needed, mine.partner)], mine),
            labels,
            index,
            position,
            size,
            start,
            partner_labels=self.labels[self.rows[numbers[mine.partner]]].astype(np.int64),
            own=mine.own,
            weights=weights,
        )

    def _render(self, slots: NDArray[np.int64], draws: Draws) -> NDArray[np.uint8]:
        return render(self.pack, slots, draws, height=self.height, width=self.width, pad=self.augment.pad_crop)

    def to_dict(self) -> dict[str, object]:
        """All that decides the pixels of this stream, but for the pack's own address: for the fingerprint of a run."""
        return {
            "applier": APPLIER,
            "draws": DRAWS_VERSION,
            "seed": self.seed,
            "height": self.height,
            "width": self.width,
            "order": self.order.to_dict(),
            "augment": self.augment.to_dict(),
        }
