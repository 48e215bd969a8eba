"""`eyas train`: images in, a trained and scored classifier out."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import click

from eyas.cli.command import Call, Verb, argument, option, setting_options
from eyas.cli.needs import need_torch
from eyas.cli.output import Out
from eyas.errors import Preempted
from eyas.errors.messages import say
from eyas.flows.config import Resolved, resolve


def command() -> click.Command:
    """The verb."""
    params = [
        argument("data", help="cli.train.data"),
        *setting_options(),
        option("--config", metavar="FILE", help="cli.option.config"),
    ]
    examples = (
        "eyas train photos/",
        "eyas train photos/ --time 15m",
        "eyas train fashion-sample --model fashion-cnn --epochs 5",
    )
    return Verb("train", _run, params=params, examples=examples, more="cli.train.layouts")


def settings_of(call: Call) -> Resolved:
    """The settings in force for this call; with -v those that somebody set are told."""
    config = call.params.get("config")
    resolved = resolve(call.flags, cwd=Path.cwd(), environ=os.environ, config=Path(config) if config else None)
    for note in resolved.notes:
        call.out.note(say("cli.gave_way", note=note))
    if call.out.verbose:
        for name, origin in resolved.origins.items():
            if origin != "default":
                call.out.note(f"{name} = {getattr(resolved.settings, name)}  ({origin})")
    return resolved


def train(data: str, resolved: Resolved, out: Out) -> dict[str, Any]:
    """Train and return the document of `--json`."""
    # Until the loop takes over: what is packed is kept, and the same command goes on.
    signal.signal(signal.SIGTERM, _preempted)
    need_torch()
    from eyas.flows import classify

    with out.reporter() as reporter:
        run = classify.train(data, resolved, command=["eyas", *out.words], reporter=reporter)
    result = run.document["result"]
    keys = ("epochs", "steps", "seconds", "val", "test", "test_looks", "images_per_second", "loader_tax", "augment_tax")
    return {
        "run": run.path,
        "state": run.status,
        "chosen": run.document["chosen"],
        **{key: result.get(key) for key in keys},  # a run of an older eyas may lack the newest
    }


def _preempted(_number: int, _frame: FrameType | None) -> None:
    raise Preempted("EY-P011", command=shlex.join(["eyas", *sys.argv[1:]]))


def percent(score: Mapping[str, Any]) -> str:
    """`92.3 % (90.1 to 94.2 %, n = 1,000)`: a share never comes without its interval."""
    lo, hi = score["interval"]
    return f"{100 * score['accuracy']:.2f} % ({100 * lo:.1f} – {100 * hi:.1f} %, n = {score['n']:,})"


def summary(document: Mapping[str, Any], out: Out) -> str:
    """What a person reads on stdout at the end; with --quiet only the folder."""
    if out.quiet:
        return str(document["run"])
    rows = [f"{name:<5} {percent(document[name])}" for name in ("val", "test") if document.get(name)]
    if document.get("test_looks", 0) > 1:
        rows.append(say("cli.train.looks", looks=document["test_looks"]))
    report = Path(str(document["run"])) / "report.html"
    rows.append(say("cli.train.run", run=document["run"]))
    if report.is_file():
        rows.append(say("cli.report", path=report))
    return "\n".join(rows)


def _run(call: Call) -> int:
    document = train(call.params["data"], settings_of(call), call.out)
    call.out.answer(document, summary(document, call.out))
    return 0
