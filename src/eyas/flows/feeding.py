"""From prepared images and a recipe to the endless stream of training batches."""

from __future__ import annotations

from eyas.data.order import Balanced, Order, Shuffled, Weighted
from eyas.data.samples import Split
from eyas.data.stream import Stream
from eyas.errors import DataError, UsageError
from eyas.flows.prepare import Prepared
from eyas.training.recipe import Recipe


def check_sampling(prepared: Prepared, recipe: Recipe) -> None:
    """Raises UsageError EY-U140 when weights are needed and there are none, DataError EY-D144 when all are 0."""
    if recipe.sampling == "weighted":
        if prepared.samples.weights is None:
            raise UsageError("EY-U140", got=prepared.samples.layout)
        weights = prepared.samples.weights[prepared.rows(Split.TRAIN)]
        if not (weights > 0).any() or (weights < 0).any():
            raise DataError("EY-D144", n=len(weights))


def order_of(prepared: Prepared, recipe: Recipe) -> Order:
    """Which training image comes when."""
    rows = prepared.rows(Split.TRAIN)
    match recipe.sampling:
        case "shuffled":
            return Shuffled(len(rows), recipe.seed)
        case "balanced":
            return Balanced(prepared.samples.labels[rows], recipe.seed)
        case "weighted":
            check_sampling(prepared, recipe)
            assert prepared.samples.weights is not None
            return Weighted(prepared.samples.weights[rows], recipe.seed)


def training_stream(prepared: Prepared, recipe: Recipe, *, where: str = "mapped") -> Stream:
    """The endless augmented training data of a recipe; `where` the packed images are (`Pack.placed`)."""
    rows = prepared.rows(Split.TRAIN)
    return Stream(
        pack=prepared.train.placed(where),
        rows=rows,
        labels=prepared.samples.labels,
        order=order_of(prepared, recipe),
        augment=recipe.augment,
        seed=recipe.seed,
        height=prepared.preprocess.height,
        width=prepared.preprocess.width,
        # Weights that decide how often an image comes must not count a second time in the loss.
        weights=None if recipe.sampling == "weighted" else prepared.samples.weights,
    )
