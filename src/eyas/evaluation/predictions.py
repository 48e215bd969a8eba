"""Predictions: what a model said about every image of a split, stored beside the run so that nothing is asked twice.

Two files: `predictions.<split>.npy`, float32 (n, C) probabilities, and `predictions.<split>.csv`, its index: one line
per row of the array, in the same order. The CSV's numbers follow from the array; reading checks that they do.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyas.errors import DataError
from eyas.evaluation import metrics

COLUMNS = ("row", "path", "label", "predicted", "correct", "probability", "label_probability", "loss")


@dataclass(frozen=True)
class Predictions:
    """One split, scored. Arrays are aligned; columns of `scores` follow `classes`.

    `names` (n,) of the samples, `labels` int64 (n,), `scores` float32 (n, C) probabilities, `rows` int64 (n,): row
    numbers in `Samples`.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    classes: tuple[str, ...]
    rows: NDArray[np.int64]

    def __post_init__(self) -> None:
        assert self.scores.shape == (len(self.names), len(self.classes))
        assert len(self.labels) == len(self.rows) == len(self.names)
        assert self.scores.dtype == np.float32

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def predicted(self) -> NDArray[np.int64]:
        """int64 (n,): the most probable class."""
        return metrics.predicted(self.scores)

    @cached_property
    def correct(self) -> NDArray[np.bool_]:
        """bool (n,): whether that is the label."""
        return self.predicted == self.labels

    @cached_property
    def probability(self) -> NDArray[np.float32]:
        """float32 (n,): probability of the predicted class."""
        return self.scores[np.arange(len(self)), self.predicted]

    @cached_property
    def label_probability(self) -> NDArray[np.float32]:
        """float32 (n,): probability of the label."""
        return self.scores[np.arange(len(self)), self.labels]

    @cached_property
    def loss(self) -> NDArray[np.float64]:
        """float64 (n,): log loss of each image, nats."""
        return metrics.losses(self.scores, self.labels)

    @cached_property
    def confusion(self) -> NDArray[np.int64]:
        """int64 (C, C): label by predicted class."""
        return metrics.confusion(self.scores, self.labels)

    def summary(self) -> metrics.Summary:
        """Every figure of this split."""
        return metrics.summary(self.scores, self.labels)

    def worst(self, k: int = 24) -> NDArray[np.int64]:
        """int64 (<= k,): positions of the wrong answers, largest loss first; equal ones in order."""
        wrong = np.flatnonzero(~self.correct)
        return wrong[np.argsort(-self.loss[wrong], kind="stable")][:k]

    def most_confused(self, k: int = 10) -> list[tuple[int, int, int]]:
        """At most `k` of (label, predicted, count) with count > 0 and label != predicted, most frequent first."""
        counts = self.confusion.copy()
        np.fill_diagonal(counts, 0)
        flat = counts.ravel()
        order = np.argsort(-flat, kind="stable")[:k]
        side = len(self.classes)
        return [(int(i) // side, int(i) % side, int(flat[i])) for i in order if flat[i] > 0]


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\Z")
_ESCAPED = re.compile(r"\\(\\|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")


def escape(text: str) -> str:
    r"""`text` as one safe CSV field: printable, valid UTF-8, and nothing that a spreadsheet would run.

    Backslash, control and other unprintable characters (also bytes of a file name that are no text) become `\\`,
    `\xNN`, `\uNNNN`, `\UNNNNNNNN`; so does a leading `=`, `+`, `-` or `@` of what is not a number.

    >>> print(escape("=cmd()"), escape("a\nb"), escape("-1"))
    \x3dcmd() a\x0ab -1
    """
    out = [_escape(c) if c == "\\" or not c.isprintable() else c for c in text]
    if text[:1] in ("=", "+", "-", "@") and not _NUMBER.match(text):
        out[0] = f"\\x{ord(text[0]):02x}"
    return "".join(out)


def _escape(c: str) -> str:
    if c == "\\":
        return "\\\\"
    code = ord(c)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def unescape(text: str) -> str:
    """What `escape` was given."""
    return _ESCAPED.sub(lambda m: "\\" if m[1] == "\\" else chr(int(m[1][1:], 16)), text)


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` so that `path` holds either its old content or all of the new, even when the power fails.

    A temporary file beside it, fsync, rename, fsync of the folder. A failed fsync is not retried: the kernel may have
    dropped the pages, so the temporary is thrown away and the error goes up (OSError).
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with part.open("wb") as f:
            f.write(data)
            f.flush()
            os.fsync(f.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # Windows cannot open a folder
        fd = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def files(folder: Path, split: str) -> tuple[Path, Path]:
    """Where the predictions of `split` lie in a run's folder: (csv, npy)."""
    return folder / f"predictions.{split}.csv", folder / f"predictions.{split}.npy"


def write(folder: Path, split: str, *, predictions: Predictions) -> tuple[Path, Path]:
    """Write both files, each at once or not at all; gives (csv, npy)."""
    p = predictions
    index, array = files(folder, split)
    text = io.StringIO(newline="")
    out = csv.writer(text, lineterminator="\n")
    out.writerow(COLUMNS)
    shown = [escape(c) for c in p.classes]
    for i, name in enumerate(p.names):
        out.writerow(
            (
                int(p.rows[i]),
                escape(name),
                shown[int(p.labels[i])],
                shown[int(p.predicted[i])],
                int(p.correct[i]),
                str(p.probability[i]),  # the shortest text that gives the same float32 back
                str(p.label_probability[i]),
                repr(float(p.loss[i])),
            )
        )
    buffer = io.BytesIO()
    np.save(buffer, p.scores, allow_pickle=False)
    # The array first: an index without its array would be the odder thing to find after a crash.
    replace_file(array, buffer.getvalue())
    replace_file(index, text.getvalue().encode("utf-8"))
    return index, array


def read(folder: Path, split: str, *, classes: Sequence[str]) -> Predictions:
    """The predictions of `split` that `write` stored, exactly. `classes` in the order of the run.

    Raises EY-D171 (not there), EY-D172 (a file is damaged), EY-D173 (the two do not belong together, or a class is not
    one of the run's).
    """
    index, array = files(folder, split)
    for path in (index, array):
        if not path.is_file():
            raise DataError("EY-D171", path=path, split=split)
    try:
        scores = np.load(array, allow_pickle=False)
    except (ValueError, EOFError) as e:
        raise DataError("EY-D172", path=array, detail=e) from None
    if scores.dtype != np.float32 or scores.ndim != 2:
        raise DataError("EY-D172", path=array, detail=f"{scores.dtype} {scores.shape}")
    try:
        lines = list(csv.reader(io.StringIO(index.read_text("utf-8"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as e:
        raise DataError("EY-D172", path=index, detail=e) from None
    if not lines or tuple(lines[0]) != COLUMNS or any(len(line) != len(COLUMNS) for line in lines):
        raise DataError("EY-D172", path=index, detail=",".join(lines[0]) if lines else "0 bytes")
    lines = lines[1:]
    if scores.shape != (len(lines), len(classes)):
        raise DataError(
            "EY-D173", csv=index.name, npy=array.name, detail=f"{scores.shape} / {len(lines)} x {len(classes)}"
        )
    number = {name: i for i, name in enumerate(classes)}
    names: list[str] = []
    rows = np.zeros(len(lines), np.int64)
    labels = np.zeros(len(lines), np.int64)
    for i, (row, name, label, said, _, probability, _, _) in enumerate(lines):
        own, guess = number.get(unescape(label)), number.get(unescape(said))
        if own is None or guess is None:
            raise DataError("EY-D173", csv=index.name, npy=array.name, detail=label if own is None else said)
        try:
            rows[i] = int(row)
        except ValueError as e:
            raise DataError("EY-D172", path=index, detail=e) from None
        if str(scores[i, guess]) != probability:
            raise DataError("EY-D173", csv=index.name, npy=array.name, detail=f"{i + 2}: {probability}")
        labels[i] = own
        names.append(unescape(name))
    return Predictions(tuple(names), labels, scores, tuple(classes), rows)
