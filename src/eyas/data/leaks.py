"""Leaks: pictures of one split that another split has, too, byte for byte (L03) or nearly the same (L04).

And conflicts: the same bytes with different labels (L02).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from eyas.data.samples import Split

EXAMPLES = 5
ORDER = (Split.TRAIN, Split.VAL, Split.TEST, Split.HOLDOUT)


@final
@dataclass(frozen=True)
class Leak:
    """Samples of `later` that are in `earlier` as well: `count` of them, and pairs of rows (later, earlier)."""

    earlier: Split
    later: Split
    count: int
    examples: tuple[tuple[int, int], ...]


def exact_leaks(content: NDArray[np.int64], splits: NDArray[np.uint8]) -> tuple[Leak, ...]:
    """Equal numbers of content, int64 (n,), in two splits, uint8 (n,) of `Split`."""
    found: list[Leak] = []
    for earlier, later in _both():
        theirs = np.flatnonzero(splits == earlier)
        numbers, first = np.unique(content[theirs], return_index=True)
        rows = np.flatnonzero(splits == later)
        rows = rows[np.isin(content[rows], numbers)]
        if len(rows):
            shown = rows[:EXAMPLES]
            there = theirs[first[np.searchsorted(numbers, content[shown])]]
            found.append(Leak(earlier, later, len(rows), tuple(zip(shown.tolist(), there.tolist(), strict=True))))
    return tuple(found)


def near_leaks(pairs: NDArray[np.int64], content: NDArray[np.int64], splits: NDArray[np.uint8]) -> tuple[Leak, ...]:
    """Near-duplicates, rows (m, 2), that lie in two splits and are not the very same bytes."""
    pairs = pairs[content[pairs[:, 0]] != content[pairs[:, 1]]]
    both = np.concatenate([pairs, pairs[:, ::-1]])
    found: list[Leak] = []
    for earlier, later in _both():
        across = both[(splits[both[:, 0]] == later) & (splits[both[:, 1]] == earlier)]
        rows, first = np.unique(across[:, 0], return_index=True)
        if len(rows):
            there = across[first[:EXAMPLES], 1]
            examples = tuple(zip(rows[:EXAMPLES].tolist(), there.tolist(), strict=True))
            found.append(Leak(earlier, later, len(rows), examples))
    return tuple(found)


def conflicts_of(
    content: NDArray[np.int64], labels: NDArray[np.int32], rows: NDArray[np.int64]
) -> tuple[tuple[int, ...], ...]:
    """Rows with equal bytes and unequal labels, content by content."""
    size = int(content.max()) + 1
    least, most = np.full(size, np.iinfo(np.int32).max, np.int32), np.full(size, -1, np.int32)
    np.minimum.at(least, content[rows], labels[rows])
    np.maximum.at(most, content[rows], labels[rows])
    torn = np.flatnonzero(most > least)
    found: dict[int, list[int]] = {int(c): [] for c in torn}
    for row in rows[np.isin(content[rows], torn)]:
        found[int(content[row])].append(int(row))
    return tuple(sorted(tuple(members) for members in found.values()))


def _both() -> list[tuple[Split, Split]]:
    return [(earlier, later) for i, earlier in enumerate(ORDER) for later in ORDER[i + 1 :]]
