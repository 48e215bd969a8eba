"""`eyas report`: the report of a run written again, pictures included when the images are still what they were."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyas.errors import DataError
from eyas.errors.messages import say
from eyas.flows.classifier import RUNS
from eyas.flows.finish import thumbnails
from eyas.flows.prepare import Progress, prepare_again, quiet
from eyas.observe import report
from eyas.training.run import Run, find


def rewrite(target: str, *, root: Path = RUNS, progress: Progress = quiet) -> tuple[Path, tuple[str, ...]]:
    """The path of the new report, and notes for the reader on what it lacks.

    Images that moved or changed since are left out and noted: a row must never be shown with another one's picture.
    """
    run = find(target, root)
    pictures, note = _pictures(run, progress)
    return report.write(run.path, thumbnails=pictures), (note,) if note else ()


def _pictures(run: Run, progress: Progress) -> tuple[Callable[[int], NDArray[np.uint8]] | None, str]:
    """A function from a row to its image, or None and the reason."""
    document: dict[str, Any] = run.document
    try:
        prepared = prepare_again(run, progress=progress)
    except DataError as error:
        return None, say("report_no_images", reason=error.text().splitlines()[0])
    if prepared.identity() != document["intent"]["data"]:
        return None, say("report_other_images", data=document["request"]["data"])
    return thumbnails(prepared), ""
