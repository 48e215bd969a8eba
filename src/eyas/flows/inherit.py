"""Which earlier split a new run takes over: that of the newest run on the same data, so that old photos never move.

A split is taken over whole from a run that was asked to divide in the same way (the same words for --val and --test,
and for --holdout where it is said). Otherwise only its holdout is: that is kept out for good. `--splits none` begins
anew. What is taken over is part of the identity of the data, so an unfinished run must be given its own split again:
it is asked first.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from eyas.flows.prepare import Inherited
from eyas.flows.request import Request
from eyas.training.run import UNFINISHED, Run, list_runs, read

FILE = "splits.csv"


def inherited(request: Request, *, root: Path, out: Path | None = None, fresh: bool = False) -> Inherited:
    """What a run for `request` takes over.

    From the run in `out` when there is one; else from an unfinished run of the very same request (unless it is to be
    `fresh`), else from the newest one below `root`.
    """
    if request.splits is not None:
        return Inherited()
    wanted = request.to_dict()
    runs = [run for run in _asked(root, out) if _same_data(run, wanted)]
    alike = [run for run in runs if _divides_alike(wanted, run.document["request"])]
    if out is None and not fresh:
        going_on = [run for run in alike if run.status in UNFINISHED and run.document["request"] == wanted]
        alike = going_on[:1] or alike
    memory = alike[0].path / FILE if alike else None
    sealed = next((run.path / FILE for run in runs if "holdout" in run.document["data"]["splits"]), None)
    return Inherited(path=memory or sealed, memory=memory, sealed=sealed)


def _asked(root: Path, out: Path | None) -> list[Run]:
    """The runs that may have a split, the newest first."""
    own = read(out) if out is not None else None
    if own is not None and (own.path / FILE).is_file():
        return [own]
    return [run for run in reversed(list_runs(root)) if (run.path / FILE).is_file()]


def _same_data(run: Run, wanted: Mapping[str, Any]) -> bool:
    asked: dict[str, Any] = run.document.get("request") or {}
    data: dict[str, Any] = run.document.get("data") or {}
    return asked.get("data") == wanted["data"] and "splits" in data


def _divides_alike(wanted: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    same = all(wanted[word] == asked.get(word) for word in ("val", "test"))
    return same and wanted["holdout"] in (None, asked.get("holdout"))
