"""How good a classifier is, from stored probabilities: pure functions of `scores` and `labels`, numpy only.

Throughout: `scores` float32 (n, C), probabilities of the C classes, rows sum to 1; `labels` int (n,), 0..C-1.
Names say what they are: `accuracy` counts images alike, `balanced_accuracy` and `macro_f1` count classes alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyas.errors import DataError

SMALLEST = 1e-12
"""Probabilities are clipped here before the logarithm, so one image costs at most 27.6 nats."""

BINS = 15
"""Bins of the calibration error, the customary number."""

Scores = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


def wilson(correct: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """The interval (lo, hi), 0..1, that holds the true rate in `level` of all cases, after `correct` of `n`.

    Wilson's score interval, https://doi.org/10.1080/01621459.1927.10502953: never outside 0..1 and usable at 0 % and
    100 %, where the textbook interval has no width. `n = 0` gives (0, 1): nothing is known.

    >>> [round(x, 3) for x in wilson(93, 100)]
    [0.863, 0.966]
    """
    assert 0 <= correct <= n
    assert 0 < level < 1
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p = correct / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # The formula gives 0 and 1 exactly at the ends; rounding gives 1e-17 and would then leave p outside.
    lo = 0.0 if correct == 0 else max(0.0, min(middle - half, p))
    hi = 1.0 if correct == n else min(1.0, max(middle + half, p))
    return lo, hi


def predicted(scores: Scores) -> NDArray[np.int64]:
    """int64 (n,): the most probable class of each row; the first of equals."""
    if len(scores) == 0:
        return np.zeros(0, np.int64)
    return np.argmax(scores, axis=1).astype(np.int64)


def accuracy(scores: Scores, labels: Labels) -> float:
    """Share of images whose most probable class is the right one, 0..1; 0 for no images."""
    return float(np.mean(predicted(scores) == labels)) if len(labels) else 0.0


def top_k(scores: Scores, labels: Labels, *, k: int) -> float:
    """Share of images whose label is among the `k` most probable classes, 0..1.

    Equal scores rank by class number, so `top_k(k=1)` is `accuracy` to the last bit. With C <= k it is 1.
    """
    n, classes = scores.shape
    if n == 0:
        return 0.0
    own = scores[np.arange(n), labels][:, None]
    ahead = (scores > own) | ((scores == own) & (np.arange(classes)[None, :] < np.asarray(labels)[:, None]))
    return float(np.mean(ahead.sum(axis=1) < k))


def losses(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """float64 (n,): log loss of each image in nats, clipped at -log(1e-12)."""
    own = scores[np.arange(len(labels)), labels].astype(np.float64)
    return -np.log(np.clip(own, SMALLEST, 1.0))


def log_loss(scores: Scores, labels: Labels) -> float:
    """Mean log loss in nats (clipped, see `losses`); 0 for no images."""
    return float(losses(scores, labels).mean()) if len(labels) else 0.0


def confusion(scores: Scores, labels: Labels) -> NDArray[np.int64]:
    """int64 (C, C): how many images of class `row` were taken for class `column`."""
    classes = scores.shape[1]
    cells = np.asarray(labels, np.int64) * classes + predicted(scores)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def ece(scores: Scores, labels: Labels, *, bins: int = BINS) -> float:
    """Expected calibration error, 0..1: how far the stated confidence is from the share that is right.

    `bins` equal-width bins (a, b] of the highest probability; mean over images of |accuracy - confidence| of their bin
    (Guo et al. 2017, https://arxiv.org/abs/1706.04599). With few images it is too high: a bin of 5 images is noisy.
    """
    n = len(labels)
    if n == 0:
        return 0.0
    confidence = scores.max(axis=1).astype(np.float64)
    place = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    right = np.bincount(place, weights=(predicted(scores) == labels).astype(np.float64), minlength=bins)
    sure = np.bincount(place, weights=confidence, minlength=bins)
    return float(np.abs(right - sure).sum() / n)


@dataclass(frozen=True)
class ClassScore:
    """One class: of `support` images `correct` were found; `predicted` images were taken for it.

    `recall` and `interval` (Wilson, of the recall) are None and (0, 1) without images, `precision` is None when the
    class was never predicted, `f1` when it neither occurs nor was predicted.
    """

    support: int
    predicted: int
    correct: int
    recall: float | None
    interval: tuple[float, float]
    precision: float | None
    f1: float | None


def per_class(counts: NDArray[np.int64], *, level: float = 0.95) -> tuple[ClassScore, ...]:
    """Recall with its interval, precision and F1 of every class, from a confusion matrix (C, C)."""
    found = np.diag(counts).tolist()
    support = counts.sum(axis=1).tolist()
    taken = counts.sum(axis=0).tolist()
    return tuple(
        ClassScore(
            support=s,
            predicted=t,
            correct=c,
            recall=c / s if s else None,
            interval=wilson(c, s, level=level),
            precision=c / t if t else None,
            f1=2 * c / (s + t) if s + t else None,
        )
        for c, s, t in zip(found, support, taken, strict=True)
    )


def balanced_accuracy(counts: NDArray[np.int64]) -> float:
    """Mean recall of the classes that have images, 0..1: rare classes count as much as common ones."""
    recalls = [c.recall for c in per_class(counts) if c.recall is not None]
    return sum(recalls) / len(recalls) if recalls else 0.0


def macro_f1(counts: NDArray[np.int64]) -> float:
    """Mean F1 of the classes that occur or were predicted, 0..1."""
    f1s = [c.f1 for c in per_class(counts) if c.f1 is not None]
    return sum(f1s) / len(f1s) if f1s else 0.0


@dataclass(frozen=True)
class Summary:
    """The whole answer for one split; `interval` is the 95 % Wilson interval of the accuracy."""

    n: int
    correct: int
    accuracy: float
    interval: tuple[float, float]
    top5: float
    """Share with the label among the five most probable; 1 by definition with five classes or fewer."""
    loss: float
    ece: float
    balanced_accuracy: float
    macro_f1: float
    per_class: tuple[ClassScore, ...]

    def to_dict(self, classes: Sequence[str] | None = None) -> dict[str, Any]:
        """A JSON-ready dict; with `classes` each entry of `per_class` carries its `label`."""
        assert classes is None or len(classes) == len(self.per_class)
        rows: list[dict[str, Any]] = []
        for i, c in enumerate(self.per_class):
            named: dict[str, Any] = {"label": classes[i]} if classes is not None else {"class": i}
            rows.append(
                named
                | {
                    "support": c.support,
                    "recall": c.recall,
                    "interval": list(c.interval),
                    "precision": c.precision,
                    "f1": c.f1,
                }
            )
        return {
            "n": self.n,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "top5": self.top5,
            "loss": self.loss,
            "ece": self.ece,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "per_class": rows,
        }


def summary(scores: Scores, labels: Labels) -> Summary:
    """Every figure of one split. Raises EY-D170 when a score is not a finite number (the model has diverged)."""
    assert scores.ndim == 2
    assert len(scores) == len(labels)
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=1))
    if len(bad):
        raise DataError("EY-D170", count=len(bad), n=len(labels), first=int(bad[0]))
    counts = confusion(scores, labels)
    correct = int(np.trace(counts))
    return Summary(
        n=len(labels),
        correct=correct,
        accuracy=correct / len(labels) if len(labels) else 0.0,
        interval=wilson(correct, len(labels)),
        top5=top_k(scores, labels, k=5),
        loss=log_loss(scores, labels),
        ece=ece(scores, labels),
        balanced_accuracy=balanced_accuracy(counts),
        macro_f1=macro_f1(counts),
        per_class=per_class(counts),
    )
