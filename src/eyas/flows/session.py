"""One process's work on a run: builds the state, resumes it, drives the loop, keeps the books of time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

import torch

from eyas.data.samples import Split
from eyas.data.stream import Stream
from eyas.engines.eager import Eager
from eyas.errors.messages import say
from eyas.flows.books import Books
from eyas.flows.feeding import training_stream
from eyas.flows.numerics import numerics_of
from eyas.flows.opening import load_newest, promise
from eyas.flows.prepare import Prepared
from eyas.flows.scoring import logits_of, mean_loss
from eyas.hardware.plan import Plan
from eyas.hardware.replicas import One
from eyas.machine import look
from eyas.models import catalog
from eyas.observe.console import Reporter
from eyas.observe.jsonl import EventLog, MetricsTable
from eyas.training import checkpoint
from eyas.training.budget import UNKNOWN, TimeBudget
from eyas.training.events import Decided, Evaluated, Recovered, Saved, Stopped
from eyas.training.feed import StreamFeed
from eyas.training.loop import Hooks, start
from eyas.training.loop import train as training_loop
from eyas.training.memory import Parts
from eyas.training.optimizer import Optimizer
from eyas.training.progress import Progress, Score
from eyas.training.recipe import Recipe
from eyas.training.run import Run, now
from eyas.training.saving import Saver
from eyas.training.signals import asked_to_leave
from eyas.training.state import State, twin
from eyas.training.step import supervised
from eyas.training.stopping import best

MOST_AT_ONCE = 256
"""Images that are scored together."""


class Session:
    """What is needed to work on one run here; `train` does the work."""

    def __init__(
        self, run: Run, recipe: Recipe, plan: Plan, prepared: Prepared, spec: catalog.Spec, *, reporter: Reporter
    ) -> None:
        self.run = run
        self.recipe = recipe
        self.plan = plan
        self.prepared = prepared
        self.spec = spec
        self.reporter = reporter
        self.device = torch.device(plan.text("device"))
        self.autocast = torch.bfloat16 if plan.text("precision") == "bf16" else None
        self.books = Books({})
        self.started = time.monotonic()
        self.spent_before = 0.0
        self.evaluated_s = 0.0
        self.last_evaluation_s = 0.0
        held_out = max(len(prepared.rows(Split.VAL)), len(prepared.rows(Split.TEST)))
        # One size for all batches of a run, so that an image's answer never depends on its neighbours.
        self.at_once = min(MOST_AT_ONCE, 1 << max(3, (held_out - 1).bit_length()))
        torch.set_num_threads(plan.whole("threads"))

    def begin(self, seconds: Mapping[str, float]) -> None:
        """Book what was done before this session: finding, packing, planning."""
        for stage, took in seconds.items():
            self.books.add(stage, took)
        self.started -= sum(seconds.values())

    # ---- what the run is made of --------------------------------------------------------------------------------

    def inputs(self) -> catalog.Inputs:
        """What the net is built for."""
        pre = self.prepared.preprocess
        return catalog.Inputs(
            len(self.prepared.samples.classes), pre.height, pre.width, pre.channels, pre.mean, pre.std
        )

    def _build(self, seed: int) -> torch.nn.Module:
        channels_last = self.plan["memory_format"] == "channels_last"
        arguments = self.recipe.model_args
        return catalog.build(self.spec, self.inputs(), arguments=arguments, seed=seed, channels_last=channels_last)

    def new_state(self, stream: Stream) -> State:
        """Model with its first weights, optimiser, and the average when the recipe has one."""
        model = self._build(self.recipe.seed)
        prepare_on = getattr(model, "prepare", None)
        if prepare_on is not None:  # a first layer made from the data, like whitening
            prepare_on(torch.from_numpy(stream.batch(0, min(4096, stream.epoch_size)).images))
        model.to(self.device)
        return State(model, Optimizer(self.recipe.optimizer, model), twin(model) if self.recipe.ema > 0 else None)

    def engine(self, model: torch.nn.Module | None = None, *, autocast: torch.dtype | None = None) -> Eager:
        """An engine for `model`, or for a new net whose weights are still to be loaded."""
        if model is None:
            model = self._build(0).to(self.device)
        return Eager(model, batch=self.at_once, autocast=autocast)

    # ---- training -----------------------------------------------------------------------------------------------

    def train(self, *, save_every_s: float | None = None) -> Stopped:
        """Train from the newest checkpoint, or from the beginning, to the end of the run or until asked to leave."""
        run, recipe = self.run, self.recipe
        checkpoint.sweep(run.checkpoints)
        stream = training_stream(self.prepared, recipe, where=self.plan.text("images"))
        state = self.new_state(stream)
        numerics = numerics_of(self.plan)
        events, metrics = EventLog(run.path / "events.jsonl"), MetricsTable(run.path / "metrics.csv")
        threads = self.plan.whole("loader_threads")
        feed = StreamFeed(stream, device=self.device, threads=threads, cores=look().cores)
        with events, metrics, closing(feed), closing(self.reporter), asked_to_leave() as leave:
            at = self._resume(state, start(recipe, stream.epoch_size, steps=UNKNOWN), numerics, (events, metrics))
            begun, first = time.monotonic(), at.position

            def settle(position: int) -> None:
                self.books.settle(
                    time.monotonic() - begun,
                    evaluated_s=self.evaluated_s,
                    waited_s=feed.waited_s,
                    saved_s=saver.stall_s,
                    images=position - first,
                    tax=feed.tax(),
                )

            def small(state: State, at: Progress) -> dict[str, Any]:
                settle(at.position)
                told = {"progress": asdict(at), "state": state.small(), "lengths": events.lengths() | metrics.lengths()}
                return told | {"elapsed_s": self.elapsed(), "books": self.books.to_dict()}

            def sync() -> None:
                for file in (events, metrics):
                    file.sync()  # a checkpoint must not remember more of a file than the disk has

            fingerprints = {"intent": run.document["intent"], "numerics": numerics}
            saver = Saver(run.checkpoints, fingerprints=fingerprints, small=small, sync=sync, every_s=save_every_s)
            top = best(at.scores)
            saver.best = checkpoint.name_of(top.step, top.attempt) if top else None
            replicas = One(parts=self.plan.whole("parts"), seed=recipe.seed, device=self.device)
            part_step = supervised(recipe, autocast=self.autocast)
            hooks = self._hooks(saver, stream, leave)
            loop = training_loop(state, at, recipe, replicas=replicas, part_step=part_step, feed=feed, hooks=hooks)
            stopped: Stopped | None = None
            with closing(loop):
                for event in loop:
                    events(event)
                    metrics(event)
                    self.reporter(event)
                    self._log(event)
                    if isinstance(event, Stopped):
                        stopped = event
            for saved in saver.drain():
                events(saved)
                self.reporter(saved)
            assert stopped is not None
            settle(stopped.at.position)
        return stopped

    def elapsed(self) -> float:
        """Seconds that this run has taken, those of earlier processes included."""
        return self.spent_before + time.monotonic() - self.started

    def _resume(
        self, state: State, at: Progress, numerics: Mapping[str, Any], files: tuple[EventLog, MetricsTable]
    ) -> Progress:
        """Put back the newest whole checkpoint, and cut events and metrics back to it."""
        loaded, damaged = load_newest(self.run)
        for name, why in damaged:
            self.reporter.warn("run.damaged", name=name, why=why)
            self.run.log(f"damaged checkpoint {name} passed over: {why}")
        if loaded is None:
            for file in files:
                file.truncate_to({"events.jsonl": 0, "metrics.csv": 0})
            return at
        then = _restored(state, loaded)
        for file in files:
            file.truncate_to(loaded.state["lengths"])
        self.spent_before = float(loaded.state["elapsed_s"])
        self.books.restore(loaded.state["books"])
        at = then if self.recipe.epochs is None else replace(then, steps=at.steps)
        kept, changed = promise(loaded.fingerprints["numerics"], numerics)
        self._say_resumed(at, kept, changed)
        if at.steps != then.steps and self.recipe.epochs is not None:
            self.reporter.note("  " + say("run.extended", before=then.steps, now=at.steps))
        resumes = [*self.run.document.get("resumes", []), {"step": at.step, "promise": kept, "when": now()}]
        self.run.write(resumes=resumes)
        return at

    def _go_back(self, state: State, saver: Saver, step: int) -> Progress | None:
        """The newest checkpoint of at most `step` into the state; where that was pruned, the newest there is."""
        saver.wait()
        folder = self.run.checkpoints
        loaded = checkpoint.newest(folder, most=step).newest or checkpoint.newest(folder).newest
        if loaded is None:
            return None
        at = _restored(state, loaded)
        top = best(at.scores)
        saver.best = checkpoint.name_of(top.step, top.attempt) if top else None
        return at

    def _name(self, stream: Stream, position: int, size: int) -> str:
        """The names of the first samples of a batch."""
        rows = stream.batch(position, min(size, 3)).index
        return ", ".join(self.prepared.samples.source.name(int(row)) for row in rows)

    def _say_resumed(self, at: Progress, kept: str, changed: list[str]) -> None:
        self.reporter.note(say(f"run.resumed.{kept}", step=at.step, epoch=f"{at.epoch:.1f}"))
        for line in changed:
            self.reporter.note(f"  {line}")

    def _hooks(self, saver: Saver, stream: Stream, leave: Callable[[], str | None]) -> Hooks:
        prepared, recipe = self.prepared, self.recipe
        val = prepared.rows(Split.VAL)

        def evaluate(state: State, at: Progress, weights: str) -> Score:
            begun = time.monotonic()
            model = state.model if weights == "raw" else state.average
            logits = logits_of(self.engine(model, autocast=self.autocast), prepared, Split.VAL)
            labels = prepared.samples.labels[val]
            correct = int((logits.argmax(1) == labels).sum())
            loss = mean_loss(logits, labels)
            self.last_evaluation_s = time.monotonic() - begun
            self.evaluated_s += self.last_evaluation_s
            return Score(at.step, "val", weights, len(val), correct, loss, at.attempt)

        def save(state: State, at: Progress, best: bool) -> Iterator[Saved]:
            return saver.save(state, at, best)

        budget: Callable[[Progress], Decided | None] = lambda at: None  # noqa: E731 - one line says it best
        if recipe.time_s is not None and recipe.epochs is None:
            budget = TimeBudget(
                recipe.time_s,
                spent=self.elapsed,
                reserve=lambda: (
                    1.0 + 3 * self.last_evaluation_s
                ),  # the last scoring of both weights, and the predictions
                recorded=self.run.decisions(),
                write=self.run.decide,
            )
        return Hooks(
            evaluate if len(val) else None,
            save,
            saver.due,
            budget,
            leave,
            parts=Parts(self.plan.whole("parts"), recorded=self.run.decisions(), write=self.run.decide),
            go_back=lambda state, step: self._go_back(state, saver, step),
            name=lambda position, size: self._name(stream, position, size),
        )

    def _log(self, event: object) -> None:
        match event:
            case Evaluated(at, score, train_loss, _, _):
                self.run.log(f"step {at.step} {score.split} accuracy {score.accuracy:.4f} train loss {train_loss:.4f}")
            case Recovered(at, what, detail):
                self.run.log(f"step {at.step} {what}: {detail}")
            case Saved(at, path, _, _, ok, reason) if not ok:
                self.run.log(f"step {at.step} checkpoint {path} was dropped: {reason}")
            case Stopped(at, reason):
                self.run.log(f"step {at.step} stopped: {reason}")
            case _:
                pass


def _restored(state: State, loaded: checkpoint.Loaded) -> Progress:
    """Puts a checkpoint into the state; where it was."""
    state.load({f: {n: torch.from_numpy(a) for n, a in named.items()} for f, named in loaded.tensors.items()})
    state.load_small(loaded.state["state"])
    told = dict(loaded.state["progress"])
    told["scores"] = tuple(Score(**s) for s in told["scores"])
    return Progress(**told)
