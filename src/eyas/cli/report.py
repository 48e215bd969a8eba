"""`eyas report`: the report of a run, written again from what is in its folder."""

from __future__ import annotations

from pathlib import Path

import click

from eyas.cli.command import Call, Verb, argument
from eyas.cli.needs import need
from eyas.errors.messages import say


def command() -> click.Command:
    """The verb."""
    return Verb("report", _run, params=[argument("run", help="cli.run")], examples=("eyas report runs/latest",))


def _run(call: Call) -> int:
    need("matplotlib", "jinja2")
    from eyas.observe import report
    from eyas.training import run as runs

    run = runs.find(call.params["run"], Path("runs"))
    path = report.write(run.path)
    call.out.answer({"run": run.path, "report": path}, str(path) if call.out.quiet else say("cli.report", path=path))
    return 0
