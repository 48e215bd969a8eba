"""The end of a run: the weights are chosen on val, test is scored once, predictions and the report are written."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from eyas.data.samples import Split
from eyas.engines.engine import softmax
from eyas.errors import StorageError
from eyas.evaluation import figures, predictions
from eyas.evaluation.predictions import Predictions
from eyas.flows.prepare import Prepared
from eyas.flows.scoring import logits_of
from eyas.flows.session import Session
from eyas.observe import report
from eyas.observe.jsonl import read_metrics
from eyas.training import checkpoint
from eyas.training.checkpoint import Loaded
from eyas.training.progress import Progress
from eyas.training.recipe import Recipe
from eyas.training.run import Run, now
from eyas.training.stopping import best

CHOSEN = "chosen"


def finish(run: Run, recipe: Recipe, prepared: Prepared, session: Session, at: Progress) -> None:
    """Choose, score, write down. Nothing after the choice can change it: test is looked at last."""
    begun = time.monotonic()
    step, attempt, weights = choose(at, averaged=recipe.ema > 0)
    found = _checkpoint(run, step, attempt)
    name = "ema" if weights == "ema" else "model"
    tensors = dict(found.tensors[name])
    chosen = {"step": found.step, "attempt": found.attempt, "weights": weights}
    checkpoint.write(run.checkpoints, CHOSEN, {"model": tensors}, chosen, fingerprints=found.fingerprints)
    run.write(chosen=chosen)

    engine = session.engine()
    load_into(engine.module, tensors)
    scores: dict[str, Any] = {}
    found_on: list[Predictions] = []
    for split in (Split.VAL, Split.TEST):
        rows = prepared.rows(split)
        if not len(rows):
            continue
        samples = prepared.samples
        made = Predictions(
            names=tuple(samples.source.name(int(r)) for r in rows),
            labels=samples.labels[rows].astype(np.int64),
            scores=softmax(logits_of(engine, prepared, split)),
            classes=samples.classes,
            rows=rows,
        )
        predictions.write(run.path, split.name.lower(), predictions=made)
        found_on.append(made)
        scores[split.name.lower()] = made.summary().to_dict(samples.classes)
    before = run.document.get("result") or {}
    # Scoring the same weights once more, after a kill, tells nothing new: it is not another look.
    again = before.get("steps") == at.step
    looks = int(before.get("test_looks", 0)) + ("test" in scores and not again)
    session.books.add("evaluate", time.monotonic() - begun)
    result = {
        "epochs": epochs_of(at),
        "steps": at.step,
        "seconds": session.elapsed(),
        **session.books.rates(),
        "loader": loader_of(session),
        "seconds_by": session.books.seconds(),
        "val": scores.get("val"),
        "test": scores.get("test"),
        "test_looks": looks,
    }
    run.write(result=result)
    begun = time.monotonic()
    if found_on:
        _plots(run, found_on[0])
    report.write(run.path, thumbnails=thumbnails(prepared))
    session.books.add("report", time.monotonic() - begun)
    result |= {"seconds": session.elapsed(), "seconds_by": session.books.seconds()}
    run.write(status="done", finished=now(), result=result)


def loader_of(session: Session) -> dict[str, Any]:
    """What feeding the steps took in seconds, and which advice fits: `report.advice.<advice>` says it."""
    threads = session.plan.whole("loader_threads")
    advice = session.books.advice(streamed=bool(session.prepared.streamed), threads=threads)
    return {**asdict(session.books.tax()), "threads": threads, "advice": advice}


def _plots(run: Run, made: Predictions) -> None:
    """Curves and confusion matrix as PNG files, for those who want to paste them somewhere."""
    (run.path / "plots").mkdir(exist_ok=True)
    for name, data in figures.plots(read_metrics(run.path / "metrics.csv"), made).items():
        predictions.replace_file(run.path / "plots" / name, data)


def epochs_of(at: Progress) -> float:
    """Epochs done; the last step may reach a little into the next one, which does not count."""
    whole, beyond = divmod(at.position, at.epoch_size)
    return float(whole) if beyond < at.batch_size and whole else round(at.epoch, 2)


def choose(at: Progress, *, averaged: bool) -> tuple[int, int, str]:
    """Step, attempt and which weights of it: the best on val (ties by loss, then the later); without val the last."""
    found = best(at.scores)
    if found is not None:
        return found.step, found.attempt, found.weights
    return at.step, at.attempt, "ema" if averaged else "raw"


def load_into(model: torch.nn.Module, tensors: dict[str, Any]) -> None:
    """Put named arrays into a model."""
    model.load_state_dict({n: torch.from_numpy(np.asarray(a)) for n, a in tensors.items()}, strict=True)


def _checkpoint(run: Run, step: int, attempt: int) -> Loaded:
    """The checkpoint of the chosen step; the newest whole one when the disk had refused that one."""
    wanted = run.checkpoints / checkpoint.name_of(step, attempt)
    try:
        return checkpoint.read(wanted)
    except ValueError:
        run.log(f"the checkpoint of the best step {step} is not there; the newest is taken")
        newest = checkpoint.newest(run.checkpoints).newest
        if newest is None:  # the disk refused every save of the run
            raise StorageError("EY-S205", path=run.checkpoints) from None
        return newest


def thumbnails(prepared: Prepared) -> Callable[[int], NDArray[np.uint8]]:
    """A function that gives the preprocessed image (h, w, c) of a sample of val or test."""

    def image(row: int) -> NDArray[np.uint8]:
        pack = prepared.scored[Split(int(prepared.samples.splits[row]))]
        return pack.image(row)

    return image
