"""From a path to images that are ready: found, packed, broken ones set aside, split. The first half of the river.

    files -> Samples -> Pack -> split

Everything is decoded once, before the first step. What is scored (val, test) is kept a second time as the outputs of
Preprocess, the same way from file bytes that prediction and export take.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DECODER, RAW_DECODER, DecodeError, inspect
from eyas.artifact.preprocess import Fit, Preprocess, plan_preprocess
from eyas.data import pack as packs
from eyas.data import source, split
from eyas.data.order import Shuffled
from eyas.data.pack import Pack
from eyas.data.samples import ArraySource, ByteSource, Samples, Split
from eyas.data.stream import Stream
from eyas.errors import DataError, UsageError
from eyas.machine import Machine, cache_dir, look
from eyas.training.recipe import Recipe
from eyas.training.run import Run

PACK_MARGIN = 1.3
"""Short side of packed photos over the training side, so that random resized crops stay sharp."""

Progress = Callable[[str, int, int], None]
"""Told (stage, done, total) while something long runs."""


def quiet(stage: str, done: int, total: int) -> None:
    """The progress of those who do not want to know."""


@dataclass(frozen=True)
class Request:
    """What the user laid down about the data."""

    data: str
    val: str | None = None
    test: str | None = None
    label_from: str | None = None
    splits: Path | None = None
    allow_bad: bool = False
    size: int | None = None
    channels: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    download: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `run.json`; the data path absolute when it is one."""
        told = asdict(self)
        path = Path(self.data)
        return told | {"data": str(path.resolve()) if path.exists() else self.data, "splits": str(self.splits or "")}


