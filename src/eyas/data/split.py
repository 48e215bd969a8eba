"""Which samples train, which choose, which are scored at the end: by content, so that more photos never move old ones.

    declared   what the data says stays as it is
    memory     what an earlier `splits.csv` says stays as it is
    the rest   each unit has a place in 0..1 by a keyed hash of its bytes; below the fraction it is val (or test)

A unit is everything that must stay on one side: equal bytes, and samples of one `group`, taken together. The place of a
unit depends on nothing but its own bytes (or the name of its group), not on a seed, on file names or on other photos:
the shares are therefore near the fraction, not equal to it. Small classes are the exception: a class with two units or
more always has one in val and one in train, and the unit nearest to the edge is taken for that; only there can a new
photo change an old one's side, which `splits.csv` prevents.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from eyas.data.layouts.assemble import decode_text
from eyas.data.layouts.names import listing
from eyas.data.samples import FileSource, Samples, Split
from eyas.errors import DataError
from eyas.errors.messages import say

DEFAULT_FRACTION = 0.1
"""Of the training samples, when the data has no val."""

SPLIT_VERSION = 1
"""Part of the fingerprint of a run: another version may divide differently."""

_NAMES = {Split.NONE: "none", Split.TRAIN: "train", Split.VAL: "val", Split.TEST: "test"}
_COLUMNS = ["path", "label", "split", "group", "hash"]


@final
@dataclass(frozen=True)
class Leak:
    """Samples of `later` whose very bytes are in `earlier` as well; `examples` are row numbers in `later`."""

    earlier: Split
    later: Split
    count: int
    examples: tuple[int, ...]


@final
@dataclass(frozen=True)
class SplitReport:
    """What was decided and what was noticed on the way. `conflicts` and `leaks` are findings L02 and L03."""

    how: str
    """One sentence for people."""
    train: int
    val: int
    test: int
    aside: int
    """Samples in no split: set aside as unreadable, or declared for a split that was switched off."""
    duplicates: int
    """Samples whose bytes an earlier row has too (L01)."""
    conflicts: tuple[tuple[int, ...], ...]
    """Rows with the same bytes and different labels (L02), one tuple for each such content."""
    leaks: tuple[Leak, ...]
    """The same bytes in two splits (L03): only where the data, or an earlier split, declared it so."""
    unmeasured: tuple[str, ...]
    """Classes with training samples and none in val, when there is a val."""
    remembered: int
    """Samples that were in the memory and stayed where they were."""
    bridges: int
    """Units that the memory holds on both sides: duplicates or groups that were joined later."""
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


@final
@dataclass(frozen=True)
class Units:
    """What must stay together: `of` int64 (n,) is the unit of each sample, `keys` uint64 (units,) its stable key."""

    of: NDArray[np.int64]
    keys: NDArray[np.uint64]


def units(hashes: NDArray[np.uint8], groups: NDArray[np.int64] | None, good: NDArray[np.bool_]) -> Units:
    """Samples joined by equal bytes and by equal group (-1 = in no group), transitively; unreadable ones stay alone."""
    n = len(hashes)
    content = _content_numbers(hashes)
    content[~good] = n + np.flatnonzero(~good)
    keys = np.ascontiguousarray(hashes[:, :8]).view("<u8")[:, 0].astype(np.uint64)
    grouped = np.zeros(n, bool) if groups is None else (groups >= 0) & good
    if groups is None or not grouped.any():
        of = content
    else:
        _, group = np.unique(np.where(grouped, groups, -1 - np.arange(n)), return_inverse=True)
        _, same = np.unique(content, return_inverse=True)
        of = np.arange(n)
        while True:  # the smallest number spreads along both kinds of ties until nothing changes
            before = of
            for ties in (same, group):
                least = np.full(n, n)
                np.minimum.at(least, ties, of)
                of = least[ties]
            if (of == before).all():
                break
    _, of = np.unique(of, return_inverse=True)
    if groups is not None and grouped.any():
        # where there is a group its name decides alone: a copy that turns up outside it must not move the others
        named = np.zeros(int(of.max()) + 1, bool)
        named[of[grouped]] = True
        keys = np.where(grouped, groups.astype(np.uint64) ^ np.uint64(0x67726F7570), keys)
        keys = np.where(named[of] & ~grouped, np.iinfo(np.uint64).max, keys)
    least_key = np.full(int(of.max()) + 1 if n else 0, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(least_key, of, keys)
    return Units(of.astype(np.int64), least_key)


def _content_numbers(hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
    """int64 (n,): equal numbers for equal bytes."""
    if not len(hashes):
        return np.zeros(0, np.int64)
    _, numbers = np.unique(np.ascontiguousarray(hashes).view("V16")[:, 0], return_inverse=True)
    return numbers.astype(np.int64)


# ---- splits.csv --------------------------------------------------------------------------------------------------


def write_splits(path: Path, samples: Samples, splits: NDArray[np.uint8], hashes: NDArray[np.uint8]) -> None:
    """Writes `splits.csv`: path, label, split, group, hash, one row a sample. Whole or not at all."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    digits = hashes.tobytes().hex()
    width = hashes.shape[1] * 2
    for row in range(len(samples)):
        group = "" if samples.groups is None or samples.groups[row] < 0 else int(samples.groups[row])
        label = samples.classes[samples.labels[row]]
        name = _NAMES[Split(int(splits[row]))]
        writer.writerow([samples.source.name(row), label, name, group, digits[row * width : (row + 1) * width]])
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.getvalue().encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@final
@dataclass(frozen=True)
class Memory:
    """Where samples were in an earlier split, by content and by name."""

    by_hash: dict[bytes, Split]
    by_path: dict[str, tuple[bytes, Split]]


