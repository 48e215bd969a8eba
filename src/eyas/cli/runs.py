"""`eyas runs`: what was trained here, and how it went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from eyas.cli.command import Call, Verb, argument
from eyas.cli.output import table
from eyas.errors import UsageError
from eyas.errors.messages import say


def command() -> click.Command:
    """The verb."""
    params = [argument("root", help="cli.runs.root", required=False)]
    return Verb("runs", _run, params=params, examples=("eyas runs", "eyas runs --json | jq '.runs[-1].run'"))


def _accuracy(document: dict[str, Any], split: str) -> str:
    score = (document.get("result") or {}).get(split)
    return f"{100 * score['accuracy']:.2f} %" if score else "–"


def _run(call: Call) -> int:
    from eyas.training.run import list_damaged, list_runs, standing

    root = Path(call.params["root"] or "runs")
    if call.params["root"] and not root.is_dir():
        raise UsageError("EY-U027", got=root)
    found, damaged = list_runs(root), list_damaged(root)
    document = {
        "runs": [{"run": run.path, **run.document, "status": standing(run)} for run in found],
        "damaged": damaged,
    }
    for path in damaged:
        call.out.note(say("run.unreadable", path=path / "run.json"))
    if call.out.quiet:
        text = "\n".join(str(run.path) for run in found)
    elif not found:
        text = say("cli.runs.none", root=root)
    else:
        head = tuple(say(f"cli.runs.{key}") for key in ("run", "state", "began", "val", "test"))
        rows = [
            (
                str(run.path),
                standing(run),
                str(run.document.get("created", "–")),
                _accuracy(run.document, "val"),
                _accuracy(run.document, "test"),
            )
            for run in found
        ]
        text = table([head, *rows])
    call.out.answer(document, text)
    return 0
