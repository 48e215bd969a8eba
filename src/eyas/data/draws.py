"""Random numbers that are a function of where they are used: (seed, position, stream number) -> number.

There is no generator state. Sample number 1,000,000 of a run gets the same draws whether it is reached by training,
by resuming, in another thread or on another machine. The generator is splitmix64 (Steele, Lea and Flood 2014,
https://doi.org/10.1145/2714064.2660195) used as a counter: the state of draw `position` is `key + position * GOLDEN`.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

DRAWS_VERSION = 1
"""Part of the fingerprint of a run: another version may draw other numbers."""

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB


class Draw(enum.IntEnum):
    """What a draw is for. The numbers are part of the format: never change or reuse one, only add."""

    ORDER = 1
    CLASS_ORDER = 2
    WEIGHTED = 3
    SPLIT = 4
    REPLACE = 5
    FLIP = 10
    FLIP_FIRST = 11
    CROP_Y = 12
    CROP_X = 13
    AREA = 14
    RATIO = 15
    BOX_Y = 16
    BOX_X = 17
    ROTATE = 20
    SHIFT_Y = 21
    SHIFT_X = 22
    SCALE = 23
    SHEAR = 24
    BRIGHTNESS = 30
    CONTRAST = 31
    SATURATION = 32
    HUE = 33
    ERASE = 40
    ERASE_AREA = 41
    ERASE_RATIO = 42
    ERASE_Y = 43
    ERASE_X = 44
    ERASE_COLOUR = 45
    ERASE_COLOUR_2 = 46
    ERASE_COLOUR_3 = 47
    PARTNER = 50
    MIX_KIND = 51
    MIXUP = 52
    CUTMIX = 53
    CUT_Y = 54
    CUT_X = 55
    TRIVIAL = 60
    TRIVIAL_KIND = 61
    TRIVIAL_LEVEL = 62
    TRIVIAL_SIGN = 63


@functools.lru_cache(maxsize=1024)
def key(seed: int, stream: int, again: int = 0) -> int:
    """The 64-bit key of one stream of draws; `again` numbers further draws of the same stream (rejection, pairs)."""
    state = seed & _MASK
    for word in (stream, again):
        state = _mixed((state + _GOLDEN) & _MASK) ^ _mixed(((word & _MASK) * _GOLDEN + _MIX1) & _MASK)
    return _mixed(state)


def bits(seed: int, positions: NDArray[np.int64], stream: int, *, again: int = 0) -> NDArray[np.uint64]:
    """uint64, shape of `positions`: 64 random bits for each position."""
    return _mix(positions.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(key(seed, stream, again)))


def uniform(seed: int, positions: NDArray[np.int64], stream: int, *, again: int = 0) -> NDArray[np.float64]:
    """float64 in [0, 1), shape of `positions`; multiples of 2**-53.

    >>> bool((uniform(0, np.arange(3), Draw.FLIP) == uniform(0, np.arange(9), Draw.FLIP)[:3]).all())
    True
    """
    return _unit(bits(seed, positions, stream, again=again))


def uniforms(seed: int, positions: NDArray[np.int64], streams: Sequence[int], *, again: int = 0) -> NDArray[np.float64]:
    """float64 (streams, n) in [0, 1): `uniform` of several streams in one pass, for the price of few numpy calls."""
    keys = np.array([key(seed, stream, again) for stream in streams], np.uint64)
    state = positions.astype(np.uint64) * np.uint64(_GOLDEN) + keys[:, None]
    return _unit(_mix(state))


def normal(seed: int, positions: NDArray[np.int64], stream: int, *, again: int = 0) -> NDArray[np.float64]:
    """float64, standard normal (Box and Muller), shape of `positions`."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(seed, positions, stream, again=2 * again)))
    return radius * np.cos(2.0 * np.pi * uniform(seed, positions, stream, again=2 * again + 1))


def beta(seed: int, positions: NDArray[np.int64], stream: int, *, alpha: float) -> NDArray[np.float64]:
    """float64 in [0, 1]: Beta(alpha, alpha) for each position; `alpha` > 0."""
    assert alpha > 0, "Beta needs a positive alpha"
    # The two gammas of one position come from disjoint numbers `again`, even and odd blocks of 4.
    one, two = (_log_gamma_draw(seed, positions, stream, alpha=alpha, first=first) for first in (0, 1))
    return 1.0 / (1.0 + np.exp(np.clip(two - one, -700.0, 700.0)))


def _log_gamma_draw(
    seed: int, positions: NDArray[np.int64], stream: int, *, alpha: float, first: int
) -> NDArray[np.float64]:
    """Logarithm of Gamma(alpha) draws: Marsaglia and Tsang 2000, boosted by U**(1/alpha) so that alpha < 1 works.

    In logarithms, because U**(1/alpha) underflows for small alpha. Each position is redrawn until it is accepted (95 %
    the first time) from its own numbers only, so that its value does not depend on which others are drawn with it.
    """
    shape = alpha + 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / np.sqrt(9.0 * d)
    out = np.zeros(positions.shape, np.float64)
    todo = np.arange(positions.size)
    trial = 0
    while todo.size:
        at = positions[todo]
        again = 8 + 2 * (2 * trial + first)  # normal() uses 2 * again and 2 * again + 1; the accept draw a number apart
        x = normal(seed, at, stream, again=again)
        u = uniform(seed, at, stream, again=2 * again + 2)
        cube = (1.0 + c * x) ** 3
        safe = np.where(cube > 0, cube, 1.0)
        good = (cube > 0) & (np.log1p(-u) < 0.5 * x * x + d - d * safe + d * np.log(safe))
        out[todo[good]] = np.log(d * safe[good])
        todo = todo[~good]
        trial += 1
    boost = np.log1p(-uniform(seed, positions, stream, again=first))
    return out + boost / alpha


def _unit(draws: NDArray[np.uint64]) -> NDArray[np.float64]:
    """The upper 53 bits as numbers in [0, 1)."""
    return (draws >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of splitmix64 over an array, in place."""
    state ^= state >> np.uint64(30)
    state *= np.uint64(_MIX1)
    state ^= state >> np.uint64(27)
    state *= np.uint64(_MIX2)
    state ^= state >> np.uint64(31)
    return state


def _mixed(state: int) -> int:
    """The same for one Python number."""
    state = ((state ^ (state >> 30)) * _MIX1) & _MASK
    state = ((state ^ (state >> 27)) * _MIX2) & _MASK
    return state ^ (state >> 31)
