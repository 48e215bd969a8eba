"""From a path to images that are ready: found, packed, broken ones set aside, split. The first half of the river.

    files -> Samples -> Pack -> split

Everything is decoded once, before the first step. What is scored (val, test) is kept a second time as the outputs of
Preprocess, the same way from file bytes that prediction and export take.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import limits_with
from eyas.artifact.preprocess import Fit, Preprocess
from eyas.data import pack as packs
from eyas.data import packing, source, split
from eyas.data.alike import alike
from eyas.data.near import Near
from eyas.data.pack import Broken, Pack
from eyas.data.samples import Samples, Split
from eyas.errors import DataError, StorageError
from eyas.errors.messages import say
from eyas.flows.framing import preprocess_for, training_program, with_statistics
from eyas.flows.request import Request
from eyas.machine import cache_dir, look
from eyas.training.run import Run

Progress = Callable[[str, int, int], None]
"""Told (stage, done, total) while something long runs."""


def quiet(stage: str, done: int, total: int) -> None:
    """The progress of those who do not want to know."""


@dataclass(frozen=True)
class Inherited:
    """The split of an earlier run on the same data (`flows.inherit`)."""

    path: Path | None = None
    """The `splits.csv` that is taken over, for the reader."""
    memory: Path | None = None
    """All of it counts: the run divided as this one is asked to."""
    sealed: Path | None = None
    """Only its holdout counts, which is kept out for good."""


NOTHING = Inherited()


@dataclass(frozen=True)
class Taken:
    """Images of one shape by their places, decoded now, by a thread for each core."""

    pack: Pack

    def __getitem__(self, places: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (k, h, w, c), a copy."""
        threads = max(1, min(len(places), look().cores))
        try:
            with ThreadPoolExecutor(threads, thread_name_prefix="eyas-take") as pool:
                return np.concatenate(list(pool.map(self.pack.take, np.array_split(places, threads))))
        except Broken as error:  # it was whole when it was looked at; another image must not be scored in its place
            raise DataError("EY-D142", path=f"{error.name} ({error.code})") from error


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
    streamed: str = ""
    """Why nothing is packed and every image is decoded whenever it is needed; empty: it is packed."""

    def rows(self, wanted: Split) -> NDArray[np.int64]:
        """The samples of one split, without those set aside."""
        return self.samples.rows(wanted)

    def images(self, wanted: Split) -> tuple[NDArray[np.uint8] | Taken, NDArray[np.int64]]:
        """Preprocessed images uint8 (m, h, w, c), mapped or decoded on demand, and the places of those of `rows`."""
        pack = self.scored[wanted]
        return Taken(pack) if pack.uniform is None else pack.uniform, pack.slots(self.rows(wanted))

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


@dataclass
class _Packer:
    """Decodes rows of samples once; where there is no room for what was decoded, nothing is kept from then on."""

    request: Request
    samples: Samples
    cache: Path
    workers: int
    progress: Progress
    streamed: str = ""
    """Why nothing is kept; empty: it is."""
    instead: Path | None = None
    """A folder for the time being, where the cache cannot be written."""

    def __call__(self, rows: NDArray[np.int64], program: Preprocess | Fit, stage: str) -> Pack:
        try:
            return self._built(rows, program, stage, keep=not self.streamed)
        except StorageError as error:
            if error.code not in (*packing.NO_ROOM, "EY-S102") or self.request.pack:
                raise
            self.streamed = self.streamed or error.brief()
            if (
                error.code == "EY-S102"
            ):  # a cache that cannot be written: what is found on the way needs a place for now
                self.cache = self.instead = Path(tempfile.mkdtemp(prefix="eyas-"))
            return self._built(rows, program, stage, keep=False)

    def _built(self, rows: NDArray[np.int64], program: Preprocess | Fit, stage: str, *, keep: bool) -> Pack:
        return packing.build(
            self.samples,
            rows,
            program=program,
            cache=self.cache,
            workers=self.workers,
            progress=lambda done, total: self.progress(stage, done, total),
            limit_bytes=self.request.cache_limit,
            keep=keep,
        )


