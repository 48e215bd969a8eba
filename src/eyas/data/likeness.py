"""Likeness: what a picture looks like in 256 bytes, and the 64-bit hash of that, by which look-alikes are found.

A description is the picture as 16 x 16 grey values, whatever its size and aspect, low-passed by Lanczos' kernel
(https://doi.org/10.1175/1520-0450(1979)018<1016:LFIOAT>2.0.CO;2). It takes 30 to 50 microseconds. Low-passed well, it
can be shifted and stretched a little afterwards by evaluating its cosine series between the points: that is how
`data.near` recognises a cropped copy.

The hash is the signs of the 64 lowest cosine coefficients but the constant one, lowest first: a perceptual hash as in
Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, https://www.phash.org/docs/, with
signs instead of a median, so that mirroring a picture flips known bits (`MIRRORED`) and brightness changes none.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
BYTES = SIDE * SIDE
"""Of a description: 307 MB for 1.2 million pictures."""

VERSION = "lanczos-1"
"""Of what `describe` gives; part of the address of a pack."""

SMALL = 128 * 96
"""Pixels up to which all of a picture is taken; of larger ones `POINTS` x `POINTS` points: more cost more time."""
POINTS = 88
LONGEST = 192


@functools.lru_cache(maxsize=512)
def _low_pass(length: int) -> NDArray[np.float32]:
    """float32 (16, length): rows that sum to 128; whole numbers, so that sums of products with uint8 are exact.

    Exact sums do not depend on their order: the same description on every machine.
    """
    step = length / SIDE
    centre = (np.arange(SIDE)[:, None] + 0.5) * step - 0.5
    x = (np.arange(length)[None] - centre) / max(step, 1.0)
    ideal = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)
    ideal *= 128 / ideal.sum(axis=1, keepdims=True)
    whole = np.floor(ideal)
    for row, rest, missing in zip(whole, ideal - whole, 128 - whole.sum(axis=1), strict=True):
        row[np.argsort(-rest, kind="stable")[: int(missing)]] += 1
    return whole.astype(np.float32)


def describe(picture: Image.Image | NDArray[np.uint8]) -> bytes:
    """`BYTES` bytes for one picture: a Pillow image (RGB or L), or uint8 (h, w, 1 or 3). Alike for what looks alike.

    >>> len(describe(np.zeros((20, 30, 3), np.uint8)))
    256
    """
    if not isinstance(picture, Image.Image):
        picture = Image.fromarray(picture if picture.shape[2] == 3 else picture[:, :, 0])
    w, h = picture.size
    if w * h > SMALL or max(w, h) > LONGEST:
        w, h = min(w, POINTS), min(h, POINTS)
        picture = picture.resize((w, h), Image.Resampling.NEAREST)
    if picture.mode != "L":
        picture = picture.convert("L")
    grey = np.frombuffer(picture.tobytes(), np.uint8).reshape(h, w).astype(np.float32)
    small = _low_pass(h) @ (grey @ _low_pass(w).T)
    small += 2.0**13  # rounded, by the cut to whole numbers below
    np.maximum(small, 0, out=small)
    np.minimum(small, 2.0**22 - 1, out=small)
    small *= 2.0**-14
    return small.astype(np.uint8).tobytes()


# ---- the hash of descriptions ----------------------------------------------------------------------------------------


def through(rows: NDArray[Any], grey: NDArray[Any], columns: NDArray[Any]) -> NDArray[np.float32]:
    """float32: `rows @ grey @ columns`, for one picture or many."""
    return np.asarray(rows @ grey @ columns, np.float32)


def cosines(at: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """float32 (m, 16): the cosine basis (orthonormal DCT-II of 16 cells) at positions `at` in 0..16."""
    k = np.arange(SIDE)
    scale = np.where(k == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE))
    return (np.cos(np.pi * k[None] * at[:, None] / SIDE) * scale).astype(np.float32)


BASIS = np.ascontiguousarray(cosines(np.arange(SIDE) + 0.5).T)
"""float32 (16, 16): `BASIS @ grey @ BASIS.T` are the coefficients, vertical frequency first."""

_LOWEST = sorted(((v, h) for v in range(SIDE) for h in range(SIDE)), key=lambda f: (sum(f), f))[1:65]
LOWEST = (np.array([v for v, _ in _LOWEST]), np.array([h for _, h in _LOWEST]))
"""Vertical and horizontal frequency of each bit of the hash."""

MIRRORED = np.uint64(sum(1 << bit for bit, (_, h) in enumerate(_LOWEST) if h % 2))
"""The bits that differ between a picture and its mirror image: those of odd horizontal frequency."""


def signs(coefficients: NDArray[np.float32]) -> NDArray[np.uint64]:
    """uint64 (...,): the hash for coefficients (..., 16, 16); bit 0 is the lowest frequency."""
    v, h = LOWEST
    bits = np.packbits(coefficients[..., v, h] > 0, axis=-1, bitorder="little")
    return np.ascontiguousarray(bits).view("<u8")[..., 0].astype(np.uint64)


def hashes(descriptions: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """uint64 (n,): the 64-bit hash of each description, uint8 (n, `BYTES`)."""
    grey = descriptions.reshape(-1, SIDE, SIDE).astype(np.float32)
    return signs(through(BASIS, grey, BASIS.T))
