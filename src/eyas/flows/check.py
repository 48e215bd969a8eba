"""`eyas check`: every image decoded by processes that may crash in our place, and everything odd said with a code.

    files -> Samples -> examined -> findings -> table, JSON, page, list of what to do

It changes nothing. It finds what `eyas train` finds, by the same decoder and the same audit.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DecodeError, decode, limits_with
from eyas.data import audit, source
from eyas.data.alike import alike
from eyas.data.audit import Examined, Finding
from eyas.data.examine import examine
from eyas.data.samples import ArraySource, ByteSource, Samples, Split
from eyas.data.splits_file import inherit
from eyas.errors import DataError, EyasError, UsageError
from eyas.errors.messages import printable, say
from eyas.evaluation import predictions as stored
from eyas.evaluation.predictions import escape, replace_file
from eyas.machine import cache_dir, look
from eyas.observe import check_page
from eyas.training import run as runs
from eyas.training.run import Run

RUNS = Path("runs")
SHOWN = 5
"""Examples of each finding in tables and JSON."""
PICTURES = 12
"""Pictures of each finding on the page."""

Progress = Callable[[str, int, int], None]
"""Told (stage, done, total) while something long runs."""


def _silent(stage: str, done: int, total: int) -> None:
    """The progress of those who do not want to know."""


@dataclass(frozen=True)
class Question:
    """What is to be looked at; the words are those of `eyas train`."""

    data: str
    val: str | None = None
    test: str | None = None
    label_from: str | None = None
    allow: str | None = None
    download: bool = False
    run: str | None = None
    """A run whose answers are held against the labels, and whose split is checked for leaks."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Those of `allow`, as the decoder calls them."""
        return tuple(name.upper() for name in self.allow.split(",")) if self.allow else ()


@dataclass(frozen=True, eq=False)
class Checked:
    """What was found."""

    samples: Samples
    examined: Examined
    findings: tuple[Finding, ...]
    refused: tuple[EyasError, ...]
    """Why `eyas train` would not start on it."""
    formats: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing is broken, nothing leaks, and training would start."""
        return not self.refused and not any(finding.code[0] in "EL" for finding in self.findings)

    @property
    def usable(self) -> int:
        """Images that can be decoded."""
        return len(self.samples) - len(self.examined.bad)

    def to_dict(self) -> dict[str, Any]:
        """The document of `--json`; messages in English."""
        samples = self.samples
        splits = {s.name.lower(): int((samples.splits == s).sum()) for s in Split if (samples.splits == s).any()}
        return {
            "images": len(samples),
            "usable": self.usable,
            "classes": [printable(name) for name in samples.classes],
            "layout": samples.layout,
            "splits": splits,
            "ok": self.ok,
            "findings": audit.to_list(self.findings, samples, most=SHOWN),
            "refused": [error.to_dict() for error in self.refused],
            "notes": list(samples.notes),
        }

    def lines(self) -> Iterator[dict[str, str]]:
        """A document for each case: `path`, `code`, `message`, the last one in English."""
        for finding in self.findings:
            title = say(f"finding.{finding.code}", lang="en")
            for name, detail in finding.cases(self.samples):
                yield {"path": name, "code": finding.code, "message": f"{title}: {detail}" if detail else title}


# ---- what is said of it ----------------------------------------------------------------------------------------------


def fix_list(checked: Checked) -> bytes:
    """A CSV of what would mend it: path, code, action (remove, relabel, convert, keep), why; paths escaped."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(("path", "code", "action", "why"))
    for finding in checked.findings:
        if finding.code[0] not in "EL":
            continue
        said = dict(zip(finding.rows.tolist(), finding.details, strict=False))
        for row, action in finding.fixes:
            name = checked.samples.source.name(row)
            out.writerow((escape(name), finding.code, action, escape(said.get(row, ""))))
        if finding.code == "E09":
            out.writerows((escape(name), finding.code, "relabel", "") for name, _ in finding.names)
    return text.getvalue().encode("utf-8", "backslashreplace")


def page(checked: Checked, *, data: str) -> bytes:
    """One HTML file with pictures of the examples."""
    samples = checked.samples
    limits = limits_with(checked.formats)

    def picture(row: int) -> NDArray[np.uint8] | None:
        if row in checked.examined.bad:  # its decoder may crash, and here it would be us
            return None
        try:
            if isinstance(samples.source, ArraySource):
                return samples.source.images[row]
            assert isinstance(samples.source, ByteSource)
            return decode(samples.source.read(row), min_side=check_page.SIDE, limits=limits)
        except (DecodeError, OSError):
            return None

    cards: list[check_page.Card] = []
    for finding in checked.findings:
        rows = [*finding.rows.tolist(), *[None] * len(finding.names)][:PICTURES]
        tiles = [
            check_page.Tile(name, detail, None if row is None else picture(row), other)
            for row, (name, detail), other in zip(
                rows,
                finding.cases(samples),
                [*(picture(row) for row in finding.others[:PICTURES]), *[None] * PICTURES],
                strict=False,
            )
        ]
        cards.append(check_page.Card(finding.code, finding.count, tuple(tiles)))
    facts = check_page.Facts(
        data, samples.layout, len(samples), checked.usable, len(samples.classes), checked.ok, samples.notes
    )
    return check_page.render(facts, cards, [error.text() for error in checked.refused])


