"""`eyas train`: from a path to a trained, scored, recoverable classifier. The whole river in one file.

settings -> prepared images -> recipe, plan -> run -> train -> chosen weights -> predictions -> report
"""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from eyas.data.samples import Split
from eyas.data.splits_file import write_splits
from eyas.errors import EyasError, Interrupted, MissingError, Preempted, StorageError
from eyas.errors.messages import say
from eyas.evaluation import figures
from eyas.flows.config import Resolved, to_toml
from eyas.flows.describe import describe
from eyas.flows.feeding import check_sampling
from eyas.flows.finish import finish
from eyas.flows.inherit import inherited
from eyas.flows.numerics import numerics_of, versions
from eyas.flows.opening import open_run
from eyas.flows.prepare import Clock, Prepared, prepare
from eyas.flows.recipes import Found, recipe_for
from eyas.flows.request import Request, request_of
from eyas.flows.session import Session
from eyas.flows.settings import Settings
from eyas.hardware.plan import Job, Plan, Wishes, decide, from_list
from eyas.machine import Machine, look
from eyas.models import catalog
from eyas.observe.console import Reporter
from eyas.training.progress import Progress
from eyas.training.recipe import Recipe
from eyas.training.run import Run, lock, now
from eyas.training.signals import leave_at_once
from eyas.training.stopping import best

LEFT: dict[str, tuple[str, type[EyasError], str]] = {
    "sigint": ("interrupted", Interrupted, "EY-P001"),
    "sigterm": ("preempted", Preempted, "EY-P002"),
}
"""Signal -> status of the run, and the error that ends the process."""


def train(
    data: str,
    resolved: Resolved,
    *,
    command: list[str],
    reporter: Reporter,
    root: Path = Path("runs"),
) -> Run:
    """Train a classifier on the images at `data`; gives its finished run.

    The same command resumes an unfinished run, to the same bits. Raises EyasError: Interrupted and Preempted mean that
    the work is kept.
    """
    clock = Clock()
    settings = resolved.settings
    if settings.device == "cuda" and not torch.cuda.is_available():  # said before any work
        raise MissingError("EY-M030", device="cuda", allowed="cpu")
    machine = look()
    request = request_of(data, settings)
    spec = catalog.find(settings.model or catalog.DEFAULT)
    prepared = prepare(
        request,
        workers=settings.workers or machine.cores,
        declared_size=spec.fixed,
        smallest=spec.smallest,
        inherited=inherited(request, root=root, out=Path(settings.out) if settings.out else None, fresh=settings.fresh),
        progress=reporter.phase,
    )
    _tell(reporter, prepared)
    pre = prepared.preprocess
    catalog.check(spec, height=pre.height, width=pre.width, channels=pre.channels, arguments=settings.model_arg)
    n = len(prepared.rows(Split.TRAIN))
    found = Found(train=n, channels=pre.channels, one_shape=pre.resize == "none", side=min(pre.height, pre.width))
    recipe = recipe_for(settings, spec.name, found)
    if settings.batch_size is not None and settings.batch_size > recipe.batch_size:
        reporter.note(say("run.batch_cut", said=settings.batch_size, n=recipe.batch_size))
    check_sampling(prepared, recipe)
    plan = decide(machine, _job(recipe, prepared, spec), _wishes(settings))
    clock.lap("plan")

    intent = {"recipe": recipe.to_dict(), "data": prepared.identity()}
    opened = open_run(
        intent,
        _document(command, machine, request, intent, plan, prepared),
        out=Path(settings.out) if settings.out else None,
        root=root,
        name=Path(data).name or "images",
        fresh=settings.fresh,
        extend=settings.extend,
    )
    run = opened.run
    for note in opened.notes:
        reporter.note(note)
    if opened.finished:
        reporter.note(say("run.finished_before", path=run.path))
        return run
    with lock(run):
        if run.status == "done" and not settings.extend:  # another process finished it while we looked
            reporter.note(say("run.finished_before", path=run.path))
            return run
        if opened.resumed:
            plan = _resumed_plan(run, plan, settings)
        run.write(status="running", intent=intent, recipe=intent["recipe"], plan=plan.to_list())
        if not (run.path / "splits.csv").exists():  # a new run, or one that was killed before it came to this
            (run.path / "config.toml").write_text(to_toml(resolved), encoding="utf-8")
            samples, clusters = prepared.samples, prepared.report.clusters
            write_splits(run.path / "splits.csv", samples, samples.splits, prepared.hashes, clusters)
        for choice in plan.choices:
            reporter.note(f"  {choice.name} = {choice.value}: {choice.reason}")
        seconds = dict(prepared.seconds) | {"plan": clock.seconds["plan"] - sum(prepared.seconds.values())}
        session = Session(run, recipe, plan, prepared, spec, reporter=reporter)
        session.begin(seconds)
        try:
            stopped = session.train(save_every_s=settings.save_every)
            if stopped.reason in LEFT:
                raise _left(run, stopped.at, stopped.reason)
            with leave_at_once(lambda reason: _left(run, stopped.at, reason)):
                finish(run, recipe, prepared, session, stopped.at)
            _tell_missed(reporter, recipe, stopped.at)
        except (Interrupted, Preempted):
            raise
        except EyasError as error:
            run.write(status="diverged" if error.code == "EY-T001" else "failed", error=error.to_dict())
            raise
        except OSError as error:
            told = StorageError("EY-S206", path=error.filename or run.path, reason=error.strerror or error)
            with contextlib.suppress(EyasError):  # the same disk may refuse this too; the run then still says `running`
                run.write(status="failed", error=told.to_dict())
            raise told from error
    return run


