"""Which samples train, which choose, which are scored at the end: by content, so that more photos never move old ones.

    declared   what the data says stays as it is
    memory     what an earlier `splits.csv` says stays as it is
    the rest   each unit has a place in 0..1 by a keyed hash of its bytes; below the fraction it is val (test, holdout)

A unit is everything that must stay on one side: equal bytes, samples of one `group`, and near-duplicates, taken
together (`data.units`). The place of a unit depends on nothing but its own bytes (or the name of its group), not on a
seed, on file names or on other photos: the shares are therefore near the fraction, not equal to it.

Without a memory a new photo changes an old one's side only in two cases: a near-duplicate of old photos may have the
least key of the new unit (its chance is one in the size of the unit) and so give it another place; and a class with
two units or more always has one in val and one in train, for which the unit nearest to the edge is taken. `splits.csv`
prevents both, and a new run takes over that of the newest run on the same data (`flows.inherit`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from eyas.data.layouts.names import listing
from eyas.data.leaks import Leak, conflicts_of, exact_leaks, near_leaks
from eyas.data.near import Near
from eyas.data.samples import Samples, Split
from eyas.data.splits_file import NAMES, inherit
from eyas.data.units import LARGEST, Units, content_numbers, units
from eyas.errors import DataError
from eyas.errors.messages import say

DEFAULT_FRACTION = 0.1
"""Of the training samples, when the data has no val."""

SPLIT_VERSION = 2
"""Written into `run.json`: another version may divide differently. 2: near-duplicates stay together."""


@final
@dataclass(frozen=True)
class SplitReport:
    """What was decided and what was noticed on the way: findings L01 to L04."""

    how: str
    """One sentence for people."""
    train: int
    val: int
    test: int
    holdout: int
    aside: int
    """Samples in no split: set aside as unreadable, or declared for a split that was switched off."""
    duplicates: int
    """Samples whose bytes an earlier row has too (L01)."""
    near: int
    """Samples that are nearly the same as another one, and not byte for byte."""
    conflicts: tuple[tuple[int, ...], ...]
    """Rows with the same bytes and different labels (L02), one tuple for each such content."""
    leaks: tuple[Leak, ...]
    """The same bytes in two splits (L03): only where the data, or an earlier split, declared it so."""
    near_leaks: tuple[Leak, ...]
    """Near-duplicates in two splits (L04): declared so, or in a unit that was too large to be kept together."""
    unmeasured: tuple[str, ...]
    """Classes with training samples and none in val, when there is a val."""
    remembered: int
    """Samples that were in the memory and stayed where they were."""
    bridges: int
    """Units that the memory holds on both sides: duplicates, near-duplicates or groups that were joined later."""
    taken_apart: int
    """Chains of near-duplicates that were too long to be kept on one side."""
    clusters: NDArray[np.int64]
    """int64 (n,): the same number for what was kept together, from 1 on; 0 = alone."""
    notes: tuple[str, ...]


Part = Literal["none"] | float | Path | None
"""What `--val` or `--test` says: not given, no such split, a fraction, or samples from elsewhere."""


# ---- what was asked ----------------------------------------------------------------------------------------------


def parse_part(text: str | None, what: str) -> Part:
    """What `--val` or `--test` says: None, "none", a fraction, or a path. A number outside 0..1 is EY-D060.

    >>> parse_part("10%", "val"), parse_part("none", "val"), parse_part("photos/val", "val").name
    (0.1, 'none', 'val')
    """
    if text is None:
        return None
    stripped = text.strip()
    if stripped.lower() == "none":
        return "none"
    percent = stripped.endswith("%")
    try:
        number = float(stripped.removesuffix("%"))
    except ValueError:
        if not stripped:
            raise DataError("EY-D060", what=what, got="''") from None
        return Path(stripped)
    fraction = number / 100 if percent else number
    if not 0 < fraction < 1:
        raise DataError("EY-D060", what=what, got=text)
    return fraction


# ---- places by content -------------------------------------------------------------------------------------------


def places(keys: NDArray[np.uint64], purpose: str) -> NDArray[np.float64]:
    """float64 (n,) in [0, 1): where each key falls for this purpose; equal keys fall on the same place.

    SplitMix64's finaliser (Steele, Lea and Flood, 2014, https://doi.org/10.1145/2660193.2660195) over key and purpose.
    """
    salt = np.frombuffer(purpose.encode().ljust(8, b"\0")[:8], "<u8")
    with np.errstate(over="ignore"):
        z = keys + salt * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


# ---- the decision ------------------------------------------------------------------------------------------------


def assign(
    samples: Samples,
    hashes: NDArray[np.uint8],
    *,
    val: str | None = None,
    test: str | None = None,
    holdout: str | None = None,
    bad: Sequence[int] | NDArray[np.integer] | None = None,
    near: Near | None = None,
    memory: Path | None = None,
    sealed: Path | None = None,
) -> tuple[NDArray[np.uint8], SplitReport]:
    """uint8 (n,) of Split for every sample, and what there is to know about it.

    `hashes` uint8 (n, 16): a hash of each sample's bytes (of its pixels for arrays). `val`, `test` and `holdout`: None,
    "none" or a fraction; a path has been joined by `source.find` and is a declared split here. `bad`: rows that cannot
    be read; they get NONE and count for nothing. `near`: which rows are nearly the same. `memory`: an earlier
    `splits.csv`; `sealed`: one of which only the holdout counts.

    Raises EY-D060, EY-D061 (a fraction for a split that the data declares), EY-D064, EY-D065 (nothing to train on).
    """
    n = len(samples)
    assert hashes.shape == (n, 16)
    assert hashes.dtype == np.uint8
    good = np.ones(n, bool)
    if bad is not None:
        good[np.asarray(bad, np.int64)] = False
    asked: dict[Split, Part] = {
        Split.VAL: parse_part(val, "val"),
        Split.TEST: parse_part(test, "test"),
        Split.HOLDOUT: parse_part(holdout, "holdout"),
    }
    if isinstance(asked[Split.HOLDOUT], Path):
        raise DataError("EY-D066", got=holdout)
    declared = {split: bool((samples.splits == split).any()) for split in asked}
    notes: list[str] = []
    for split, part in asked.items():
        if isinstance(part, float) and declared[split]:
            count = int((samples.splits == split).sum())
            raise DataError("EY-D061", what=split.name.lower(), n=count, path=part)

    out = samples.splits.copy()
    if asked[Split.VAL] == "none" and declared[Split.VAL]:
        notes.append(say("split_val_trains", n=int((out == Split.VAL).sum())))
        out[out == Split.VAL] = Split.TRAIN
    unused = np.zeros(n, bool)
    if asked[Split.TEST] == "none" and declared[Split.TEST]:
        unused = out == Split.TEST
        notes.append(say("split_test_unused", n=int(unused.sum())))
    pool = good & ~unused & np.isin(out, (Split.NONE, Split.TRAIN))
    out[pool] = Split.TRAIN
    out[~good | unused] = Split.NONE

    fractions = {split: _fraction(part, split, declared[split]) for split, part in asked.items()}
    together = units(hashes, samples.groups, good, near)
    remembered = _remembered(samples, hashes, pool, memory, sealed)
    if asked[Split.VAL] == "none" or declared[Split.VAL]:
        moved = int((remembered == Split.VAL).sum())
        if moved:
            notes.append(say("split_val_trains", n=moved))
        remembered[remembered == Split.VAL] = Split.TRAIN
    out[remembered > 0] = remembered[remembered > 0]
    bridges, joining = _divide(out, pool, remembered, together, samples.labels, len(samples.classes), fractions)
    for split in (Split.TEST, Split.HOLDOUT):  # once test, never train
        if asked[split] == "none":
            out[remembered == split] = Split.NONE

    if not (out == Split.TRAIN).any():
        raise DataError(
            "EY-D065",
            n=n,
            bad=int((~good).sum()),
            val=int((out == Split.VAL).sum()),
            test=int((out == Split.TEST).sum()) + int((out == Split.HOLDOUT).sum()),
        )
    noticed = _Noticed(asked, declared, fractions, remembered, bridges, joining, together, notes)
    return out, _report(samples, hashes, out, good, near, noticed)


def _fraction(part: Part, split: Split, declared: bool) -> float:
    if isinstance(part, float):
        return part
    if part is None and split is Split.VAL and not declared:
        return DEFAULT_FRACTION
    return 0.0


def _remembered(
    samples: Samples, hashes: NDArray[np.uint8], pool: NDArray[np.bool_], memory: Path | None, sealed: Path | None
) -> NDArray[np.uint8]:
    """uint8 (n,) of Split: where earlier splits have the samples that may be divided; NONE = nowhere."""
    out = np.zeros(len(samples), np.uint8)
    if memory is not None:
        out = inherit(memory, samples, hashes)
    if sealed is not None:
        out[inherit(sealed, samples, hashes) == Split.HOLDOUT] = Split.HOLDOUT
    out[~pool] = Split.NONE
    return out


def _divide(
    out: NDArray[np.uint8],
    pool: NDArray[np.bool_],
    remembered: NDArray[np.uint8],
    together: Units,
    labels: NDArray[np.int32],
    classes: int,
    fractions: dict[Split, float],
) -> tuple[int, NDArray[np.int64]]:
    """Puts the pool's units on their sides, in place.

    Gives the number of units that the memory holds on several sides, and the new rows in them.
    """
    n_units = len(together.keys)
    side = np.full(n_units, Split.TRAIN, np.uint8)
    # Those after it have the last word: what is test must not depend on whether there is a val.
    for split in (Split.VAL, Split.TEST, Split.HOLDOUT):
        if fractions[split]:
            side[places(together.keys, NAMES[split]) < fractions[split]] = split
    sides = (Split.TRAIN, Split.VAL, Split.TEST, Split.HOLDOUT)
    votes = np.stack([np.bincount(together.of[remembered == s], minlength=n_units) for s in sides])
    old = votes.any(axis=0)
    # a new member joins the side that most of the old ones are on; the old ones stay in any case
    side[old] = votes.argmax(axis=0)[old].astype(np.uint8) + 1
    new = pool & (remembered == Split.NONE)
    out[new] = side[together.of[new]]
    for split in (Split.VAL, Split.TEST, Split.HOLDOUT):
        if fractions[split]:
            _fill_small_classes(out, new, np.logical_not(old), together, labels, classes, split)
    torn = (votes > 0).sum(axis=0) > 1
    return int(torn.sum()), np.flatnonzero(new & torn[together.of])


@final
class _Index:
    """The rows of each number in a column, without a pass over all rows for each."""

    def __init__(self, numbers: NDArray[np.integer], count: int) -> None:
        self._rows = np.argsort(numbers, kind="stable")
        self._ends = np.cumsum(np.bincount(numbers, minlength=count))

    def rows(self, number: int | np.integer) -> NDArray[np.int64]:
        return self._rows[self._ends[number - 1] if number else 0 : self._ends[number]]


def _fill_small_classes(
    out: NDArray[np.uint8],
    new: NDArray[np.bool_],
    free: NDArray[np.bool_],
    together: Units,
    labels: NDArray[np.int32],
    classes: int,
    split: Split,
) -> None:
    """Moves single units so that each class with two units or more has some in train and, if it can, in `split`."""
    place = places(together.keys, NAMES[split])
    by_label = by_unit = None
    for wanted, other in ((Split.TRAIN, split), (split, Split.TRAIN)):
        has = np.bincount(labels[out == wanted], minlength=classes)
        left = np.bincount(labels[out == other], minlength=classes)
        for label in np.flatnonzero((has == 0) & (left > 0)):
            if has[label]:
                continue  # a unit with several classes, moved for another one, has served this one too
            if by_label is None or by_unit is None:
                by_label, by_unit = _Index(labels, classes), _Index(together.of, len(together.keys))
            rows = by_label.rows(label)
            rows = rows[new[rows] & (out[rows] == other) & free[together.of[rows]]]
            candidates = np.unique(together.of[rows])
            # the unit nearest to the edge of the split: last out of it, first into it
            order = np.argsort(place[candidates], kind="stable")[:: 1 if wanted == split else -1]
            moved: list[NDArray[np.int64]] = []
            for unit in candidates[order]:
                members = by_unit.rows(unit)
                members = members[new[members] & (out[members] == other)]
                touched, count = np.unique(labels[members], return_counts=True)
                if (left[touched] > count).all():
                    moved = [members]
                    break
            if (
                not moved and wanted == Split.TRAIN
            ):  # nothing can be spared: what cannot be learned need not be measured
                moved = [m[new[m] & (out[m] == other)] for m in map(by_unit.rows, candidates)]
            for members in moved:
                out[members] = wanted
                np.add.at(has, labels[members], 1)
                np.subtract.at(left, labels[members], 1)


# ---- what is said about it -----------------------------------------------------------------------------------------


@final
@dataclass(frozen=True)
class _Noticed:
    """What `assign` knows when it comes to the report."""

    asked: dict[Split, Part]
    declared: dict[Split, bool]
    fractions: dict[Split, float]
    remembered: NDArray[np.uint8]
    bridges: int
    joining: NDArray[np.int64]
    together: Units
    notes: list[str]


def _report(
    samples: Samples,
    hashes: NDArray[np.uint8],
    out: NDArray[np.uint8],
    good: NDArray[np.bool_],
    near: Near | None,
    noticed: _Noticed,
) -> SplitReport:
    content = content_numbers(hashes)
    counts = {split: int((out == split).sum()) for split in Split}
    in_use = np.flatnonzero(good)
    duplicates = len(in_use) - len(np.unique(content[in_use]))
    conflicts = conflicts_of(content, samples.labels, in_use) if duplicates else ()
    leaks = exact_leaks(content, out) if duplicates else ()
    alike = np.zeros((0, 2), np.int64)
    if near is not None:
        alike = near.pairs[good[near.pairs].all(axis=1)]
        alike = alike[content[alike[:, 0]] != content[alike[:, 1]]]
    unmeasured: tuple[str, ...] = ()
    if counts[Split.VAL] or noticed.fractions[Split.VAL]:
        train, val = (samples.counts(np.flatnonzero(out == split)) for split in (Split.TRAIN, Split.VAL))
        unmeasured = tuple(samples.classes[c] for c in np.flatnonzero((train > 0) & (val == 0)))
    report = SplitReport(
        how=_how(counts, noticed),
        train=counts[Split.TRAIN],
        val=counts[Split.VAL],
        test=counts[Split.TEST],
        holdout=counts[Split.HOLDOUT],
        aside=counts[Split.NONE],
        duplicates=duplicates,
        near=len(np.unique(alike)),
        conflicts=conflicts,
        leaks=leaks,
        near_leaks=near_leaks(alike, content, out),
        unmeasured=unmeasured,
        remembered=int((noticed.remembered > 0).sum()),
        bridges=noticed.bridges,
        taken_apart=noticed.together.taken_apart,
        clusters=_clusters(noticed.together.of),
        notes=(),
    )
    return replace(report, notes=(*noticed.notes, *_notes(samples, report, noticed)))


def _how(counts: dict[Split, int], noticed: _Noticed) -> str:
    how: list[str] = []
    for split, part in noticed.asked.items():
        name, fraction, n = NAMES[split], noticed.fractions[split], counts[split]
        if part == "none":
            how.append(say("split_how_none", name=name))
        elif fraction:
            how.append(say("split_how_fraction", name=name, percent=f"{100 * fraction:g}", n=n))
        elif noticed.declared[split]:
            how.append(say("split_how_declared", name=name, n=n))
        elif n:
            how.append(say("split_how_kept_out", name=name, n=n))
    if noticed.remembered.any():
        how.append(say("split_how_memory", n=int((noticed.remembered > 0).sum())))
    return "; ".join(how)


def _clusters(of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers from 1 on, in the order of rows, for units of several samples; 0 for the others."""
    _, first, of, size = np.unique(of, return_index=True, return_inverse=True, return_counts=True)
    numbers = np.zeros(len(size), np.int64)
    several = np.flatnonzero(size > 1)
    numbers[several[np.argsort(first[several])]] = np.arange(1, len(several) + 1)
    return numbers[of]


