"""Units: what must stay on one side of a split, and the number by which a unit is placed.

Certain ties are equal bytes and one `group`. Near ties (`data.near`: nearly the same picture) bind, too, as long as a
chain of them does not swallow the data. A unit of more than `LARGEST` of all images (and more than `FEW`) is taken
apart: of its near ties only the closer ones stay, halving what may be left over, and in the end none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from eyas.data.near import LEFT_OVER, Near

LARGEST = 0.05
"""Largest share of the images that near ties may bind into one unit."""
FEW = 20
"""As many may be bound in any case."""
STRICTER = (LEFT_OVER / 2, LEFT_OVER / 4, LEFT_OVER / 8)
"""What may be left over in a unit that was too large, step by step."""


@final
@dataclass(frozen=True)
class Units:
    """What must stay together: `of` int64 (n,) is the unit of each sample, `keys` uint64 (units,) its stable key."""

    of: NDArray[np.int64]
    keys: NDArray[np.uint64]
    taken_apart: int = 0
    """Chains of near-duplicates that were too long to be kept together."""


def components(n: int, ties: NDArray[np.int64]) -> NDArray[np.int64]:
    """int64 (n,): the smallest number among those that each of 0..n-1 is tied to, directly or not; ties int (m, 2)."""
    of = np.arange(n)
    a, b = ties[:, 0], ties[:, 1]
    while True:
        # Whoever is tied to a smaller root hangs on it; then all hang on a root directly, so that chains halve.
        roots = of[a], of[b]
        least = np.minimum(*roots)
        apart = roots[0] != roots[1]
        if not apart.any():
            return of
        a, b, least = a[apart], b[apart], least[apart]
        for root in roots:
            np.minimum.at(of, root[apart], least)
        while (of != (shorter := of[of])).any():
            of = shorter


def content_numbers(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64 (n,): equal numbers for equal bytes; hashes uint8 (n, 16)."""
    if not len(hashes):
        return np.zeros(0, np.int64)
    _, numbers = np.unique(np.ascontiguousarray(hashes).view("V16")[:, 0], return_inverse=True)
    return numbers.astype(np.int64)


def units(
    hashes: NDArray[np.uint8], groups: NDArray[np.int64] | None, good: NDArray[np.bool_], near: Near | None = None
) -> Units:
    """Samples joined by equal bytes, by equal group (-1 = in no group) and by likeness, transitively.

    Unreadable samples stay alone. The key of a unit is the least of its members' keys, which are made of their bytes;
    where there are groups their names decide alone, so that a copy outside a group never moves it. A near-duplicate
    that joins later may have the least key and so move the others: `splits.csv` prevents that.
    """
    n = len(hashes)
    content = content_numbers(hashes)
    certain = [_ties(content, good)]
    grouped = np.zeros(n, bool) if groups is None else (groups >= 0) & good
    if groups is not None and grouped.any():
        certain.append(_ties(groups, grouped))
    of = components(n, np.concatenate(certain))
    taken_apart = 0
    if near is not None and len(near.pairs):
        of, taken_apart = _bound(of, good, near)
    _, of = np.unique(of, return_inverse=True)

    keys = np.ascontiguousarray(hashes[:, :8]).view("<u8")[:, 0].astype(np.uint64)
    if groups is not None and grouped.any():
        named = np.zeros(int(of.max()) + 1, bool)
        named[of[grouped]] = True
        keys = np.where(grouped, groups.astype(np.uint64) ^ np.uint64(0x67726F7570), keys)
        keys = np.where(named[of] & ~grouped, np.iinfo(np.uint64).max, keys)
    least_key = np.full(int(of.max()) + 1 if n else 0, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least_key, of, keys)
    return Units(of.astype(np.int64), least_key, taken_apart)


def _ties(numbers: NDArray[np.int64], counts: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(m, 2): each row that counts tied to the first one of the same number."""
    rows = np.flatnonzero(counts)
    _, first, which = np.unique(numbers[rows], return_index=True, return_inverse=True)
    return np.stack([rows[first[which]], rows], axis=1)


def _bound(of: NDArray[np.int64], good: NDArray[np.bool_], near: Near) -> tuple[NDArray[np.int64], int]:
    """The units with near ties added, and how many would have become too large with all of them."""
    certain = of
    usable = good[near.pairs].all(axis=1)
    pairs, rest = certain[near.pairs[usable]], near.left_over[usable]
    most = max(FEW, int(LARGEST * good.sum()))
    taken_apart = 0
    for step, stricter in enumerate((*STRICTER, -1.0)):
        of = components(len(certain), pairs)[certain]
        size = np.bincount(of[good], minlength=len(certain))
        # A unit that is large by what is certain stays as it is, but nothing else is bound to it.
        too_large = size > most
        torn = too_large[of[pairs[:, 0]]]
        if not torn.any():
            break
        if step == 0:
            taken_apart = len(np.unique(of[pairs[torn, 0]]))
        kept = ~torn | (rest <= stricter)
        pairs, rest = pairs[kept], rest[kept]
    else:
        of = components(len(certain), pairs)[certain]
    return of, taken_apart
