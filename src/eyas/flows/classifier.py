"""A finished run as something that answers: file bytes in, labels with probabilities out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DecodeError
from eyas.artifact.preprocess import Preprocess
from eyas.engines.eager import Eager
from eyas.engines.engine import Engine, softmax
from eyas.errors import EyasWarning, StorageError, UsageError
from eyas.errors.messages import say
from eyas.flows.finish import CHOSEN, load_into
from eyas.machine import look
from eyas.models import catalog
from eyas.training import checkpoint
from eyas.training.run import Run, find

RUNS = Path("runs")
BATCH = 64


@dataclass(frozen=True)
class Answer:
    """What is said about one file: labels with probabilities, best first; or an error with its code."""

    path: str
    top: tuple[tuple[str, float], ...] = ()
    error: tuple[str, str] | None = None

    @property
    def label(self) -> str | None:
        """The likeliest label; None for an error."""
        return self.top[0][0] if self.top else None

    @property
    def probability(self) -> float | None:
        """Its probability, 0..1; None for an error."""
        return self.top[0][1] if self.top else None

    def to_dict(self) -> dict[str, Any]:
        """`{path, label, probability, top}` or `{path, error: {code, message}}`."""
        if self.error is not None:
            return {"path": self.path, "error": {"code": self.error[0], "message": self.error[1]}}
        top = [{"label": label, "probability": p} for label, p in self.top]
        return {"path": self.path, "label": self.label, "probability": self.probability, "top": top}


@dataclass(frozen=True)
class Classifier:
    """A trained net with everything it needs to answer: the way from bytes, the engine, the names of the classes."""

    run: Run
    engine: Engine
    preprocess: Preprocess
    classes: tuple[str, ...]

    def __repr__(self) -> str:
        names = ", ".join(self.classes[:4]) + (", …" if len(self.classes) > 4 else "")
        return f"Classifier({str(self.run.path)!r}, {len(self.classes)} classes: {names})"

    def predict(self, files: str | Path | Iterable[str | Path], *, top: int = 5) -> list[Answer]:
        """One answer per file, in order; a single path is a list of one. Unreadable files get an answer, too."""
        return list(self.stream([files] if isinstance(files, str | Path) else files, top=top))

    def stream(self, files: Iterable[str | Path], *, top: int = 5) -> Iterator[Answer]:
        """Answers one by one, with at most a few batches of images in memory."""
        todo = iter(files)
        with ThreadPoolExecutor(look().cores) as pool:
            while batch := list(islice(todo, BATCH)):
                images = list(pool.map(self._image, batch))
                yield from self._answers([str(f) for f in batch], images, top)

    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities (n, classes) of preprocessed images uint8 (n, h, w, c)."""
        return self.engine.probabilities(images)

    def _image(self, file: str | Path) -> NDArray[np.uint8] | tuple[str, str]:
        try:
            return self.preprocess.from_bytes(Path(file).read_bytes())
        except DecodeError as error:
            return error.code, error.detail
        except OSError as error:
            return "E08", error.strerror or str(error)

    def _answers(
        self, names: Sequence[str], images: Sequence[NDArray[np.uint8] | tuple[str, str]], top: int
    ) -> Iterator[Answer]:
        good = [i for i, image in enumerate(images) if not isinstance(image, tuple)]
        scores: dict[int, NDArray[np.float32]] = {}
        if good:
            found = softmax(self.engine.logits(np.stack([np.asarray(images[i]) for i in good])))
            scores = dict(zip(good, found, strict=True))
        for i, name in enumerate(names):
            image = images[i]
            if isinstance(image, tuple):
                yield Answer(name, error=image)
            else:
                order = np.argsort(-scores[i], kind="stable")[:top]
                yield Answer(name, tuple((self.classes[c], float(scores[i][c])) for c in order))


def load(target: str | Path, *, root: Path = RUNS) -> Classifier:
    """The chosen weights of a run, ready to answer: a path, `latest`, or a number below `root`.

    Raises UsageError EY-U110 when there is no such run, StorageError EY-S204 when its weights are damaged or missing.
    """
    run = find(str(target), root)
    document = run.document
    weights = _chosen(run)
    preprocess = Preprocess.from_dict(document["preprocess"])
    classes = tuple(document["data"]["classes"])
    recipe = document["recipe"]
    inputs = catalog.Inputs(
        len(classes), preprocess.height, preprocess.width, preprocess.channels, preprocess.mean, preprocess.std
    )
    model = catalog.build(catalog.find(recipe["model"]), inputs, arguments=recipe["model_args"], seed=0)
    load_into(model, weights)
    return Classifier(run, Eager(model, batch=BATCH), preprocess, classes)


def _chosen(run: Run) -> dict[str, NDArray[Any]]:
    """The chosen weights by name; where their copy is damaged, those of the step that was chosen."""
    try:
        return checkpoint.read(run.checkpoints / CHOSEN).tensors["model"]
    except ValueError as error:
        chosen: dict[str, Any] | None = run.document.get("chosen")
        if chosen is None:
            raise UsageError("EY-U112", path=run.path, status=run.status) from error
        step = run.checkpoints / checkpoint.name_of(int(chosen["step"]), int(chosen["attempt"]))
        try:
            found = checkpoint.read(step).tensors["ema" if chosen["weights"] == "ema" else "model"]
            warnings.warn(say("run.chosen_damaged", path=run.path, why=error), EyasWarning, stacklevel=3)
            return found
        except ValueError as second:
            raise StorageError("EY-S204", path=run.checkpoints, damaged=f"{CHOSEN}: {error}; {second}") from second
