"""Which pictures are nearly the same: resized, recompressed, cropped by up to 5 %, mirrored, a little brighter.

    views        each description as it is and as nine crops of it would be, mirrored or not: 20 hashes
    windows      pictures whose hashes agree in a window of bits are looked at (multi-index hashing, as in Norouzi,
                 Punjani and Fleet, 2012, https://doi.org/10.1109/CVPR.2012.6248043)
    candidates   those whose hashes then differ in few of 64 bits
    fit          the one description is shifted, stretched, brightened and sharpened to the other by least squares (one
                 step of Lucas and Kanade, 1981); what is left over decides

Work and memory are bounded whatever the pictures are: where hundreds share a window (frames of a camera that stands
still, one object on white), each is compared with its nearest by hash only, as it is and mirrored. Such pictures are
still found to belong together, by way of each other. Pictures without contrast are near to nothing: a white page and
another white page are the same only when their bytes are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from eyas.data.likeness import BASIS, BYTES, MIRRORED, SIDE, cosines, signs, through

VERSION = "lucas-kanade-1"
"""Of what `near_pairs` finds."""
LEFT_OVER = 0.055
"""Largest share of the variance that the fit may leave: set by `bench/near.py` on one half of its pictures."""
BITS = 10
"""Most bits of 64 in which the hashes of a candidate differ: 99 % of true pairs have fewer."""
PLAIN = 3.0
"""Standard deviation of the grey values (0..255) below which there is nothing to compare."""

KEEP = 0.95  # of width and height, in the crops that are tried
AT = (0.0, 0.025, 0.05)  # where they begin
SPREAD = 40  # lowest bits of the hash that the windows are taken from
WINDOWS = tuple(range(0, SPREAD, 5))  # where windows begin; they wrap round
CROWD = 64  # from so many in a window on, only the nearest by hash are looked at
BESIDE = 4  # of those: so many on each side
BLOCK = 2**13  # descriptions worked on at a time
PAIRS = 2**21  # candidates compared at a time


@final
@dataclass(frozen=True)
class Near:
    """What `near_pairs` found."""

    n: int
    """Pictures that were compared, the plain ones included."""
    pairs: NDArray[np.int64]
    """(m, 2), the smaller number first, ascending: pictures that are nearly the same."""
    left_over: NDArray[np.float32]
    """(m,): the share of the variance that the fit leaves; 0 = the same."""
    plain: int
    """Pictures without enough contrast to be compared."""
    crowded: int
    """Pictures that were compared with their nearest by hash only, because too many look alike."""


# ---- views ----------------------------------------------------------------------------------------------------------


def _views() -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """(rows, columns), each (16, 16): what turns a description into that of the whole, then of each crop."""
    whole = np.eye(SIDE, dtype=np.float32)
    cells = np.arange(SIDE) + 0.5
    crops = [cosines(at * SIDE + KEEP * cells) @ BASIS for at in AT]
    return [(whole, whole), *((rows, columns) for rows in crops for columns in crops)]


_VIEWS = _views()


def _derivatives() -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """(waves (16, 16) at the cells, their factors (16,)) of the first and the second derivative."""
    k = np.pi * np.arange(SIDE) / SIDE
    at = k * (np.arange(SIDE)[:, None] + 0.5)
    scale = np.where(k == 0, np.sqrt(1 / SIDE), np.sqrt(2 / SIDE))
    return [(-np.sin(at), k * scale), (-np.cos(at), k**2 * scale)]


_SLOPE, _BEND = (  # first and second derivative of the cosine series, at the cells
    np.asarray(wave * scale @ BASIS, np.float32) for wave, scale in _derivatives()
)
_ACROSS = (((np.arange(SIDE) - 7.5) / 8)[None]).astype(np.float32)


def _grey(descriptions: NDArray[np.uint8]) -> NDArray[np.float32]:
    return descriptions.reshape(-1, SIDE, SIDE).astype(np.float32)


def _hash_views(descriptions: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """uint64 (views, n): the hash of each view of each description."""
    out = np.empty((len(_VIEWS), len(descriptions)), np.uint64)
    into = [(BASIS @ rows, (BASIS @ columns).T) for rows, columns in _VIEWS]
    for start in range(0, len(descriptions), BLOCK):
        grey = _grey(descriptions[start : start + BLOCK])
        for view, (rows, columns) in enumerate(into):
            out[view, start : start + BLOCK] = signs(through(rows, grey, columns))
    return out


# ---- candidates -----------------------------------------------------------------------------------------------------


def _turned(hashes: NDArray[np.uint64], window: int) -> NDArray[np.uint64]:
    """The hashes with the bits of a window on top, then the other low ones, then the rest."""
    low = hashes & np.uint64(2**SPREAD - 1)
    low = (low << np.uint64(window) | low >> np.uint64(SPREAD - window)) & np.uint64(2**SPREAD - 1)
    return low << np.uint64(64 - SPREAD) | hashes >> np.uint64(SPREAD)


@final
class _Candidates:
    """Pairs a < b with the closest way to look at them; no more than `most` are kept, those of the fewest bits."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.most = max(2**20, 16 * n)
        self.keys: list[NDArray[np.int64]] = []
        self.ways: list[NDArray[np.int16]] = []
        self.pending = 0

    def add(self, viewed: NDArray[np.int64], plain: NDArray[np.int64], bits: NDArray[np.uint8], way: int) -> None:
        """Pairs of which `viewed` was looked at in a `way` (2 * view + mirrored) and `plain` as it is."""
        swapped = viewed > plain
        self.keys.append(np.where(swapped, plain, viewed) * self.n + np.where(swapped, viewed, plain))
        # What is smallest is best: few bits first, then the view as it is.
        self.ways.append((bits.astype(np.int16) << 6 | np.int16(way << 1)) | swapped)
        self.pending += len(viewed)
        if self.pending > self.most:
            self.settle()

    def settle(self) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
        """(keys, ways), each pair once, ascending."""
        keys = np.concatenate([np.zeros(0, np.int64), *self.keys])
        ways = np.concatenate([np.zeros(0, np.int16), *self.ways])
        order = np.lexsort((ways, keys))
        keys, ways = keys[order], ways[order]
        first = np.diff(keys, prepend=-1) > 0
        keys, ways = keys[first], ways[first]
        if len(keys) > self.most:
            kept = np.sort(np.argpartition(ways, self.most)[: self.most])
            keys, ways = keys[kept], ways[kept]
        self.keys, self.ways, self.pending = [keys], [ways], 0
        return keys, ways


