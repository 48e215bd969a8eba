"""`eyas config show`: every setting in force, and where each came from."""

from __future__ import annotations

from dataclasses import fields

import click

from eyas.cli.command import Call, Verb, argument, option, setting_options
from eyas.cli.output import table
from eyas.cli.train import settings_of
from eyas.errors import UsageError
from eyas.flows.config import toml_value
from eyas.flows.settings import Settings


def command() -> click.Command:
    """The verb."""
    params = [
        argument("action", help="cli.config.action", required=False),
        *setting_options(),
        option("--config", metavar="FILE", help="cli.option.config"),
    ]
    examples = ("eyas config show", "eyas config show --json", "EYAS_LR=0.2 eyas config show")
    return Verb("config", _run, params=params, examples=(examples[0], *examples[2:]))


def _run(call: Call) -> int:
    action = call.params["action"] or "show"
    if action != "show":
        raise UsageError("EY-U017", got=f"eyas config {action}", allowed="show", next="eyas config show")
    resolved = settings_of(call)
    values = {setting.name: getattr(resolved.settings, setting.name) for setting in fields(Settings)}
    document = {
        "settings": {name: {"value": value, "origin": resolved.origins[name]} for name, value in values.items()},
        "notes": resolved.notes,
    }
    rows = [
        (name, "–" if value is None else toml_value(value), resolved.origins[name]) for name, value in values.items()
    ]
    call.out.answer(document, table(rows))
    return 0