def read_splits(path: Path) -> Memory:
    """The memory in a `splits.csv`. A file that is missing or damaged is EY-D064, with the line."""
    try:
        text, _ = decode_text(path.read_bytes(), path)
    except OSError as error:
        raise DataError("EY-D064", path=path, line=0, reason=error.strerror or error) from error
    reader = csv.reader(io.StringIO(text, newline=""))
    names = {name: split for split, name in _NAMES.items()}
    memory = Memory({}, {})
    try:
        header = next(reader, [])
        at = {name: header.index(name) for name in _COLUMNS if name in header}
        missing = [name for name in ("path", "split", "hash") if name not in at]
        if missing:
            raise DataError("EY-D064", path=path, line=1, reason=say("splits_columns", names=", ".join(missing)))
        for cells in reader:
            if not cells:
                continue
            if len(cells) < len(header):
                raise DataError("EY-D064", path=path, line=reader.line_num, reason=say("splits_short"))
            split = names.get(cells[at["split"]])
            if split is None:
                reason = say("splits_unknown", got=cells[at["split"]], allowed=", ".join(names))
                raise DataError("EY-D064", path=path, line=reader.line_num, reason=reason)
            try:
                content = bytes.fromhex(cells[at["hash"]])
            except ValueError:
                reason = say("splits_hash", got=cells[at["hash"]])
                raise DataError("EY-D064", path=path, line=reader.line_num, reason=reason) from None
            if split is not Split.NONE:
                memory.by_hash.setdefault(content, split)
                memory.by_path[cells[at["path"]]] = (content, split)
    except csv.Error as error:
        raise DataError("EY-D064", path=path, line=reader.line_num, reason=error) from error
    return memory