def _tell(reporter: Reporter, prepared: Prepared) -> None:
    """What was found, for the reader: layout, counts, split, notes, what was set aside."""
    samples, bad = prepared.samples, prepared.bad
    how, classes = prepared.report.how, len(samples.classes)
    reporter.note(say("run.data", layout=samples.layout, n=f"{len(samples):,}", classes=classes, how=how))
    for note in (*samples.notes, *prepared.report.notes):
        reporter.note(f"  {note}")
    if figures.legend(samples.classes):
        reporter.note("! " + say("run.no_font"))
    if bad:
        row, (code, detail) = min(bad.items())
        codes = ", ".join(sorted({code for code, _ in bad.values()}))
        first = f"{samples.source.name(row)} ({code} {detail})"
        reporter.note("! " + say("run.aside", count=len(bad), codes=codes, first=first))


def _tell_missed(reporter: Reporter, recipe: Recipe, at: Progress) -> None:
    """That `--until` was not reached, for who waited for it."""
    top, until = best(at.scores), recipe.stopping.until
    if until is not None and (top is None or top.accuracy < until):
        reporter.note("! " + say("run.until_missed", until=until, best=f"{top.accuracy:.4f}" if top else "–"))


def _job(recipe: Recipe, prepared: Prepared, spec: catalog.Spec) -> Job:
    pre = prepared.preprocess
    train = prepared.train
    resampled = recipe.augment.warps or recipe.augment.resized_crop is not None
    return Job(
        pixels=pre.height * pre.width,
        per_image_resampling=resampled or train.one_shape != (pre.height, pre.width),
        batch_size=recipe.batch_size,
        cuda=torch.cuda.is_available(),
        own_kernels=spec.own_kernels,
        pack_bytes=train.bytes,
        in_memory=train.folder is None,
        streamed=prepared.streamed,
    )


def _wishes(settings: Settings) -> Wishes:
    s = settings
    return Wishes(s.device, s.precision, s.threads, s.workers, s.parts, s.loader_threads)


def _document(
    command: list[str], machine: Machine, request: Request, intent: dict[str, Any], plan: Plan, prepared: Prepared
) -> dict[str, Any]:
    """A new run's `run.json`."""
    return {
        "status": "running",
        "created": now(),
        "finished": None,
        "command": command,
        "versions": versions(),
        "machine": asdict(machine),
        "seed": intent["recipe"]["seed"],
        "intent": intent,
        "recipe": intent["recipe"],
        "fingerprints": {"data": intent["data"], "numerics": numerics_of(plan)},
        "plan": plan.to_list(),
        "preprocess": prepared.preprocess.to_dict(),
        "request": request.to_dict(),
        "data": describe(prepared),
        "chosen": None,
        "result": None,
        "resumes": [],
    }


def _resumed_plan(run: Run, plan: Plan, settings: Settings) -> Plan:
    """The Plan of the run, taken over but for what the machine forbids or the user says now."""
    before = from_list(run.document["plan"])
    names = ("device", "threads", "precision", "parts", "workers", "loader_threads")
    said = {name for name in names if getattr(settings, name) is not None}
    gone = {"device"} if before["device"] == "cuda" and plan["device"] != "cuda" else set[str]()
    # Where the images are is found out anew: a cache may have been cleared, and it changes no bits.
    kept = {c.name: c for c in before.choices if c.name not in said | gone | {"images"}}
    return Plan(tuple(kept.get(c.name, c) for c in plan.choices))


def _left(run: Run, at: Progress, reason: str) -> EyasError:
    """The error that says a run was left, with its work kept; written into the run."""
    status, kind, code = LEFT[reason]
    run.write(status=status)
    return kind(code, step=at.step, steps=at.steps, path=run.path)
