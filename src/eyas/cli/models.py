"""`eyas models`: the nets that can be trained, what they take, how large they are."""

from __future__ import annotations

from typing import Any

import click

from eyas.cli.command import Call, Verb
from eyas.cli.needs import need_torch
from eyas.cli.output import table
from eyas.errors.messages import language, say

CLASSES = 10
"""The number of classes that weights are counted for."""


def command() -> click.Command:
    """The verb."""
    return Verb("models", _run, examples=("eyas models", "eyas train photos/ --model small-net --model-arg width=64"))


def _row(name: str) -> dict[str, Any]:
    from eyas.models import catalog

    spec = catalog.SPECS[name]
    height, width, channels = spec.fixed or (32, 32, 3)
    inputs = catalog.Inputs(CLASSES, height, width, channels, mean=(0.5,) * channels, std=(0.25,) * channels)
    net = catalog.build(spec, inputs, arguments={}, seed=0)
    return {
        "name": name,
        "description": spec.chinese if language() == "zh" else spec.english,
        "input": spec.fixed,
        "smallest": spec.smallest,
        "parameters": catalog.parameters(net),
        "arguments": spec.arguments(),
        "default": name == catalog.DEFAULT,
    }


def _run(call: Call) -> int:
    need_torch()
    from eyas.models import catalog

    rows = [_row(name) for name in catalog.names()]
    if call.out.quiet:
        text = "\n".join(row["name"] for row in rows)
    else:
        lines = [(row["name"], f"{row['parameters']:,}", row["description"]) for row in rows]
        head = (say("cli.models.name"), say("cli.models.weights", n=CLASSES), "")
        text = table([head, *lines])
    call.out.answer({"models": rows}, text)
    return 0
