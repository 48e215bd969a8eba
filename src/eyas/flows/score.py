"""`eyas evaluate` and `eyas predict`: a finished run against images it may never have seen."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eyas.data import packing, source
from eyas.data.pack import Pack
from eyas.data.samples import Samples, Split
from eyas.engines.engine import softmax
from eyas.errors import DataError, StorageError
from eyas.evaluation import metrics
from eyas.flows.classifier import RUNS, Classifier, load
from eyas.flows.prepare import Progress, Taken, prepare_again, quiet
from eyas.flows.scoring import logits_of
from eyas.machine import cache_dir, look


def predict(target: str, files: Sequence[str], *, top: int = 5, root: Path = RUNS) -> Iterator[dict[str, Any]]:
    """One document per file, in order: `{path, label, probability, top}` or `{path, error: {code, message}}`."""
    classifier = load(target, root=root)
    for answer in classifier.stream(files, top=top):
        yield answer.to_dict()


def evaluate(
    target: str, data: str | None = None, *, split: str | None = None, root: Path = RUNS, progress: Progress = quiet
) -> dict[str, Any]:
    """Scores of a run on a split of its own data, or on other images with the same classes.

    Without `data` the split is `test` when the run has one, else `val`. Every image goes the way from bytes that
    prediction takes. Gives `split n accuracy interval top5 loss ece per_class …`; raises DataError EY-D202.
    """
    classifier = load(target, root=root)
    if data is None:
        return _own(classifier, split, progress)
    samples = source.match(source.look(data), classifier.classes, what=data)
    wanted = _wanted(samples, split)
    rows = samples.rows(wanted) if wanted is not None else np.arange(len(samples), dtype=np.int64)

    def packed(*, keep: bool) -> Pack:
        return packing.build(
            samples,
            rows,
            program=classifier.preprocess,
            cache=cache_dir(),
            workers=look().cores,
            progress=lambda a, b: progress("pack-scored", a, b),
            keep=keep,
        )

    try:
        pack = packed(keep=True)
    except StorageError as error:
        if error.code not in packing.NO_ROOM:
            raise
        pack = packed(keep=False)
    rows = np.array([r for r in rows if int(r) not in pack.bad], np.int64)
    images = Taken(pack) if pack.uniform is None else pack.uniform
    slots = pack.slots(rows)
    logits = np.concatenate([classifier.engine.logits(images[slots[a : a + 4096]]) for a in range(0, len(slots), 4096)])
    found = metrics.summary(softmax(logits), samples.labels[rows].astype(np.int64)).to_dict(classifier.classes)
    return {"split": wanted.name.lower() if wanted else "all", "bad": len(pack.bad), **found}


def _own(classifier: Classifier, split: str | None, progress: Progress) -> dict[str, Any]:
    document = classifier.run.document
    has = document["data"]["splits"]
    name = split or ("test" if "test" in has else "val")
    if name not in has:
        raise DataError(
            "EY-D202", split=name, path=classifier.run.path, allowed=", ".join(s for s in has if s != "train") or "-"
        )
    wanted = Split[name.upper()]
    prepared = prepare_again(classifier.run, also=wanted, progress=progress)
    rows = prepared.rows(wanted)
    probabilities = softmax(logits_of(classifier.engine, prepared, wanted))
    found = metrics.summary(probabilities, prepared.samples.labels[rows].astype(np.int64)).to_dict(classifier.classes)
    looks: dict[str, Any] = {}
    if wanted is Split.HOLDOUT:  # each look makes the number a little less trustworthy
        looks = {"looks": int(document.get("holdout_looks", 0)) + 1}
        with contextlib.suppress(StorageError):  # a run that cannot be written can be read
            classifier.run.write(holdout_looks=looks["looks"])
    return {"split": name, "bad": len(prepared.bad), **looks, **found}


def _wanted(samples: Samples, split: str | None) -> Split | None:
    """The split to score: what was asked, else test when the data has one, else everything."""
    present = {Split(int(s)) for s in np.unique(samples.splits)}
    if split is not None:
        wanted = Split[split.upper()]
        if wanted not in present:
            named = ", ".join(s.name.lower() for s in sorted(present) if s is not Split.NONE) or "-"
            raise DataError("EY-D202", split=split, path=samples.root, allowed=named)
        return wanted
    return Split.TEST if Split.TEST in present else None
