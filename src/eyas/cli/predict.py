"""`eyas predict`: what is on these pictures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from eyas.cli.command import Call, Verb, argument, count, option
from eyas.cli.needs import need_torch
from eyas.cli.output import to_json
from eyas.errors import UsageError
from eyas.errors.messages import one_line


def command() -> click.Command:
    """The verb."""
    params = [
        argument("run", help="cli.run"),
        argument("files", help="cli.predict.files", many=True),
        option("--top", metavar="N", help="cli.predict.top"),
        option("--jsonl", help="cli.predict.jsonl"),
    ]
    examples = (
        "eyas predict runs/latest photo.jpg",
        "eyas predict runs/latest holiday/ --top 3 --json",
        "find . -name '*.jpg' | eyas predict runs/latest - --jsonl",
    )
    return Verb("predict", _run, params=params, examples=examples)


def expanded(files: Iterable[str], lines: Iterable[str]) -> Iterator[str]:
    """The files meant: a folder stands for the images in it (hidden ones not), `-` for the paths in `lines`.

    What does not exist is passed on: it becomes an answer of its own and does not stop the others.
    """
    from eyas.data.layouts.names import is_hidden, is_image

    for file in files:
        if file == "-":
            yield from (line.rstrip("\r\n") for line in lines if line.strip())
        elif Path(file).is_dir():
            for folder, names, found in os.walk(file):
                names[:] = sorted(name for name in names if not is_hidden(name))
                images = (name for name in sorted(found) if is_image(name) and not is_hidden(name))
                yield from (str(Path(folder) / name) for name in images)
        else:
            yield file


def _shown(row: dict[str, Any]) -> str:
    path = one_line(str(row["path"]))
    if "error" in row:
        return f"{path}  {row['error']['code']}  {one_line(str(row['error']['message']).splitlines()[0])}"
    return path + "".join(f"  {one_line(top['label'])} {100 * top['probability']:.1f} %" for top in row["top"])


def _run(call: Call) -> int:
    need_torch()
    top = count(call.params, "top", default=1, most=1000)
    files = list(expanded(call.params["files"], sys.stdin))
    if not files:
        raise UsageError("EY-U026", got=" ".join(call.params["files"]))
    from eyas.flows import score

    rows: list[dict[str, Any]] = []
    failed = False
    for row in score.predict(call.params["run"], files, top=top):
        failed = failed or "error" in row
        if call.params["jsonl"]:
            call.out.line(to_json(row, lines=False))
        elif call.out.json:
            rows.append(row)
        else:
            call.out.line(str(row.get("label", "")) if call.out.quiet else _shown(row))
    if call.out.json and not call.params["jsonl"]:
        call.out.answer({"predictions": rows}, "")
    return 1 if failed else 0
