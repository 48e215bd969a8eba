"""Audit: what is wrong with images, or worth knowing, as coded findings. Pure: columns in, findings out.

    E01..E09  cannot be used: the file is broken, not an image, too large, not allowed, not readable, without a label
    W01..W10  can be used, and something was done to it or is odd about it
    L01..L05  duplicates, leaks between splits, labels that contradict each other or a trained model
    C01..C05  what is wrong with a class, a split or a name

Who has decoded the images (`data.examine` for `eyas check`, a pack for `eyas train`) hands over the columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from eyas.data.layouts.names import nfc, suffix
from eyas.data.pack import Pack
from eyas.data.samples import ByteSource, Samples, Split
from eyas.data.split import DEFAULT_FRACTION
from eyas.data.worker import FORMATS
from eyas.errors.messages import printable, say

TINY = 32
"""W08: a picture whose longer side is shorter than this shows little. Sets that are small throughout are meant so."""
EXTREME = 20.0
"""W08: long side over short side."""
FEW = 5
"""C02: images of a class in val, below which its score says nothing."""
UNEVEN = 20.0
"""C03: largest class over smallest."""
NO_FORMAT = 255

_SUFFIXES: dict[str, frozenset[str]] = {
    "JPEG": frozenset({".jpg", ".jpeg", ".jpe", ".jfif"}),
    "PNG": frozenset({".png"}),
    "WEBP": frozenset({".webp"}),
    "BMP": frozenset({".bmp", ".dib"}),
    "GIF": frozenset({".gif"}),
    "TIFF": frozenset({".tif", ".tiff"}),
    "AVIF": frozenset({".avif"}),
}


# ---- the values ------------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, eq=False)
class Examined:
    """What is known of every sample after it was decoded once; columns aligned with `Samples`."""

    bad: Mapping[int, tuple[str, str]]
    """Row -> (code, detail) of what cannot be used."""
    shapes: NDArray[np.int64]
    """int64 (n, 2): height and width, upright; 0 where it is bad."""
    hashes: NDArray[np.uint8]
    """uint8 (n, 16): of the bytes; 0 where it is bad."""
    formats: NDArray[np.uint8]
    """uint8 (n,): index into `worker.FORMATS`; NO_FORMAT for raw pixels and bad ones."""
    notes: NDArray[np.uint16]
    """uint16 (n,): bit k - 1 is set for W<k>."""
    likeness: NDArray[np.uint8] | None = None
    """uint8 (n, `likeness.BYTES`); None where the images came as pixels."""

    @property
    def good(self) -> NDArray[np.bool_]:
        """bool (n,): can be used."""
        out = np.ones(len(self.shapes), bool)
        out[np.fromiter(self.bad, np.int64, len(self.bad))] = False
        return out


@final
@dataclass(frozen=True, eq=False)
class Finding:
    """One code with everything it was found at: rows of `Samples`, and names where no sample is meant."""

    code: str
    rows: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    details: tuple[str, ...] = ()
    """As many as rows, or none at all."""
    names: tuple[tuple[str, str], ...] = ()
    """(name, detail)"""
    more: int = 0
    """How many there are beyond those that are named."""
    others: tuple[int, ...] = ()
    """L04: the row that each is nearly the same as."""
    fixes: tuple[tuple[int, str], ...] = ()
    """(row, `remove` | `relabel` | `convert` | `keep`): what would mend it."""

    @property
    def count(self) -> int:
        """At how many samples, classes or names."""
        return len(self.rows) + len(self.names) + self.more

    def cases(self, samples: Samples) -> Iterator[tuple[str, str]]:
        """(name, detail) of each, as far as they are named; the detail may be empty. Not made printable."""
        for at, row in enumerate(self.rows.tolist()):
            yield samples.source.name(row), self.details[at] if self.details else ""
        yield from self.names

    def merged(self, more: Finding) -> Finding:
        """Both, of one code."""
        assert more.code == self.code
        return Finding(
            self.code,
            np.concatenate([self.rows, more.rows]),
            (*self.details, *more.details),
            (*self.names, *more.names),
            self.more + more.more,
            (*self.others, *more.others),
            (*self.fixes, *more.fixes),
        )


def across(samples: Samples, earlier: Split, later: Split, sign: str, others: Sequence[int]) -> tuple[str, ...]:
    """`train -> val: = cats/1.jpg`: what pictures of `later` are to those of `earlier`."""
    arrow = f"{earlier.name.lower()} -> {later.name.lower()}"
    return tuple(f"{arrow}: {sign} {samples.source.name(row)}" for row in others)


def to_list(findings: Sequence[Finding], samples: Samples, *, most: int = 5) -> list[dict[str, Any]]:
    """`[{code, count, message, examples}]` for JSON: messages in English, names printable."""
    out: list[dict[str, Any]] = []
    for finding in findings:
        examples: list[str] = []
        for name, detail in finding.cases(samples):
            if len(examples) == most:
                break
            examples.append(printable(f"{name}: {detail}" if detail else name).replace("\n", "\\n"))
        message = say(f"finding.{finding.code}", lang="en")
        out.append({"code": finding.code, "count": finding.count, "message": message, "examples": examples})
    return out


# ---- from packs ------------------------------------------------------------------------------------------------------


def of_packs(samples: Samples, packs: Sequence[Pack]) -> Examined:
    """The columns of packs that hold these samples between them; a row that several hold is the same in all."""
    n = len(samples)
    only = packs[0] if len(packs) == 1 and packs[0].n == n else None
    if only is not None and only.formats is not None and only.notes is not None:
        formats = only.formats.copy()  # the rest is not: what a million pictures look like takes 300 MB
        formats[np.fromiter(only.bad, np.int64, len(only.bad))] = NO_FORMAT
        return Examined(only.bad, only.shapes, only.hashes, formats, only.notes, only.likeness)
    bad: dict[int, tuple[str, str]] = {}
    shapes, hashes = np.zeros((n, 2), np.int64), np.zeros((n, 16), np.uint8)
    formats, notes = np.full(n, NO_FORMAT, np.uint8), np.zeros(n, np.uint16)
    with_likeness = [pack.likeness for pack in packs if pack.likeness is not None]
    whole = len(with_likeness) == len(packs) and len(packs) > 0
    likeness = np.zeros((n, with_likeness[0].shape[1]), np.uint8) if whole else None
    for pack in packs:
        bad |= pack.bad
        shapes[pack.rows], hashes[pack.rows] = pack.shapes, pack.hashes
        if pack.formats is not None and pack.notes is not None:
            formats[pack.rows], notes[pack.rows] = pack.formats, pack.notes
        if likeness is not None and pack.likeness is not None:
            likeness[pack.rows] = pack.likeness
    formats[np.fromiter(bad, np.int64, len(bad))] = NO_FORMAT
    return Examined(bad, shapes, hashes, formats, notes, likeness)


# ---- E: what cannot be used ------------------------------------------------------------------------------------------

_FIX = {"E07": "convert", "E08": "keep", "E09": "relabel"}


def broken(bad: Mapping[int, tuple[str, str]]) -> list[Finding]:
    """E01 to E09, by code."""
    by_code: dict[str, list[int]] = {}
    for row in sorted(bad):
        by_code.setdefault(bad[row][0], []).append(row)
    return [
        Finding(
            code,
            np.array(rows, np.int64),
            tuple(bad[row][1] for row in rows),
            fixes=tuple((row, _FIX.get(code, "remove")) for row in rows),
        )
        for code, rows in sorted(by_code.items())
    ]


# ---- W: what is odd --------------------------------------------------------------------------------------------------


def noticed(samples: Samples, examined: Examined) -> list[Finding]:
    """W01 to W10, by code."""
    good = examined.good
    found: list[Finding] = []
    wrong, said = _misnamed(samples, examined)
    if len(wrong):
        found.append(Finding("W01", wrong, said))
    for k in (*range(2, 8), 9, 10):
        rows = np.flatnonzero(good & (examined.notes >> (k - 1) & 1 > 0))
        if len(rows):
            found.append(Finding(f"W{k:02d}", rows))
    odd = _small_or_long(examined.shapes, good)
    if len(odd):
        sizes = tuple(f"{w} x {h}" for h, w in examined.shapes[odd].tolist())
        found.append(Finding("W08", odd, sizes))
    return sorted(found, key=lambda finding: finding.code)


def _misnamed(samples: Samples, examined: Examined) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Rows whose suffix is that of another format; a name without the suffix of an image says nothing."""
    known = frozenset().union(*_SUFFIXES.values())
    rows: list[int] = []
    said: list[str] = []
    for row in np.flatnonzero(examined.formats != NO_FORMAT).tolist():
        end, name = suffix(samples.source.name(row)), FORMATS[examined.formats[row]]
        if end in known and end not in _SUFFIXES[name]:
            rows.append(row)
            said.append(name)
    return np.array(rows, np.int64), tuple(said)


