"""Stream: the endless training data, as a pure function. `batch(position, size)` is all there is; no loader state.

Any number of threads or replicas sees the same data, and a resumed run needs only the position.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import final

import numpy as np
from numpy.typing import NDArray

from eyas.data.apply import APPLIER, Images, mixed, render
from eyas.data.augment import Augment, Draws, draw
from eyas.data.batch import Batch, Spent
from eyas.data.draws import DRAWS_VERSION, Draw, bits, key
from eyas.data.order import Order
from eyas.data.pack import Broken, Pack
from eyas.errors import DataError


@final
@dataclass(frozen=True)
class _Held:
    """Images that were decoded for one batch, by slot."""

    held: dict[int, NDArray[np.uint8]]
    channels: int
    uniform: None = None

    def at(self, slot: int) -> NDArray[np.uint8]:
        """uint8 (h, w, c)."""
        return self.held[slot]


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

    def batch(self, position: int, size: int, rows: slice | None = None, *, spent: Spent | None = None) -> Batch:
        """Rows `rows` (all, when None) of the batch of `size` samples that begins at sample number `position`.

        Only the images of these rows are built, and of their partners when images are mixed. Slices put end to end
        are the whole batch, bit for bit. `spent` is told how long gathering and augmentation took.
        """
        spent = spent or Spent()
        spent.mark()
        start, stop, step = (rows or slice(None)).indices(size)
        assert step == 1, "a part of a batch is contiguous"
        numbers = self.order.rows(position, size)
        slots = self._slots[numbers]
        spent.gathered()
        draws = self._draws(position, size, numbers, slots)
        needed = wanted = np.arange(start, stop)
        if draws.partner is not None:
            needed = np.union1d(wanted, draws.partner[start:stop])
        spent.augmented()
        images: Images = self.pack
        if self.pack.streams:
            images, found = self._decoded(numbers, needed, self.order.epochs(position, size))
            if (found != numbers).any():
                numbers, slots = found, self._slots[found]
                draws = self._draws(position, size, numbers, slots)  # boxes depend on the size of what is there
        self.pack.ask(slots[needed])
        index = self.rows[numbers[start:stop]]
        labels = self.labels[index].astype(np.int64)
        weights = None if self.weights is None else self.weights[index]
        mine = draws if (start, stop) == (0, size) else draws.take(slice(start, stop))
        spent.gathered()
        if mine.partner is None:
            pixels = self._render(images, slots[start:stop], mine, spent)
            return Batch(pixels, labels, index, position, size, start, weights=weights)
        built = self._render(images, slots[needed], draws.take(needed), spent)
        own = built[start:stop] if len(needed) == size else built[np.searchsorted(needed, wanted)]
        pixels = mixed(own, built[np.searchsorted(needed, mine.partner)], mine)
        spent.augmented()
        return Batch(
            pixels,
            labels,
            index,
            position,
            size,
            start,
            partner_labels=self.labels[self.rows[numbers[mine.partner]]].astype(np.int64),
            own=mine.own,
            weights=weights,
        )

    def _draws(self, position: int, size: int, numbers: NDArray[np.int64], slots: NDArray[np.int64]) -> Draws:
        return draw(
            self.augment,
            self.seed,
            positions=np.arange(position, position + size, dtype=np.int64),
            samples=self.rows[numbers],
            epochs=self.order.epochs(position, size),
            shapes=self.pack.sizes[slots] if self.augment.resized_crop else np.empty((size, 2), np.int64),
            height=self.height,
            width=self.width,
        )

    def _render(self, images: Images, slots: NDArray[np.int64], draws: Draws, spent: Spent) -> NDArray[np.uint8]:
        pad = self.augment.pad_crop
        return render(images, slots, draws, height=self.height, width=self.width, pad=pad, spent=spent)

    # ---- where nothing is kept ----------------------------------------------------------------------------------

    def _decoded(
        self, numbers: NDArray[np.int64], needed: NDArray[np.int64], epochs: NDArray[np.int64]
    ) -> tuple[Images, NDArray[np.int64]]:
        """The images of the rows `needed`, decoded now, and int64 (size,): the numbers of who they are in the end.

        One that became broken since it was looked at is replaced by the next of its class that is whole, counted from
        a place that depends on (seed, epoch, number) only: a function of bytes, whoever asks and in whatever order.
        """
        held: dict[int, NDArray[np.uint8]] = {}
        final = numbers.copy()
        for row in needed.tolist():
            number = int(numbers[row])
            slot = int(self._slots[number])
            if slot in held:
                continue
            try:
                held[slot] = self.pack.at(slot)
            except Broken as broken:
                final[row] = self._instead(number, int(epochs[row]), held, broken)
        return _Held(held, self.pack.channels), final

    def _instead(self, number: int, epoch: int, held: dict[int, NDArray[np.uint8]], broken: Broken) -> int:
        """Another sample of the class; its pixels are put into `held`."""
        label = self.labels[self.rows[number]]
        family = np.flatnonzero(self.labels[self.rows] == label)
        first = int(bits(key(self.seed, Draw.REPLACE, epoch), np.array([number]), Draw.REPLACE)[0] % len(family))
        for other in np.roll(family, -first).tolist():
            slot = int(self._slots[other])
            if other == number:
                continue
            with contextlib.suppress(Broken):
                held[slot] = self.pack.at(slot)
                return other
        name = f"class {int(label)}"
        raise DataError("EY-D143", name=name, detail=f"{broken.code} {broken.detail}")

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