@dataclass(frozen=True)
class Prepared:
    """Images that are ready to train on and to score."""

    samples: Samples
    """With every sample assigned; those set aside have `Split.NONE`."""
    hashes: NDArray[np.uint8]
    """Content hash (n, 16) of each sample."""
    preprocess: Preprocess
    train: Pack
    scored: Mapping[Split, Pack]
    """Outputs of Preprocess for val and test, as far as there are any."""
    bad: Mapping[int, tuple[str, str]]
    report: split.SplitReport
    seconds: Mapping[str, float] = field(default_factory=lambda: {})

    def rows(self, wanted: Split) -> NDArray[np.int64]:
        """The samples of one split, without those set aside."""
        return self.samples.rows(wanted)

    def images(self, wanted: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Preprocessed images uint8 (m, h, w, c), memory-mapped, and the places in it of the samples of `rows`."""
        pack = self.scored[wanted]
        assert pack.uniform is not None, "Preprocess gives one shape"
        return pack.uniform, pack.slots(self.rows(wanted))

    def identity(self) -> str:
        """SHA-256 over what is learnt from: names, contents, labels, splits and classes."""
        h = hashlib.sha256()
        h.update("\0".join(self.samples.classes).encode())
        h.update(self.samples.labels.tobytes())
        h.update(self.samples.splits.tobytes())
        h.update(self.hashes.tobytes())
        source = self.samples.source
        h.update("\0".join(source.name(i) for i in range(len(source))).encode(errors="surrogateescape"))
        return h.hexdigest()


def prepare(
    request: Request,
    machine: Machine,
    *,
    workers: int,
    declared_size: tuple[int, int, int] | None = None,
    smallest: int = 1,
    most: int = 64,
    preprocess: Preprocess | None = None,
    cache: Path | None = None,
    progress: Progress = quiet,
) -> Prepared:
    """Find, pack, set aside and split the images that `request` names.

    `declared_size` (h, w, c) is what the model insists on; otherwise the side is at most `most` pixels, or `smallest`.
    `preprocess`, when given, is taken as it is. Raises DataError and UsageError for what cannot be used, StorageError
    when the cache cannot be written.
    """
    clock = Clock()
    progress("find", 0, 0)
    samples = source.find(
        request.data, label_from=request.label_from, val=request.val, test=request.test, download=request.download
    )
    everything = np.arange(len(samples), dtype=np.int64)
    shapes = packs.probe(samples, everything)
    given = preprocess is not None
    preprocess = preprocess or _preprocess(request, samples, shapes, declared_size, smallest=smallest, most=most)
    clock.lap("scan")

    def build(rows: NDArray[np.int64], program: Preprocess | Fit, stage: str) -> Pack:
        return packs.build(
            samples,
            rows,
            program=program,
            cache=cache or cache_dir(),
            workers=workers,
            progress=lambda done, total: progress(stage, done, total),
        )

    undecided = samples.rows(Split.NONE, Split.TRAIN)
    train = build(undecided, _fit(preprocess), "pack")
    bad = dict(train.bad)
    hashes = np.zeros((len(samples), 16), np.uint8)
    hashes[undecided] = train.hashes
    scored: dict[Split, Pack] = {}
    for wanted in (Split.VAL, Split.TEST):
        declared = samples.rows(wanted)
        if len(declared):
            scored[wanted] = build(declared, preprocess, wanted.name.lower())
            hashes[declared] = scored[wanted].hashes
            _refuse_bad(request, samples, wanted, scored[wanted].bad)
            bad |= scored[wanted].bad
    clock.lap("pack")

    aside = np.array(sorted(bad), np.int64)
    splits, report = split.assign(
        samples,
        hashes,
        val=_fraction(request.val),
        test=_fraction(request.test),
        bad=aside,
        memory=request.splits,
    )
    samples = samples.with_splits(splits)
    _refuse_too_little(samples, bad)
    for wanted in (Split.VAL, Split.TEST):
        held_out = samples.rows(wanted)
        if len(held_out) and wanted not in scored:
            # Where Preprocess changes nothing, the pack of the training images holds its outputs already.
            same = preprocess.resize == "none" and train.uniform is not None
            scored[wanted] = train if same else build(held_out, preprocess, wanted.name.lower())
    clock.lap("pack")
    if not given:
        preprocess = _with_statistics(preprocess, request, train, samples.rows(Split.TRAIN))
    return Prepared(samples, hashes, preprocess, train, scored, bad, report, clock.seconds)


def prepare_again(run: Run, *, progress: Progress = quiet) -> Prepared:
    """The images of a run, found and split as they were for it (its `splits.csv` is the memory)."""
    document: dict[str, Any] = run.document
    pre = Preprocess.from_dict(document["preprocess"])
    machine = look()
    return prepare(
        replace(Request(**document["request"]), splits=run.path / "splits.csv"),
        machine,
        workers=machine.cores,
        declared_size=(pre.height, pre.width, pre.channels),
        preprocess=pre,
        progress=progress,
    )


def training_stream(prepared: Prepared, recipe: Recipe) -> Stream:
    """The endless augmented training data of a recipe."""
    rows = prepared.rows(Split.TRAIN)
    return Stream(
        pack=prepared.train,
        rows=rows,
        labels=prepared.samples.labels,
        order=Shuffled(len(rows), recipe.seed),
        augment=recipe.augment,
        seed=recipe.seed,
        height=prepared.preprocess.height,
        width=prepared.preprocess.width,
        weights=prepared.samples.weights,
    )


class Clock:
    """Seconds by stage; `lap` adds the time since the last call."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap under `stage`."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


def _preprocess(
    request: Request,
    samples: Samples,
    shapes: NDArray[np.int64],
    declared: tuple[int, int, int] | None,
    *,
    smallest: int,
    most: int,
) -> Preprocess:
    grey = isinstance(samples.source, ArraySource) and (
        samples.source.images.ndim == 3 or samples.source.images.shape[-1] == 1
    )
    channels = request.channels or (declared[2] if declared else (1 if grey else 3))
    if channels not in (1, 3):
        raise UsageError("EY-U123", got=f"--channels {channels}", channels="1 or 3")
    if min(shapes.shape) == 0:
        raise DataError("EY-D201", got=_first_unreadable(samples), count=len(samples))
    size = request.size
    median = int(np.median(shapes.min(axis=1)))
    keeps = bool((shapes == shapes[0]).all()) and smallest <= median <= most
    if size is None and declared is None and not keeps:
        size = max(smallest, min(most, median // 32 * 32))
    decoder = RAW_DECODER if isinstance(samples.source, ArraySource) else DECODER
    return plan_preprocess(shapes, channels, size=size, declared=declared[:2] if declared else None, decoder=decoder)


def _first_unreadable(samples: Samples) -> str:
    """Name, code and detail of the first file, when none could be read."""
    source = samples.source
    try:
        assert isinstance(source, ByteSource)
        inspect(source.read(0))
    except DecodeError as error:
        return f"{source.name(0)} ({error.code} {error.detail})"
    except OSError as error:
        return f"{source.name(0)} (E08 {error.strerror})"
    return source.name(0)


def _fit(preprocess: Preprocess) -> Fit:
    """How training images are kept: as they are when all fit, else a margin larger than the training side."""
    if preprocess.resize == "none":
        return Fit(short_side=None, channels=preprocess.channels)
    return Fit(short_side=round(PACK_MARGIN * min(preprocess.height, preprocess.width)), channels=preprocess.channels)


def _refuse_bad(request: Request, samples: Samples, wanted: Split, bad: Mapping[int, tuple[str, str]]) -> None:
    if bad and not request.allow_bad:
        row, (code, detail) = min(bad.items())
        raise DataError(
            "EY-D200",
            split=wanted.name.lower(),
            count=len(bad),
            n=len(samples.rows(wanted)),
            first=f"{samples.source.name(row)} ({code} {detail})",
        )


def _refuse_too_little(samples: Samples, bad: Mapping[int, tuple[str, str]]) -> None:
    counts = samples.counts(samples.rows(Split.TRAIN))
    if (counts > 0).sum() < 2:
        left = ", ".join(f"{c} {n}" for c, n in zip(samples.classes, counts, strict=True))
        raise DataError("EY-D201", got=left, count=len(bad))


def _fraction(said: str | None) -> str | None:
    """What `assign` must know: `none`, a fraction, or None when the data (or a path) declare the part."""
    if said is None or said == "none":
        return said
    try:
        float(said)
    except ValueError:
        return None
    return said


def _with_statistics(preprocess: Preprocess, request: Request, train: Pack, rows: NDArray[np.int64]) -> Preprocess:
    """Mean and deviation from exact integer sums over the training images, unless the user gave them."""
    c = preprocess.channels
    for told in (request.mean, request.std):
        if told is not None and len(told) not in (1, c):
            raise UsageError("EY-U123", got=",".join(map(str, told)), channels=c)
    if request.std is not None and min(request.std) <= 0:
        raise UsageError("EY-U123", got=f"--std {request.std}", channels=c)
    sums, squares, count = packs.channel_sums(train, rows)
    mean = [int(s) / count / 255 for s in sums]
    # n * sum(x^2) - sum(x)^2 in whole numbers: exact, whatever the order of the images.
    variance = [(count * int(q) - int(s) ** 2) / count**2 / 255**2 for s, q in zip(sums, squares, strict=True)]
    std = [max(v**0.5, 1 / 255) for v in variance]
    return preprocess.normalised_by(_each(request.mean, c) or mean, _each(request.std, c) or std)


def _each(told: tuple[float, ...] | None, channels: int) -> tuple[float, ...] | None:
    """One value for each channel: a single one serves all."""
    return told * channels if told is not None and len(told) == 1 else told


def describe(prepared: Prepared) -> dict[str, Any]:
    """The `data` part of `run.json`."""
    samples = prepared.samples
    splits: dict[str, Any] = {}
    for wanted in (Split.TRAIN, Split.VAL, Split.TEST):
        rows = samples.rows(wanted)
        if len(rows):
            splits[wanted.name.lower()] = {"n": len(rows), "per_class": [int(c) for c in samples.counts(rows)]}
    findings: dict[str, dict[str, Any]] = {}
    for row, (code, detail) in sorted(prepared.bad.items()):
        found = findings.setdefault(code, {"code": code, "count": 0, "examples": []})
        found["count"] += 1
        if len(found["examples"]) < 5:
            found["examples"].append(f"{samples.source.name(row)}: {detail}")
    return {
        "layout": samples.layout,
        "root": str(samples.root) if samples.root else None,
        "n": len(samples),
        "classes": list(samples.classes),
        "splits": splits,
        "findings": [*findings.values(), *_split_findings(prepared)],
        "split": prepared.report.how,
        "notes": list(samples.notes),
        "pack": {"address": prepared.train.address, "bytes": prepared.train.bytes},
    }


def _split_findings(prepared: Prepared) -> list[dict[str, Any]]:
    """L01 duplicates, L02 the same bytes with different labels, L03 the same bytes in two splits."""
    report, source = prepared.report, prepared.samples.source
    out: list[dict[str, Any]] = []
    if report.duplicates:
        out.append({"code": "L01", "count": report.duplicates, "examples": []})
    if report.conflicts:
        examples = [" = ".join(source.name(r) for r in rows) for rows in report.conflicts[:5]]
        out.append({"code": "L02", "count": len(report.conflicts), "examples": examples})
    for leak in report.leaks:
        where = f"{leak.earlier.name.lower()} -> {leak.later.name.lower()}"
        examples = [f"{where}: {source.name(r)}" for r in leak.examples[:5]]
        out.append({"code": "L03", "count": leak.count, "examples": examples})
    return out