def prepare(
    request: Request,
    *,
    workers: int,
    declared_size: tuple[int, int, int] | None = None,
    smallest: int = 1,
    most: int = 64,
    preprocess: Preprocess | None = None,
    cache: Path | None = None,
    inherited: Inherited = NOTHING,
    also: Split | None = None,
    progress: Progress = quiet,
) -> Prepared:
    """Find, pack, set aside and split the images that `request` names.

    `declared_size` (h, w, c) is what the model insists on; otherwise the side is at most `most` pixels, or `smallest`.
    `preprocess`, when given, is taken as it is. `inherited` is the split of an earlier run, for a request that names
    none; `also` a part to make ready for scoring beside val and test. Raises DataError and UsageError for what cannot
    be used, StorageError when the cache cannot be written.
    """
    clock = Clock()
    progress("find", 0, 0)
    samples = source.find(
        request.data, label_from=request.label_from, val=request.val, test=request.test, download=request.download
    )
    way = preprocess
    if way is None:
        shapes = packs.probe(samples, np.arange(len(samples), dtype=np.int64), limits=limits_with(request.formats))
        way = preprocess_for(request, samples, shapes, declared_size, smallest=smallest, most=most)
    clock.lap("scan")

    asked = say("pack.asked") if request.pack is False else ""
    pack = _Packer(request, samples, cache or cache_dir(), workers, progress, asked)
    undecided = samples.rows(Split.NONE, Split.TRAIN)
    train = pack(undecided, training_program(way, still=request.still), "pack")
    scored: dict[Split, Pack] = {}
    for wanted in (Split.VAL, Split.TEST):
        declared = samples.rows(wanted)
        if len(declared):
            scored[wanted] = pack(declared, way, wanted.name.lower())
            _refuse_bad(request, samples, wanted, scored[wanted].bad)
    hashes, bad = _contents(samples, [train, *scored.values()])
    clock.lap("pack")

    progress("near", 0, 0 if train.likeness is None else len(samples))
    near = alike([train, *scored.values()])
    progress("near", len(samples), len(samples))
    clock.lap("scan")

    samples, report = _divided(request, inherited, samples, hashes, bad, near)
    for wanted in (Split.VAL, Split.TEST, *([also] if also else [])):
        held_out = samples.rows(wanted)
        if len(held_out) and wanted not in scored:
            # Where Preprocess changes nothing, the pack of the training images holds its outputs already.
            same = way.resize == "none" and train.one_shape == (way.height, way.width)
            scored[wanted] = train if same else pack(held_out, way, wanted.name.lower())
    clock.lap("pack")
    if pack.instead is not None:
        shutil.rmtree(pack.instead, ignore_errors=True)
    if preprocess is None:
        way = with_statistics(way, request, train, samples.rows(Split.TRAIN))
    return Prepared(samples, hashes, way, train, scored, bad, report, clock.seconds, pack.streamed)


def _contents(samples: Samples, packed: list[Pack]) -> tuple[NDArray[np.uint8], dict[int, tuple[str, str]]]:
    """Content hash (n, 16) of every sample, and the rows that cannot be used with code and detail."""
    hashes = np.zeros((len(samples), 16), np.uint8)
    bad: dict[int, tuple[str, str]] = {}
    for pack in packed:
        hashes[pack.rows] = pack.hashes
        bad |= pack.bad
    return hashes, bad


def _divided(
    request: Request,
    inherited: Inherited,
    samples: Samples,
    hashes: NDArray[np.uint8],
    bad: Mapping[int, tuple[str, str]],
    near: Near | None,
) -> tuple[Samples, split.SplitReport]:
    """The samples with their splits, and how they came by them."""
    asked = request.splits
    splits, report = split.assign(
        samples,
        hashes,
        val=_fraction(request.val, "val"),
        test=_fraction(request.test, "test"),
        holdout=request.holdout,
        bad=np.array(sorted(bad), np.int64),
        near=near,
        memory=None if str(asked) == "none" else asked or inherited.memory,
        sealed=inherited.sealed if asked is None else None,
    )
    if report.remembered and asked is None:
        report = replace(report, how=f"{report.how} ({say('split_how_taken_over', path=inherited.path)})")
    samples = samples.with_splits(splits)
    _refuse_too_little(samples, bad)
    return samples, report


def prepare_again(run: Run, *, also: Split | None = None, progress: Progress = quiet) -> Prepared:
    """The images of a run, found and split as they were for it (its `splits.csv` is the memory)."""
    document: dict[str, Any] = run.document
    pre = Preprocess.from_dict(document["preprocess"])
    return prepare(
        replace(Request(**document["request"]), splits=run.path / "splits.csv"),
        workers=look().cores,
        declared_size=(pre.height, pre.width, pre.channels),
        preprocess=pre,
        also=also,
        progress=progress,
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


def _fraction(said: str | None, what: str) -> str | None:
    """What `assign` must know: `none`, a fraction, or None when the data (or a path) declare the part."""
    return None if isinstance(split.parse_part(said, what), Path) else said
