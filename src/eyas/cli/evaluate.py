"""`eyas evaluate`: how good a run is, with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from eyas.cli.command import Call, Verb, argument, choice, option
from eyas.cli.needs import need_torch
from eyas.cli.output import Out, table
from eyas.cli.train import percent
from eyas.errors.messages import say


def command() -> click.Command:
    """The verb."""
    params = [
        argument("run", help="cli.run"),
        argument("data", help="cli.evaluate.data", required=False),
        option("--split", metavar="val|test|holdout", help="cli.evaluate.split"),
    ]
    examples = ("eyas evaluate runs/latest", "eyas evaluate runs/latest new-photos/ --json")
    return Verb("evaluate", _run, params=params, examples=examples)


def evaluate(target: str, data: str | None, split: str | None, out: Out) -> dict[str, Any]:
    """Score and return the document of `--json`."""
    need_torch()
    from eyas.flows import score

    with out.reporter() as reporter:
        return score.evaluate(target, data, split=split, progress=reporter.phase)


def summary(document: Mapping[str, Any], out: Out) -> str:
    """What a person reads on stdout; with --quiet only the accuracy, as a share."""
    if out.quiet:
        return f"{document['accuracy']:.6f}"
    rows = [(say("cli.evaluate.accuracy"), percent(document))]
    for key in ("top5", "loss", "ece"):
        value = document.get(key)
        if value is not None:
            rows.append((say(f"cli.evaluate.{key}"), f"{100 * value:.2f} %" if key != "loss" else f"{value:.4f}"))
    looked = document.get("looks", 1)
    looks = [say("cli.evaluate.looks", n=looked)] if looked > 1 else []
    return "\n".join([str(document["split"]), table(rows, indent="  "), *looks, *_classes(document)])


def _recall(one: dict[str, Any]) -> float:
    return float(one["recall"])


def _class(one: dict[str, Any]) -> str:
    return percent({"accuracy": one["recall"], "interval": one["interval"], "n": one["support"]})


def _classes(document: Mapping[str, Any]) -> list[str]:
    """The five classes that are recognised least often."""
    classes: list[dict[str, Any]] = [one for one in document.get("per_class") or [] if one["support"]]
    worst = sorted(classes, key=_recall)[:5]
    return (
        [say("cli.evaluate.worst"), table([(str(one["label"]), _class(one)) for one in worst], indent="  ")]
        if worst
        else []
    )


def _run(call: Call) -> int:
    split = choice(call.params, "split", choices=("val", "test", "holdout"))
    document = evaluate(call.params["run"], call.params["data"], split, call.out)
    call.out.answer(document, summary(document, call.out))
    return 0
