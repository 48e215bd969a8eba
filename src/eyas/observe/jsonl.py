"""What happened in a run, on disk: `events.jsonl` (every kind of event) and `metrics.csv` (one row per evaluation).

Both are consumers of events, written by one process, a line at a time, each with one write. A checkpoint stores their
`lengths()`; a resume hands them to `truncate_to`, so that the files of a run that was killed and went on are, times
aside, those of a run that was not.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

from eyas.errors import DataError
from eyas.evaluation.metrics import wilson
from eyas.training.events import Decided, Evaluated, Event, Recovered, Saved, Stepped, Stopped

VERSION = 1
"""Of the lines in events.jsonl; kinds may gain keys without a new version, a key never changes its meaning."""

POINTS = 200
"""Steps that are written per run unless said otherwise: enough for a curve, and the loss is read that rarely."""

COLUMNS = (
    "epoch",
    "step",
    "train_loss",
    "lr",
    "val_loss",
    "val_accuracy",
    "val_low",
    "val_high",
    "weights",
    "best",
)


class Appended(ABC):
    """A file that only grows at its end, by whole lines, and can be cut back to a length it once had."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.least = 0
        """Bytes at the beginning that are never cut: the header, where there is one."""
        self._file = path.open("ab", buffering=0)
        _drop_torn_line(path)

    @abstractmethod
    def __call__(self, event: Event) -> None:
        """Write what this file keeps of `event`."""

    def lengths(self) -> dict[str, int]:
        """`{file name: bytes}` so far: what a checkpoint stores. Call `sync` first when it must be durable."""
        return {self.path.name: self.path.stat().st_size}

    def truncate_to(self, lengths: Mapping[str, int]) -> bool:
        """Cut the file back to the length stored under its name (0 = as new); True when that could be done.

        False when it is shorter (lost in a power failure) or not named: then whole lines are kept as they are.
        """
        wanted = lengths.get(self.path.name)
        if wanted is None or self.path.stat().st_size < wanted:
            return False
        self._file.truncate(max(wanted, self.least))
        return True

    def sync(self) -> None:
        """Make everything written so far durable (fsync)."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; nothing is buffered, so nothing can fail here."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def _append(self, line: str) -> None:
        data = memoryview((line + "\n").encode("utf-8"))
        while data:
            data = data[self._file.write(data) :]  # an unbuffered write may be short when the disk is nearly full


def _drop_torn_line(path: Path) -> None:
    """Cut off a last line without its end, left by a full disk or a power failure."""
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        os.truncate(path, data.rfind(b"\n") + 1)


@final
class EventLog(Appended):
    """events.jsonl: one JSON object per line, `{"v": 1, "kind": ..., ..., "t": unix time}`.

    Of the steps only every `every_steps`-th is written (default: about 200 in the run) and each one that was not
    accepted; only then is its loss read, since reading may wait for the device. Values that are not finite become null.
    """

    def __init__(self, path: Path, *, every_steps: int | None = None, now: Callable[[], float] = time.time) -> None:
        assert every_steps is None or every_steps > 0
        super().__init__(path)
        self.every_steps = every_steps
        self._now = now

    def __call__(self, event: Event) -> None:
        """Write `event`, or leave it out when it is a step between two that are written."""
        if isinstance(event, Stepped):
            every = self.every_steps or max(1, event.at.steps // POINTS)
            if event.accepted and event.at.step % every and event.at.step != event.at.steps:
                return
        self._append(json.dumps(to_dict(event) | {"t": self._now()}, ensure_ascii=False, allow_nan=False, default=str))


def to_dict(event: Event) -> dict[str, Any]:
    """`event` as plain JSON values, without a time."""
    at = event.at
    head: dict[str, Any] = {"v": VERSION, "kind": type(event).__name__.lower(), "step": at.step}
    head |= {"attempt": at.attempt, "position": at.position, "epoch": at.epoch}
    match event:
        case Stepped():
            loss = _finite(float(event.loss))
            return head | {"steps": at.steps, "loss": loss, "lr": event.lr, "accepted": bool(event.accepted)}
        case Evaluated():
            s = event.score
            scored: dict[str, Any] = {"split": s.split, "weights": s.weights, "n": s.n, "correct": s.correct}
            scored |= {"accuracy": s.accuracy, "interval": list(wilson(s.correct, s.n)), "loss": _finite(s.loss)}
            return head | scored | {"train_loss": _finite(event.train_loss), "lr": event.lr, "best": event.best}
        case Saved():
            written: dict[str, Any] = {"path": event.path, "bytes": event.bytes, "seconds": event.seconds}
            return head | written | {"ok": event.ok, "reason": event.reason}
        case Decided():
            return head | {"name": event.name, "value": event.value, "reason": event.reason}
        case Recovered():
            return head | {"what": event.what, "detail": event.detail}
        case Stopped():
            return head | {"reason": event.reason}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


@final
class MetricsTable(Appended):
    """metrics.csv: one row per scoring of val, and no times, so that two runs that did the same wrote the same bytes.

    Nothing to score val with leaves only the header (the losses are in events.jsonl). The test split is not in here.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        header = ",".join(COLUMNS)
        self.least = len(header) + 1
        if path.stat().st_size == 0:
            self._append(header)

    def __call__(self, event: Event) -> None:
        """Add a row when `event` is a scoring of val."""
        if not isinstance(event, Evaluated) or event.score.split == "test":
            return
        s = event.score
        known = s.split == "val" and s.n > 0
        row = [repr(event.at.epoch), str(event.at.step), _text(event.train_loss), repr(event.lr)]
        if known:
            row += [_text(s.loss), repr(s.accuracy), *(repr(end) for end in wilson(s.correct, s.n))]
        else:
            row += ["", "", "", ""]
        row += [s.weights, "1" if event.best else "0"]
        self._append(",".join(row))


def _text(value: float) -> str:
    return "" if math.isnan(value) else repr(value)


def read_metrics(path: Path) -> dict[str, list[Any]]:
    """The columns of metrics.csv: floats (NaN where empty), `step` int, `weights` str, `best` bool; {} without file.

    Raises EY-D174 when the file is not one of ours.
    """
    if not path.is_file():
        return {}
    try:
        lines = list(csv.reader(io.StringIO(path.read_text("utf-8"), newline="")))
        if not lines or tuple(lines[0]) != COLUMNS:
            raise ValueError(",".join(lines[0]) if lines else "0 bytes")
        columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        for line in lines[1:]:
            for name, cell in zip(COLUMNS, line, strict=True):
                columns[name].append(_value(name, cell))
    except ValueError as e:  # UnicodeDecodeError is one
        raise DataError("EY-D174", path=path, detail=e) from None
    return columns


def _value(name: str, cell: str) -> str | bool | int | float:
    match name:
        case "weights":
            return cell
        case "best":
            return cell == "1"
        case "step":
            return int(cell)
        case _:
            return float(cell) if cell else math.nan


def read_events(path: Path, *, kinds: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The events of a run in order (of `kinds`, when given); [] without file. A torn last line is left out.

    Raises EY-D174 for any other line that is not an event.
    """
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    out: list[dict[str, Any]] = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last line end is empty, or torn
        try:
            event = json.loads(line)
            kind = event["kind"]
        except (ValueError, KeyError, TypeError) as e:
            raise DataError("EY-D174", path=path, detail=f"{number}: {e}") from None
        if not kinds or kind in kinds:
            out.append(event)
    return out
