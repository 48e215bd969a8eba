"""`eyas report`: the report of a run, written again from what is in its folder."""

from __future__ import annotations

import click

from eyas.cli.command import Call, Verb, argument
from eyas.cli.needs import need, need_torch
from eyas.errors.messages import say


def command() -> click.Command:
    """The verb."""
    return Verb("report", _run, params=[argument("run", help="cli.run")], examples=("eyas report runs/latest",))


def _run(call: Call) -> int:
    need("matplotlib", "jinja2")
    need_torch()
    from eyas.flows.rewrite import rewrite

    with call.out.reporter() as reporter:
        path, notes = rewrite(call.params["run"], progress=reporter.phase)
    for note in notes:
        call.out.note(note)
    text = str(path) if call.out.quiet else say("cli.report", path=path)
    call.out.answer({"run": path.parent, "report": path, "notes": notes}, text)
    return 0