def _search(views: NDArray[np.uint64], found: _Candidates) -> NDArray[np.bool_]:
    """Adds the candidates; gives bool (n,): the pictures that were compared with their nearest by hash only."""
    n = views.shape[1]
    crowded = np.zeros(n, bool)
    top = 64 - min(26, max(12, n.bit_length() + 3))
    for window in WINDOWS:
        turned = _turned(views[0], window)
        order = np.argsort(turned, kind="stable")
        turned = turned[order]
        first = np.zeros((1 << 64 - top) + 1, np.int32 if n < 2**31 else np.int64)
        np.cumsum(np.bincount((turned >> np.uint64(top)).view(np.int64), minlength=len(first) - 1), out=first[1:])
        for view in range(len(views)):
            for mirrored in (0, 1):
                looked_at = views[view] ^ (MIRRORED if mirrored else np.uint64(0))
                asked = _turned(looked_at, window)
                key = (asked >> np.uint64(top)).view(np.int64)
                begin = first[key].astype(np.int64)
                count = first[key + 1] - begin
                many = count >= CROWD
                if many.any():
                    crowded |= many
                    count[many] = 0
                    if view == 0:  # crops are not looked for in a crowd
                        who = np.flatnonzero(many)
                        middle = np.searchsorted(turned, asked[who])
                        low = np.maximum(begin[who], middle - BESIDE)
                        begin[who] = low
                        count[who] = np.minimum(first[key[who] + 1], middle + BESIDE + 1) - low
                _compare(looked_at, views[0], order, begin, count, 2 * view + mirrored, found)
        found.settle()
    return crowded


def _compare(
    looked_at: NDArray[np.uint64],
    plain: NDArray[np.uint64],
    order: NDArray[np.int64],
    begin: NDArray[np.int64],
    count: NDArray[np.int64],
    way: int,
    found: _Candidates,
) -> None:
    """Adds what differs in few bits among the `count` pictures in `order` from `begin` on, for each picture."""
    asking = np.flatnonzero(count)
    ends = np.cumsum(count[asking])
    start = 0
    while start < len(asking):
        stop = max(start + 1, int(np.searchsorted(ends, (ends[start - 1] if start else 0) + PAIRS, "right")))
        who = asking[start:stop]
        each = count[who]
        viewed = np.repeat(who, each)
        offset = np.arange(len(viewed)) - np.repeat(np.cumsum(each) - each, each)
        other = order[np.repeat(begin[who], each) + offset]
        bits = np.bitwise_count(looked_at[viewed] ^ plain[other])
        near = np.flatnonzero((bits <= BITS) & (viewed != other))
        if len(near):
            found.add(viewed[near], other[near], bits[near], way)
        start = stop


# ---- the fit --------------------------------------------------------------------------------------------------------


