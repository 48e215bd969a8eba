"""Batch: what one step sees. `Stream.batch(position, size)` makes it, a pure function of its arguments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
