"""`eyas show`: a picture of what training will see, augmentation and labels included."""

from __future__ import annotations

from pathlib import Path

import click

from eyas.cli.command import Call, Verb, argument, count, option, setting_options
from eyas.cli.train import settings_of
from eyas.errors.messages import say


def command() -> click.Command:
    """The verb."""
    params = [
        argument("data", help="cli.train.data"),
        option("--to", metavar="FILE.png", help="cli.show.to"),
        option("--count", metavar="N", help="cli.show.count"),
        *setting_options(),
        option("--config", metavar="FILE", help="cli.option.config"),
    ]
    examples = ("eyas show photos/", "eyas show photos/ --rotate 15 --flip --to grid.png")
    return Verb("show", _run, params=params, examples=examples)


def _run(call: Call) -> int:
    number = count(call.params, "count", default=36, most=400)
    resolved = settings_of(call)
    from eyas.flows import show

    out = Path(call.params["to"] or "eyas-show.png")
    with call.out.reporter() as reporter:
        path = show.show(call.params["data"], resolved.settings, out=out, count=number, progress=reporter.phase)
    call.out.answer({"path": path, "count": number}, str(path) if call.out.quiet else say("cli.show.done", path=path))
    return 0