def inherit(memory: Path, samples: Samples, hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (n,) of Split: where `splits.csv` has each sample, NONE for one that it does not know.

    The same name with the same bytes first, then the same bytes under another name, then the name with other bytes (an
    edited photo). Raw arrays have no names of their own and are known by bytes alone.
    """
    known = read_splits(memory)
    has_names = isinstance(samples.source, FileSource)
    out = np.zeros(len(samples), np.uint8)
    for row in range(len(samples)):
        digest = hashes[row].tobytes()
        content, split = known.by_path.get(samples.source.name(row), (b"", Split.NONE))
        if content == digest:
            out[row] = split
        elif digest in known.by_hash:
            out[row] = known.by_hash[digest]
        elif has_names:
            out[row] = split
    return out


# ---- the decision ------------------------------------------------------------------------------------------------


def assign(
    samples: Samples,
    hashes: NDArray[np.uint8],
    *,
    val: str | None = None,
    test: str | None = None,
    bad: Sequence[int] | NDArray[np.integer] | None = None,
    memory: Path | None = None,
) -> tuple[NDArray[np.uint8], SplitReport]:
    """uint8 (n,) of Split for every sample, and what there is to know about it.

    `hashes` uint8 (n, 16): a hash of each sample's bytes (of its pixels for arrays). `val` and `test`: None, "none" or
    a fraction; a path has been joined by `source.find` and is a declared split here. `bad`: rows that cannot be read;
    they get NONE and count for nothing. `memory`: an earlier `splits.csv`.

    Raises EY-D060, EY-D061 (a fraction for a split that the data declares), EY-D064, EY-D065 (nothing to train on).
    """
    n = len(samples)
    assert hashes.shape == (n, 16)
    assert hashes.dtype == np.uint8
    good = np.ones(n, bool)
    if bad is not None:
        good[np.asarray(bad, np.int64)] = False
    asked: dict[Split, Part] = {Split.VAL: parse_part(val, "val"), Split.TEST: parse_part(test, "test")}
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
    together = units(hashes, samples.groups, good)
    remembered = np.zeros(n, np.uint8)
    if memory is not None:
        remembered = inherit(memory, samples, hashes)
        remembered[~pool] = Split.NONE
        if asked[Split.VAL] == "none" or declared[Split.VAL]:
            moved = int((remembered == Split.VAL).sum())
            if moved:
                notes.append(say("split_val_trains", n=moved))
            remembered[remembered == Split.VAL] = Split.TRAIN
        out[remembered > 0] = remembered[remembered > 0]
    bridges = _divide(out, pool, remembered, together, samples.labels, len(samples.classes), fractions)
    if asked[Split.TEST] == "none" and memory is not None:  # once test, never train
        out[remembered == Split.TEST] = Split.NONE

    if not (out == Split.TRAIN).any():
        raise DataError(
            "EY-D065",
            n=n,
            bad=int((~good).sum()),
            val=int((out == Split.VAL).sum()),
            test=int((out == Split.TEST).sum()),
        )
    report = _report(samples, hashes, out, good, asked, declared, fractions, remembered, bridges, notes)
    return out, report


def _fraction(part: Part, split: Split, declared: bool) -> float:
    if isinstance(part, float):
        return part
    if part is None and split is Split.VAL and not declared:
        return DEFAULT_FRACTION
    return 0.0


def _divide(
    out: NDArray[np.uint8],
    pool: NDArray[np.bool_],
    remembered: NDArray[np.uint8],
    together: Units,
    labels: NDArray[np.int32],
    classes: int,
    fractions: dict[Split, float],
) -> int:
    """Puts the pool's units on their sides, in place; gives the number of units that the memory holds on both."""
    n_units = len(together.keys)
    side = np.full(n_units, Split.TRAIN, np.uint8)
    for split in (Split.VAL, Split.TEST):  # test has the last word: it must not depend on whether there is a val
        if fractions[split]:
            side[places(together.keys, _NAMES[split]) < fractions[split]] = split
    votes = np.stack(
        [np.bincount(together.of[remembered == s], minlength=n_units) for s in (Split.TRAIN, Split.VAL, Split.TEST)]
    )
    old = votes.any(axis=0)
    # a new member joins the side that most of the old ones are on; the old ones stay in any case
    side[old] = votes.argmax(axis=0)[old].astype(np.uint8) + 1
    new = pool & (remembered == Split.NONE)
    out[new] = side[together.of[new]]
    for split in (Split.VAL, Split.TEST):
        if fractions[split]:
            _fill_small_classes(out, new, np.logical_not(old), together, labels, classes, split)
    return int(((votes > 0).sum(axis=0) > 1).sum())


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
    place = places(together.keys, _NAMES[split])
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


def _report(
    samples: Samples,
    hashes: NDArray[np.uint8],
    out: NDArray[np.uint8],
    good: NDArray[np.bool_],
    asked: dict[Split, Part],
    declared: dict[Split, bool],
    fractions: dict[Split, float],
    remembered: NDArray[np.uint8],
    bridges: int,
    notes: list[str],
) -> SplitReport:
    content = _content_numbers(hashes)
    counts = {split: int((out == split).sum()) for split in Split}
    in_use = np.flatnonzero(good)
    duplicates = len(in_use) - len(np.unique(content[in_use]))
    conflicts = _conflicts(content, samples.labels, in_use) if duplicates else ()
    leaks = _leaks(content, out) if duplicates else ()
    unmeasured: tuple[str, ...] = ()
    if counts[Split.VAL] or fractions[Split.VAL]:
        train, val = (
            samples.counts(np.flatnonzero(out == Split.TRAIN)),
            samples.counts(np.flatnonzero(out == Split.VAL)),
        )
        unmeasured = tuple(samples.classes[c] for c in np.flatnonzero((train > 0) & (val == 0)))
    kept = int((remembered > 0).sum())
    how: list[str] = []
    for split, part in asked.items():
        name = _NAMES[split]
        if part == "none":
            how.append(say("split_how_none", name=name))
        elif fractions[split]:
            how.append(
                say(
                    "split_how_fraction",
                    name=name,
                    percent=f"{100 * fractions[split]:g}",
                    n=counts[split],
                )
            )
        elif declared[split]:
            how.append(say("split_how_declared", name=name, n=counts[split]))
    if kept:
        how.append(say("split_how_memory", n=kept))
    if unmeasured:
        notes.append(say("split_unmeasured", n=len(unmeasured), names=listing(unmeasured)))
    if duplicates:
        notes.append(say("split_duplicates", n=duplicates))
    if conflicts:
        names = [samples.source.name(row) for row in conflicts[0]]
        notes.append(say("split_conflicts", n=len(conflicts), names=listing(names)))
    notes += [
        say(
            "split_leak",
            n=leak.count,
            later=_NAMES[leak.later],
            earlier=_NAMES[leak.earlier],
            names=listing([samples.source.name(row) for row in leak.examples], most=3),
        )
        for leak in leaks
    ]
    if bridges:
        notes.append(say("split_bridges", n=bridges))
    return SplitReport(
        how="; ".join(how),
        train=counts[Split.TRAIN],
        val=counts[Split.VAL],
        test=counts[Split.TEST],
        aside=counts[Split.NONE],
        duplicates=duplicates,
        conflicts=conflicts,
        leaks=leaks,
        unmeasured=unmeasured,
        remembered=kept,
        bridges=bridges,
        notes=tuple(notes),
    )


def _conflicts(
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


def _leaks(content: NDArray[np.int64], out: NDArray[np.uint8]) -> tuple[Leak, ...]:
    """Equal bytes in two splits."""
    leaks: list[Leak] = []
    for earlier, later in ((Split.TRAIN, Split.VAL), (Split.TRAIN, Split.TEST), (Split.VAL, Split.TEST)):
        rows = np.flatnonzero(out == later)
        shared = rows[np.isin(content[rows], content[out == earlier])]
        if len(shared):
            leaks.append(Leak(earlier, later, len(shared), tuple(int(row) for row in shared[:5])))
    return tuple(leaks)
