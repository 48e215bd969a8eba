"""Likeness: 64 bits by which pictures that look the same are found again, resized, recompressed or a little cropped.

The signs of the lowest 8 x 8 cosine coefficients of a 32 x 32 grey version, against their median: the perceptual hash
of Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, https://www.phash.org/docs/.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

BYTES = 8
"""Of a description."""

_SIDE, _LOW = 32, 8


def _cosines() -> NDArray[np.float32]:
    """float32 (8, 32): the first rows after the constant of the cosine transform (DCT-II)."""
    k, x = np.arange(1, _LOW + 1)[:, None], np.arange(_SIDE)[None]
    return np.cos(np.pi * k * (2 * x + 1) / (2 * _SIDE)).astype(np.float32)


_COSINES = _cosines()


def describe(pixels: NDArray[np.uint8]) -> bytes:
    """`BYTES` bytes for one picture, uint8 (h, w, 1 or 3): alike for pictures that look alike."""
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[:, :, 0])
    small = image.resize((_SIDE, _SIDE), Image.Resampling.BOX).convert("L")
    low = _COSINES @ np.asarray(small, np.float32) @ _COSINES.T
    return np.packbits(low > np.median(low)).tobytes()
