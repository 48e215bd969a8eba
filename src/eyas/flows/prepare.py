"""From a path to images that are ready: found, packed, broken ones set aside, split. The first half of the river.

    files -> Samples -> Pack -> split

Everything is decoded once, before the first step. What is scored (val, test) is kept a second time as the outputs of
Preprocess, the same way from file bytes that prediction and export take.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DECODER, RAW_DECODER, DecodeError, inspect, limits_with
from eyas.artifact.preprocess import Fit, Preprocess, plan_preprocess
from eyas.data import audit, packing, source, split
from eyas.data import pack as packs
from eyas.data.alike import alike
from eyas.data.order import Balanced, Order, Shuffled, Weighted
from eyas.data.pack import Broken, Pack
from eyas.data.samples import ArraySource, ByteSource, Samples, Split
from eyas.data.stream import Stream
from eyas.errors import DataError, StorageError, UsageError
from eyas.errors.messages import say
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
    holdout: str | None = None
    label_from: str | None = None
    splits: Path | None = None
    """A `splits.csv`; `none`: divide anew."""
    allow_bad: bool = False
    allow: str | None = None
    """Formats to read beside the usual ones, like `tiff,avif`."""
    size: int | None = None
    channels: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    download: bool = False
    still: bool = False
    """True when augmentation never looks beyond the central crop: training images are then packed in that one shape."""
    pack: bool | None = None
    """False: nothing decoded is kept; None: it is, where there is room."""
    cache_limit: int | None = None
    """Bytes that all packs may take together; None leaves it to the cache."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Those of `allow`, as the decoder calls them."""
        return tuple(name.upper() for name in self.allow.split(",")) if self.allow else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `run.json`; the data path absolute when it is one."""
        told = asdict(self)
        path = Path(self.data)
        # A pattern of shards names no file, but lies in a folder.
        there = path.exists() or ("{" in path.name and path.parent.is_dir())
        return told | {"data": str(path.resolve()) if there else self.data, "splits": str(self.splits or "")}


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
    everything = np.arange(len(samples), dtype=np.int64)
    shapes = packs.probe(samples, everything, limits=limits_with(request.formats))
    given = preprocess is not None
    preprocess = preprocess or _preprocess(request, samples, shapes, declared_size, smallest=smallest, most=most)
    clock.lap("scan")

    streamed = say("pack.asked") if request.pack is False else ""

    def build(rows: NDArray[np.int64], program: Preprocess | Fit, stage: str) -> Pack:
        nonlocal streamed

        def made(*, keep: bool) -> Pack:
            return packing.build(
                samples,
                rows,
                program=program,
                cache=cache or cache_dir(),
                workers=workers,
                progress=lambda done, total: progress(stage, done, total),
                limit_bytes=request.cache_limit,
                keep=keep,
            )

        try:
            return made(keep=not streamed)
        except StorageError as error:
            if error.code not in packing.NO_ROOM or request.pack:
                raise
            streamed = error.brief()
            return made(keep=False)

    undecided = samples.rows(Split.NONE, Split.TRAIN)
    train = build(undecided, _training_program(preprocess, still=request.still), "pack")
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

    compared = train.likeness is not None
    progress("near", 0, len(samples) if compared else 0)
    near = alike([train, *scored.values()])
    progress("near", len(samples), len(samples))
    clock.lap("scan")

    aside = np.array(sorted(bad), np.int64)
    memory = request.splits or inherited.memory
    if str(request.splits) == "none":
        memory = None
    splits, report = split.assign(
        samples,
        hashes,
        val=_fraction(request.val, "val"),
        test=_fraction(request.test, "test"),
        holdout=request.holdout,
        bad=aside,
        near=near,
        memory=memory,
        sealed=inherited.sealed if request.splits is None else None,
    )
    if report.remembered and request.splits is None:
        report = replace(report, how=f"{report.how} ({say('split_how_taken_over', path=inherited.path)})")
    samples = samples.with_splits(splits)
    _refuse_too_little(samples, bad)
    for wanted in (Split.VAL, Split.TEST, *([also] if also else [])):
        held_out = samples.rows(wanted)
        if len(held_out) and wanted not in scored:
            # Where Preprocess changes nothing, the pack of the training images holds its outputs already.
            same = preprocess.resize == "none" and train.one_shape == (preprocess.height, preprocess.width)
            scored[wanted] = train if same else build(held_out, preprocess, wanted.name.lower())
    clock.lap("pack")
    if not given:
        preprocess = _with_statistics(preprocess, request, train, samples.rows(Split.TRAIN))
    return Prepared(samples, hashes, preprocess, train, scored, bad, report, clock.seconds, streamed)


def prepare_again(run: Run, *, also: Split | None = None, progress: Progress = quiet) -> Prepared:
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
        also=also,
        progress=progress,
    )


def check_sampling(prepared: Prepared, recipe: Recipe) -> None:
    """Raises UsageError EY-U140 when weights are needed and there are none, DataError EY-D144 when all are 0."""
    if recipe.sampling == "weighted":
        if prepared.samples.weights is None:
            raise UsageError("EY-U140", got=prepared.samples.layout)
        weights = prepared.samples.weights[prepared.rows(Split.TRAIN)]
        if not (weights > 0).any() or (weights < 0).any():
            raise DataError("EY-D144", n=len(weights))


def order_of(prepared: Prepared, recipe: Recipe) -> Order:
    """Which training image comes when."""
    rows = prepared.rows(Split.TRAIN)
    match recipe.sampling:
        case "shuffled":
            return Shuffled(len(rows), recipe.seed)
        case "balanced":
            return Balanced(prepared.samples.labels[rows], recipe.seed)
        case "weighted":
            check_sampling(prepared, recipe)
            assert prepared.samples.weights is not None
            return Weighted(prepared.samples.weights[rows], recipe.seed)


def training_stream(prepared: Prepared, recipe: Recipe, *, where: str = "mapped") -> Stream:
    """The endless augmented training data of a recipe; `where` the packed images are (`Pack.placed`)."""
    rows = prepared.rows(Split.TRAIN)
    return Stream(
        pack=prepared.train.placed(where),
        rows=rows,
        labels=prepared.samples.labels,
        order=order_of(prepared, recipe),
        augment=recipe.augment,
        seed=recipe.seed,
        height=prepared.preprocess.height,
        width=prepared.preprocess.width,
        # Weights that decide how often an image comes must not count a second time in the loss.
        weights=None if recipe.sampling == "weighted" else prepared.samples.weights,
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
        raise DataError("EY-D201", got=_first_unreadable(request, samples), count=len(samples))
    size = request.size
    median = int(np.median(shapes.min(axis=1)))
    keeps = bool((shapes == shapes[0]).all()) and smallest <= median <= most
    if size is None and declared is None and not keeps:
        size = max(smallest, min(most, median // 32 * 32))
    decoder = RAW_DECODER if isinstance(samples.source, ArraySource) else DECODER
    hw = declared[:2] if declared else None
    return plan_preprocess(shapes, channels, size=size, declared=hw, decoder=decoder, allow=request.formats)


def _first_unreadable(request: Request, samples: Samples) -> str:
    """Name, code and detail of the first file, when none could be read."""
    source = samples.source
    try:
        assert isinstance(source, ByteSource)
        inspect(source.read(0), limits_with(request.formats))
    except DecodeError as error:
        return f"{source.name(0)} ({error.code} {error.detail})"
    except OSError as error:
        return f"{source.name(0)} (E08 {error.strerror})"
    return source.name(0)


def _training_program(preprocess: Preprocess, *, still: bool) -> Fit | Preprocess:
    """How training images are kept: as they are when all fit, else a margin larger than the training side.

    Where only the central crop is ever seen, exactly that: a later epoch then only copies.
    """
    if still and preprocess.resize != "none":
        return replace(preprocess, resize="none", short_side=min(preprocess.height, preprocess.width))
    if preprocess.resize == "none":
        short_side = None
    else:
        short_side = round(PACK_MARGIN * min(preprocess.height, preprocess.width))
    return Fit(short_side=short_side, channels=preprocess.channels, allow=preprocess.allow)


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
    for wanted in (Split.TRAIN, Split.VAL, Split.TEST, Split.HOLDOUT):
        rows = samples.rows(wanted)
        if len(rows):
            splits[wanted.name.lower()] = {"n": len(rows), "per_class": [int(c) for c in samples.counts(rows)]}
    return {
        "layout": samples.layout,
        "root": str(samples.root) if samples.root else None,
        "n": len(samples),
        "classes": list(samples.classes),
        "splits": splits,
        "findings": audit.to_list(findings(prepared), samples),
        "split": prepared.report.how,
        "split_version": split.SPLIT_VERSION,
        "notes": list(samples.notes),
        "pack": {
            "address": prepared.train.address,
            "bytes": prepared.train.bytes,
            "built": prepared.train.built,
            "seconds": prepared.train.seconds,
            "streamed": prepared.streamed,
        },
    }


def findings(prepared: Prepared) -> list[audit.Finding]:
    """What `eyas check` would say of these images and this split, from what is known already."""
    samples = prepared.samples
    packs = {id(pack): pack for pack in (*prepared.scored.values(), prepared.train)}
    found = audit.audit(samples, audit.of_packs(samples, list(packs.values())), splits=samples.splits)
    for leak in prepared.report.near_leaks:
        later, earlier = zip(*leak.examples, strict=True)
        said = audit.across(samples, leak.earlier, leak.later, "~", earlier)
        more = leak.count - len(later)
        found.append(audit.Finding("L04", np.array(later, np.int64), said, more=more, others=earlier))
    return audit.merged(found)
