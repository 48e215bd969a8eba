"""`eyas demo`: the whole road once, on images that came with the package. Each step is a command you can type."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import click

from eyas.cli import evaluate as evaluating
from eyas.cli import train as training
from eyas.cli.command import Call, Verb
from eyas.cli.needs import need_torch
from eyas.errors.messages import say
from eyas.flows.config import resolve

#: half a minute on two cores; the set is 12,000 photographs of clothes, 28 by 28
TRAIN = ("train", "fashion-sample", "--model", "fashion-cnn", "--epochs", "10")


def command() -> click.Command:
    """The verb."""
    return Verb("demo", _run, examples=("eyas demo",))


def _run(call: Call) -> int:
    need_torch()
    out = replace(call.out, words=TRAIN)
    out.note(f"$ eyas {shlex.join(TRAIN)}")
    flags = dict(zip((flag[2:] for flag in TRAIN[2::2]), TRAIN[3::2], strict=True))
    # What somebody set for a project (a file, variables) must not change what the demo shows.
    resolved = resolve(flags, cwd=Path("/nowhere"), environ={})
    trained = training.train(TRAIN[1], resolved, out)
    out.note(training.summary(trained, out))
    out.note(f"\n$ eyas evaluate {trained['run']}")
    scored = evaluating.evaluate(str(trained["run"]), None, None, out)
    out.note(evaluating.summary(scored, out))
    report = Path(str(trained["run"])) / "report.html"
    document = {"train": trained, "evaluate": scored, "report": report}
    out.answer(document, str(report) if out.quiet else say("cli.demo.done", report=report, run=trained["run"]))
    return 0