def left_over(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 (m,): the share of the variance of b that remains when a is made as like to it as may be.

    a, b float32 (m, 16, 16). One linear step of least squares: for shifts and stretches of about a cell, brightness,
    contrast, and blur or sharpness (what resizing a small picture changes). The outermost cells do not count: what came
    into the picture there is not known.
    """
    inner = slice(1, -1)
    down, across = _SLOPE @ a, a @ _SLOPE.T
    sharp = _BEND @ a + a @ _BEND.T
    terms = np.stack([a, across, across * _ACROSS, down, down * _ACROSS.T, sharp], axis=1)[:, :, inner, inner]
    terms = terms.reshape(len(a), 6, -1)
    terms = terms - terms.mean(axis=2, keepdims=True)
    want = b[:, inner, inner].reshape(len(b), -1, 1)
    want = want - want.mean(axis=1, keepdims=True)
    square, product = terms @ terms.transpose(0, 2, 1), terms @ want
    size = np.trace(square, axis1=1, axis2=2)[:, None, None] / 6
    ridge = (1e-3 * size + 1e-3) * np.eye(6, dtype=np.float32)
    weights = np.linalg.solve(square + ridge, product)
    rest = want - terms.transpose(0, 2, 1) @ weights
    gain = weights[:, 0, 0]
    share = np.square(rest).sum(axis=(1, 2)) / np.maximum(np.square(want).sum(axis=(1, 2)), 1e-3)
    return np.where(gain > 0, share, np.float32(1)).astype(np.float32)


def _fitted(
    descriptions: NDArray[np.uint8], keys: NDArray[np.int64], ways: NDArray[np.int16], n: int
) -> NDArray[np.float32]:
    """float32 (m,): what is left over for each candidate; those of one view are worked on together."""
    out = np.ones(len(keys), np.float32)
    first, second = keys // n, keys % n
    swapped = (ways & 1).astype(bool)
    viewed, plain = np.where(swapped, second, first), np.where(swapped, first, second)
    way = ways >> 1 & 31
    order = np.argsort(way, kind="stable")
    cuts = np.searchsorted(way[order], np.arange(2 * len(_VIEWS) + 1))
    for number, (begin, end) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)):
        rows, columns = _VIEWS[number // 2]
        for start in range(begin, end, BLOCK // 4):
            part = order[start : min(end, start + BLOCK // 4)]
            a = through(rows, _grey(descriptions[viewed[part]]), columns.T)
            b = _grey(descriptions[plain[part]])
            out[part] = left_over(a, b[:, :, ::-1] if number % 2 else b)
    return out


# ---- the story ------------------------------------------------------------------------------------------------------


def _first_equal(descriptions: NDArray[np.uint8], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64, shape of `rows`: the first row with the very same description."""
    odd = np.random.default_rng(0).integers(1, 2**63, BYTES // 8, np.uint64) << np.uint64(1) | np.uint64(1)
    digest = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), BLOCK):
        part = np.ascontiguousarray(descriptions[rows[start : start + BLOCK]]).view("<u8")
        mixed = (part ^ part >> np.uint64(29)) * odd
        digest[start : start + BLOCK] = (mixed ^ mixed >> np.uint64(32)).sum(axis=1, dtype=np.uint64)
    _, index, which = np.unique(digest, return_index=True, return_inverse=True)
    first = rows[index[which]]
    again = np.flatnonzero(first != rows)
    for start in range(0, len(again), BLOCK):  # equal digests of others are as good as impossible, and harmless here
        part = again[start : start + BLOCK]
        other = (descriptions[first[part]] != descriptions[rows[part]]).any(axis=1)
        first[part[other]] = rows[part[other]]
    return first


def near_pairs(descriptions: NDArray[np.uint8], *, tolerance: float = LEFT_OVER) -> Near:
    """The pairs among pictures, uint8 (n, `likeness.BYTES`), that are nearly the same.

    `tolerance`: the share of the variance that the fit may leave. Of pictures with the very same description each is
    paired with the first of them. About 40 s and 1 GB for a million photographs.
    """
    n = len(descriptions)
    assert descriptions.shape == (n, BYTES)
    contrast = np.empty(n, np.float32)
    for start in range(0, n, BLOCK):
        contrast[start : start + BLOCK] = descriptions[start : start + BLOCK].std(axis=1, dtype=np.float32)
    seen = np.flatnonzero(contrast >= PLAIN)
    if len(seen) < 2:
        return Near(n, np.zeros((0, 2), np.int64), np.zeros(0, np.float32), n - len(seen), 0)
    first = _first_equal(descriptions, seen)
    again = first != seen
    twins = np.stack([first[again], seen[again]], axis=1)
    chosen = seen[~again]

    own = descriptions if len(chosen) == n else descriptions[chosen]
    found = _Candidates(len(own))
    crowded = _search(_hash_views(own), found)
    keys, ways = found.settle()
    rest = _fitted(own, keys, ways, len(own))
    close = rest <= tolerance
    keys, rest = keys[close], rest[close]
    pairs = np.concatenate([twins, chosen[np.stack([keys // len(own), keys % len(own)], axis=1)]])
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    rests = np.concatenate([np.zeros(len(twins), np.float32), rest])
    return Near(n, pairs[order], rests[order], n - len(seen), int(crowded.sum()))
