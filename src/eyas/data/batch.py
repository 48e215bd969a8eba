"""Batch: what one step sees. `Stream.batch(position, size)` makes it, a pure function of its arguments."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class Spent:
    """Seconds that making one batch took, for whoever hands it in; `clock` decides which (of the wall, of a thread).

    `mark` first; then `gathered` and `augmented` book the time since the last mark.
    """

    clock: Callable[[], float] = time.perf_counter
    gather_s: float = 0.0
    """Finding out which samples, reading (or decoding) and copying them."""
    augment_s: float = 0.0
    """Draws, and everything done to pixels."""
    _last: float = 0.0

    def mark(self) -> None:
        """Time begins to count."""
        self._last = self.clock()

    def gathered(self) -> None:
        """What was done since the last mark was gathering."""
        now = self.clock()
        self.gather_s += now - self._last
        self._last = now

    def augmented(self) -> None:
        """What was done since the last mark was augmentation."""
        now = self.clock()
        self.augment_s += now - self._last
        self._last = now


@dataclass(frozen=True)
class Batch:
    """Rows `start:start+n` of the batch of `size` samples that begins at sample number `position`.

    `images` uint8 (n, h, w, c), RGB or grey, 0..255, augmented; `labels` int64 (n,); `index` int64 (n,): rows in
    `Samples`. With mixup or cutmix `partner_labels` int64 (n,) and `own` float32 (n,) say that the target is `own` of
    `labels` and `1 - own` of `partner_labels`; otherwise both are None. `weights` float32 (n,) or None.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    index: NDArray[np.int64]
    position: int
    size: int
    start: int = 0
    partner_labels: NDArray[np.int64] | None = None
    own: NDArray[np.float32] | None = None
    weights: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)