def _notes(samples: Samples, report: SplitReport, noticed: _Noticed) -> list[str]:
    name = samples.source.name
    notes: list[str] = []
    if report.unmeasured:
        notes.append(say("split_unmeasured", n=len(report.unmeasured), names=listing(report.unmeasured)))
    if report.duplicates:
        notes.append(say("split_duplicates", n=report.duplicates))
    if report.near:
        notes.append(say("split_near", n=report.near))
    if report.taken_apart:
        notes.append(say("split_taken_apart", n=report.taken_apart, percent=f"{100 * LARGEST:g}"))
    if report.conflicts:
        names = listing([name(row) for row in report.conflicts[0]])
        notes.append(say("split_conflicts", n=len(report.conflicts), names=names))
    for leaks, phrase in ((report.leaks, "split_leak"), (report.near_leaks, "split_near_leak")):
        for leak in leaks:
            names = listing([name(row) for row, _ in leak.examples], most=3)
            later, earlier = NAMES[leak.later], NAMES[leak.earlier]
            notes.append(say(phrase, n=leak.count, later=later, earlier=earlier, names=names))
    if report.bridges:
        notes.append(say("split_bridges", n=report.bridges))
        if len(noticed.joining):
            names = listing([name(int(row)) for row in noticed.joining[:3]], most=3)
            notes.append(say("split_bridging", n=len(noticed.joining), names=names))
    if report.val and not report.test:
        notes.append(say("split_optimistic"))
    return notes