# ---- looking ---------------------------------------------------------------------------------------------------------


def _samples(question: Question) -> tuple[Samples, list[EyasError]]:
    """What is there, and why one could not train on it."""
    try:
        found = source.find(
            question.data,
            label_from=question.label_from,
            val=question.val,
            test=question.test,
            download=question.download,
        )
    except DataError as error:
        if error.code not in ("EY-D004", "EY-D005"):  # one class, a class that train lacks: there are images to check
            raise
        return source.look(question.data, label_from=question.label_from, download=question.download), [error]
    return found, []


def _refusals(samples: Samples, examined: Examined) -> list[EyasError]:
    """What `eyas train` would say once the broken images are set aside."""
    found: list[EyasError] = []
    for wanted in (Split.VAL, Split.TEST):
        rows = [row for row in sorted(examined.bad) if samples.splits[row] == wanted]
        if rows:
            code, detail = examined.bad[rows[0]]
            first = f"{samples.source.name(rows[0])} ({code} {detail})"
            n = int((samples.splits == wanted).sum())
            found.append(DataError("EY-D200", split=wanted.name.lower(), count=len(rows), n=n, first=first))
    learnt = samples.counts(np.flatnonzero(examined.good & np.isin(samples.splits, (Split.NONE, Split.TRAIN))))
    if (learnt > 0).sum() < 2:
        left = ", ".join(f"{c} {n}" for c, n in zip(samples.classes, learnt, strict=True))
        found.append(DataError("EY-D201", got=left, count=len(examined.bad)))
    return found


# ---- against a run ---------------------------------------------------------------------------------------------------


def _opinions(run: Run, samples: Samples, good: NDArray[np.bool_]) -> list[Finding]:
    """L05: what a run, which was not trained on them, says of the images of its val and test."""
    names = tuple(run.document["data"]["classes"])
    here = {samples.source.name(row): row for row in np.flatnonzero(good).tolist()}
    number = {name: i for i, name in enumerate(samples.classes)}
    if any(name not in number for name in names):
        raise UsageError("EY-U130", path=run.path, got=", ".join(names[:8]), allowed=", ".join(samples.classes[:8]))
    columns = np.array([number[name] for name in names])
    rows: list[int] = []
    scores: list[NDArray[np.float32]] = []
    asked = 0
    for split in ("val", "test"):
        if not all(path.is_file() for path in stored.files(run.path, split)):
            continue
        said = stored.read(run.path, split, classes=names)
        asked += len(said)
        at = [here.get(name, -1) for name in said.names]
        kept = [i for i, row in enumerate(at) if row >= 0]
        rows += [at[i] for i in kept]
        full = np.zeros((len(kept), len(samples.classes)), np.float32)
        full[:, columns] = said.scores[kept]
        scores.append(full)
    if not asked:
        raise UsageError("EY-U131", path=run.path)
    if not rows:
        raise UsageError("EY-U132", path=run.path, n=asked, got=samples.source.name(0))
    where = np.array(rows, np.int64)
    return audit.mislabelled(samples, where, samples.labels[where].astype(np.int64), np.concatenate(scores))


# ---- the story -------------------------------------------------------------------------------------------------------


def check(
    question: Question | str | Path,
    *,
    cache: Path | None = None,
    workers: int | None = None,
    root: Path = RUNS,
    timeout_s: float = 30.0,
    progress: Progress = _silent,
) -> Checked:
    """Everything that is odd about the images that `question` names; they are not changed.

    A path alone stands for a `Question` about it; `workers` processes decode, one for each core when None. Raises
    DataError when there are no images or what is there cannot be understood, UsageError EY-U130 to EY-U132 when the run
    is not about these images.
    """
    question = question if isinstance(question, Question) else Question(str(question))
    run = runs.find(question.run, root) if question.run else None
    progress("scan", 0, 0)
    samples, refused = _samples(question)
    looked = examine(
        samples,
        cache=cache or cache_dir(),
        workers=workers or look().cores,
        allow=question.formats,
        timeout_s=timeout_s,
        progress=lambda done, total: progress("examine", done, total),
    )
    examined, good = looked.examined, looked.examined.good
    splits = None
    memory = run.path / "splits.csv" if run else None
    if memory is not None and memory.is_file() and not np.isin(samples.splits, (Split.VAL, Split.TEST)).any():
        splits = inherit(memory, samples, examined.hashes)
    sides = samples.splits if splits is None else splits
    pairs = None
    if len(np.unique(np.where(sides == Split.NONE, Split.TRAIN, sides)[good])) > 1:
        progress("near", 0, len(samples))
        near = alike(looked.packs)
        pairs = None if near is None else near.pairs
        progress("near", len(samples), len(samples))
    findings = audit.audit(samples, examined, splits=splits, pairs=pairs)
    if run is not None:
        findings += _opinions(run, samples, good)
    if not refused:
        refused = _refusals(samples, examined)
    return Checked(samples, examined, tuple(audit.merged(findings)), tuple(refused), question.formats)


def write(path: Path, data: bytes) -> None:
    """Write a page or a list, at once or not at all; OSError when that cannot be."""
    os.makedirs(path.parent, exist_ok=True)
    replace_file(path, data)