def _small_or_long(shapes: NDArray[np.int64], good: NDArray[np.bool_]) -> NDArray[np.int64]:
    if not good.any():
        return np.zeros(0, np.int64)
    short, long = shapes.min(axis=1), shapes.max(axis=1)
    tiny = (long < TINY) & (np.median(long[good]) >= TINY)  # where the usual picture is as small, it is no news
    return np.flatnonzero(good & (tiny | (long > EXTREME * np.maximum(short, 1))))


# ---- L: what is there twice ------------------------------------------------------------------------------------------


def _sides(splits: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Which side each sample will be on: what is not declared trains."""
    return np.where(splits == Split.NONE, np.uint8(Split.TRAIN), splits)


def repeated(
    samples: Samples, examined: Examined, splits: NDArray[np.uint8], among: NDArray[np.bool_]
) -> list[Finding]:
    """L01 the same bytes twice in one class and split, L02 with different labels, L03 in two splits; `among` some."""
    rows = np.flatnonzero(among)
    keys = np.ascontiguousarray(examined.hashes[rows]).view("V16")[:, 0]
    _, first, number, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    if len(first) == len(rows):
        return []
    shared = count[number] > 1
    rows, number = rows[shared], number[shared]
    labels, sides = samples.labels[rows], _sides(splits)[rows]
    order = np.lexsort((rows, number))
    rows, number, labels, sides = rows[order], number[order], labels[order], sides[order]
    starts = np.flatnonzero(np.r_[True, np.diff(number) > 0])
    content = np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(rows)]))
    found: list[Finding] = []

    original = _first_alike(np.stack([content, labels, sides], axis=1))
    again = np.flatnonzero(original != np.arange(len(rows)))
    if len(again):
        fixes = [(int(rows[i]), "keep") for i in np.unique(original[again]).tolist()]
        fixes += [(int(rows[i]), "remove") for i in again.tolist()]
        said = tuple(f"= {samples.source.name(row)}" for row in rows[original[again]].tolist())
        at, said = _sorted(rows[again], said)
        found.append(Finding("L01", at, said, fixes=tuple(sorted(fixes))))

    torn = np.minimum.reduceat(labels, starts) != np.maximum.reduceat(labels, starts)
    at = np.flatnonzero(torn[content])
    if len(at):
        other = [_another(labels, starts, content, i) for i in at.tolist()]
        said = tuple(
            f"{samples.classes[labels[i]]}; = {samples.source.name(int(rows[j]))} ({samples.classes[labels[j]]})"
            for i, j in zip(at.tolist(), other, strict=True)
        )
        where, said = _sorted(rows[at], said)
        found.append(Finding("L02", where, said, fixes=tuple((int(row), "relabel") for row in where)))

    earliest = np.minimum.reduceat(sides, starts)[content]
    late = np.flatnonzero(sides > earliest)
    if len(late):
        source = _first_alike(np.stack([content, sides], axis=1))
        by_side = {(int(content[i]), int(sides[i])): int(i) for i in np.unique(source).tolist()}
        others = [by_side[int(content[i]), int(earliest[i])] for i in late.tolist()]
        said = tuple(
            f"{_arrow(int(sides[j]), int(sides[i]))}: = {samples.source.name(int(rows[j]))}"
            for i, j in zip(late.tolist(), others, strict=True)
        )
        last = np.maximum.reduceat(sides, starts)[content]
        leaking = np.flatnonzero(earliest != last)
        # What is scored stays: scores remain comparable, and training loses a picture or two.
        fixes = [(int(rows[i]), "keep" if sides[i] == last[i] else "remove") for i in leaking.tolist()]
        where, said = _sorted(rows[late], said)
        found.append(Finding("L03", where, said, fixes=tuple(sorted(fixes))))
    return found


def _first_alike(columns: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """int64 (k,): for each line of `columns` the number of the first one that is equal."""
    _, first, number = np.unique(columns, axis=0, return_index=True, return_inverse=True)
    return first[number.reshape(-1)]


def _another(labels: NDArray[np.int32], starts: NDArray[np.int64], content: NDArray[np.int64], one: int) -> int:
    """The first of the same content with another label."""
    start = int(starts[content[one]])
    end = int(starts[content[one] + 1]) if content[one] + 1 < len(starts) else len(labels)
    return start + int(np.flatnonzero(labels[start:end] != labels[one])[0])


def _sorted(rows: NDArray[np.int64], said: tuple[str, ...]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    order = np.argsort(rows, kind="stable")
    return rows[order], tuple(said[i] for i in order.tolist())


def _arrow(earlier: int, later: int) -> str:
    return f"{Split(earlier).name.lower()} -> {Split(later).name.lower()}"


def alike(samples: Samples, examined: Examined, pairs: NDArray[np.int64], splits: NDArray[np.uint8]) -> list[Finding]:
    """L04: near-duplicates, int64 (k, 2) rows, that lie in two splits and are not the very same bytes."""
    sides = _sides(splits)
    if not len(pairs):
        return []
    a, b = pairs[:, 0], pairs[:, 1]
    same = (examined.hashes[a] == examined.hashes[b]).all(axis=1)
    apart = (sides[a] != sides[b]) & ~same
    a, b = a[apart], b[apart]
    if not len(a):
        return []
    early, late = np.where(sides[a] < sides[b], a, b), np.where(sides[a] < sides[b], b, a)
    rows, first = np.unique(late, return_index=True)
    said = tuple(
        f"{_arrow(int(sides[other]), int(sides[row]))}: ~ {samples.source.name(int(other))}"
        for row, other in zip(rows.tolist(), early[first].tolist(), strict=True)
    )
    fixes = [(int(row), "keep") for row in np.setdiff1d(rows, early)]
    fixes += [(int(row), "remove") for row in np.unique(early)]
    others = tuple(int(row) for row in early[first])
    return [Finding("L04", rows, said, others=others, fixes=tuple(sorted(fixes)))]


def mislabelled(
    samples: Samples, rows: NDArray[np.int64], labels: NDArray[np.int64], scores: NDArray[np.floating[Any]]
) -> list[Finding]:
    """L05: labels that a model contradicts with confidence; the surest first.

    `scores` (k, classes) are probabilities for samples that it was not trained on, `labels` (k,) what they are labelled
    as, in its numbering, which is that of `samples.classes`; `rows` (k,) of `Samples`.

    Confident learning (Northcutt, Jiang and Chuang, 2021, https://doi.org/10.1613/jair.1.12125): a class is believed
    where its probability reaches the mean that it has over the images labelled so. An image is suspect when the answer
    of the model is such a class, is not its label, and is more probable than all others together: what a model that has
    learnt little says in passing is no finding.
    """
    k, classes = scores.shape
    own = scores[np.arange(k), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=classes)
    means = np.bincount(labels, weights=own, minlength=classes) / np.maximum(counts, 1)
    best = scores.argmax(axis=1)
    sure = scores[np.arange(k), best]
    suspect = np.flatnonzero((best != labels) & (counts[best] > 0) & (sure >= means[best]) & (sure > 0.5))
    margin = scores[suspect, best[suspect]] - own[suspect]
    order = np.lexsort((rows[suspect], -margin))
    at = suspect[order]
    if not len(at):
        return []
    said = tuple(
        f"{samples.classes[labels[i]]} -> {samples.classes[best[i]]} ({scores[i, best[i]]:.2f} : {own[i]:.2f})"
        for i in at.tolist()
    )
    return [Finding("L05", rows[at], said, fixes=tuple((int(rows[i]), "relabel") for i in at.tolist()))]


# ---- C: classes, splits and names ------------------------------------------------------------------------------------


def classes(samples: Samples, good: NDArray[np.bool_], splits: NDArray[np.uint8], *, decided: bool) -> list[Finding]:
    """C01 a class of one image, C02 too little in val, C03 imbalance, C04 a class that train lacks.

    `decided`: whether `splits` are final; otherwise what is not declared is going to be divided.
    """
    found: list[Finding] = []

    def of(code: str, numbers: NDArray[np.int64], said: Sequence[str]) -> None:
        if len(numbers):
            listed = zip((samples.classes[c] for c in numbers.tolist()), said, strict=True)
            found.append(Finding(code, names=tuple(listed)))

    def counted(*wanted: Split) -> NDArray[np.int64]:
        return samples.counts(np.flatnonzero(good & np.isin(splits, wanted)))

    learnt = counted(Split.TRAIN) if decided else counted(Split.NONE, Split.TRAIN)
    val, test = counted(Split.VAL), counted(Split.TEST)
    single = np.flatnonzero(learnt + (val if decided else 0) == 1)
    of("C01", single, [""] * len(single))
    if val.any():
        few = np.flatnonzero((val < FEW) & (learnt > 0))
        of("C02", few, [f"{val[c]}" for c in few])
    elif not decided:
        few = np.flatnonzero((learnt > 1) & (learnt * DEFAULT_FRACTION < FEW))
        of("C02", few, [f"~ {max(1, round(learnt[c] * DEFAULT_FRACTION))} / {learnt[c]}" for c in few])
    there = np.flatnonzero(learnt > 0)
    if len(there):
        most = int(there[learnt[there].argmax()])
        scarce = there[learnt[there] * UNEVEN < learnt[most]]
        of("C03", scarce, [f"{learnt[c]} : {learnt[most]} ({samples.classes[most]})" for c in scarce])
        alone = np.flatnonzero((learnt == 0) & (val + test > 0))
        scored = (("val", val), ("test", test))
        of("C04", alone, [", ".join(f"{what} {n[c]}" for what, n in scored if n[c]) for c in alone])
    return found


def colliding(samples: Samples) -> list[tuple[str, str]]:
    """(name, the one it collides with): files, folders and classes that differ in case or Unicode form only."""
    out: list[tuple[str, str]] = []
    seen: dict[str, str] = {}
    for name in samples.classes:
        first = seen.setdefault(_folded(name), name)
        if first != name:
            out.append((name, first))
    n = len(samples.source)
    folders = dict.fromkeys(samples.source.name(row).rpartition("/")[0] for row in range(n))
    seen = {}
    for folder in folders:
        first = seen.setdefault(_folded(folder), folder)
        if first != folder and (folder, first) not in out:
            out.append((folder, first))
    # A number for each name instead of a second set of names: a million of them would take 300 MB.
    keys = np.fromiter((hash(_folded(samples.source.name(row))) for row in range(n)), np.int64, n)
    order = np.argsort(keys, kind="stable")
    twice = np.flatnonzero(np.diff(keys[order]) == 0)
    seen = {}
    for row in np.unique(order[np.concatenate([twice, twice + 1])]).tolist():
        name = samples.source.name(row)
        first = seen.setdefault(_folded(name), name)
        # In folders that collide everything does: the folders were named.
        if first != name and first.rpartition("/")[0] == name.rpartition("/")[0]:
            out.append((name, first))
    return out


def _folded(name: str) -> str:
    return nfc(name).casefold()


def beside(samples: Samples) -> list[Finding]:
    """E08, E09 and C05 about what is no sample: links that lead nowhere, images without a label, names."""
    found: list[Finding] = []
    left_out = {why: (count, first) for why, count, first in samples.left_out}
    for why in ("broken_link", "unreadable", "special"):
        count, first = left_out.get(why, (0, ()))
        if count:
            found.append(Finding("E08", names=tuple((name, why) for name in first), more=count - len(first)))
    if samples.unlabelled:
        found.append(Finding("E09", names=tuple((name, "") for name in samples.unlabelled)))
    pairs = colliding(samples) if isinstance(samples.source, ByteSource) else []
    count, first = left_out.get("hidden", (0, ()))
    if pairs or count:
        named = [*((name, f"= {other}") for name, other in pairs), *((name, "") for name in first)]
        found.append(Finding("C05", names=tuple(named), more=count - len(first)))
    return found


# ---- the story -------------------------------------------------------------------------------------------------------


def audit(
    samples: Samples,
    examined: Examined,
    *,
    splits: NDArray[np.uint8] | None = None,
    pairs: NDArray[np.int64] | None = None,
) -> list[Finding]:
    """Everything that the columns tell, in the order of the codes. `splits`, when given, are final.

    `pairs` int64 (k, 2): near-duplicates among the rows. What a model thinks of the labels is added by who has one.
    """
    sides = samples.splits if splits is None else splits
    among = examined.good if splits is None else examined.good & (splits != Split.NONE)
    found = [*broken(examined.bad), *noticed(samples, examined), *repeated(samples, examined, sides, among)]
    if pairs is not None:
        found += alike(samples, examined, pairs[among[pairs].all(axis=1)], sides)
    found += classes(samples, examined.good, sides, decided=splits is not None)
    return merged([*found, *beside(samples)])


def merged(findings: Sequence[Finding]) -> list[Finding]:
    """One for each code: errors first, then leaks, classes, and what was merely noticed; by code within."""
    out: dict[str, Finding] = {}
    for finding in findings:
        out[finding.code] = out[finding.code].merged(finding) if finding.code in out else finding
    return sorted(out.values(), key=lambda finding: ("ELCW".index(finding.code[0]), finding.code))
