"""`eyas show DATA`: a grid of augmented training images with their labels: the first thing to look at."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eyas.data.samples import Split
from eyas.evaluation.figures import drawable, legend, sample_grid
from eyas.evaluation.predictions import replace_file
from eyas.flows.feeding import training_stream
from eyas.flows.prepare import Progress, prepare, quiet
from eyas.flows.recipes import Found, recipe_for
from eyas.flows.request import request_of
from eyas.flows.settings import Settings
from eyas.machine import look
from eyas.models import catalog


@dataclass(frozen=True)
class Shown:
    """The file, and what the numbers in it stand for when no font here can draw the names (else empty)."""

    path: Path
    legend: str


def show(data: str, settings: Settings, *, out: Path, count: int = 64, progress: Progress = quiet) -> Shown:
    """Write a PNG of the first `count` images that training would see, augmented, with their labels."""
    machine = look()
    spec = catalog.find(settings.model or catalog.DEFAULT)
    prepared = prepare(
        request_of(data, settings),
        workers=settings.workers or machine.cores,
        declared_size=spec.fixed,
        smallest=spec.smallest,
        progress=progress,
    )
    pre = prepared.preprocess
    rows = prepared.rows(Split.TRAIN)
    found = Found(
        train=len(rows), channels=pre.channels, one_shape=pre.resize == "none", side=min(pre.height, pre.width)
    )
    recipe = recipe_for(settings, spec.name, found)
    batch = training_stream(prepared, recipe).batch(0, count)
    classes = prepared.samples.classes
    names = drawable(classes)  # numbers where no font here has the characters
    replace_file(out, sample_grid(list(batch.images), [names[label] for label in batch.labels]))
    return Shown(out, legend(classes))
