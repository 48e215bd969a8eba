"""Saving beside training: one copy into preallocated buffers, the rest in a background thread.

The stall of the loop is the copy; hashing, writing and fsync happen while the next steps run. At most one save is in
flight. A save that the disk refuses is dropped and said; the one before it is untouched; three in a row stop the run.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eyas.errors import EyasError, StorageError
from eyas.hardware import foreach
from eyas.training import checkpoint
from eyas.training.events import Saved
from eyas.training.progress import Progress
from eyas.training.state import State

FAILURES_ALLOWED = 3


class Snapshot:
    """Preallocated host copies of a state's tensors."""

    def __init__(self) -> None:
        self._copies: dict[str, dict[str, Tensor]] = {}

    def take(self, state: State) -> dict[str, dict[str, Any]]:
        """Copy the tensors now; gives file stem -> name -> numpy array over the copies."""
        tensors = state.tensors()
        for stem, named in tensors.items():
            kept = self._copies.setdefault(stem, {})
            if kept.keys() != named.keys():
                kept.clear()
                kept.update({n: torch.empty_like(t, device="cpu") for n, t in named.items()})
            groups: dict[torch.dtype, tuple[list[Tensor], list[Tensor]]] = {}
            for name, tensor in named.items():
                into, source = groups.setdefault(tensor.dtype, ([], []))
                into.append(kept[name])
                source.append(tensor.detach())
            for into, source in groups.values():
                foreach.copy_(into, source)
        return {
            stem: {n: t.numpy() for n, t in named.items()} for stem, named in self._copies.items() if stem in tensors
        }


@dataclass
class _Job:
    thread: threading.Thread
    at: Progress
    result: Saved | None = None


class Saver:
    """Writes checkpoints of one run.

    `small` gives the values beside the tensors at the moment of the snapshot; `sync` makes durable, in the background,
    what they speak of.
    """

    def __init__(
        self,
        folder: Path,
        *,
        fingerprints: Mapping[str, Any],
        small: Callable[[State, Progress], dict[str, Any]],
        sync: Callable[[], None] = lambda: None,
        every_s: float | None = None,
    ) -> None:
        self.folder = folder
        self.fingerprints = fingerprints
        self.small = small
        self.sync = sync
        self.every_s = every_s
        self.best: str | None = None
        self.stall_s = 0.0
        self._snapshot = Snapshot()
        self._job: _Job | None = None
        self._failures = 0
        self._last = time.monotonic()
        self._cost_s = 0.0
        self._written: set[str] = set()

    def due(self, at: Progress) -> bool:
        """Time for a save between epoch ends: at most 2 % of the time is spent on it, at most 5 minutes are at risk."""
        every = self.every_s if self.every_s is not None else min(300.0, max(30.0, 50 * self._cost_s))
        return time.monotonic() - self._last >= every

    def save(self, state: State, at: Progress, best: bool) -> Iterator[Saved]:
        """Begin a save of this point; yields saves that ended since the last call."""
        name = checkpoint.name_of(at.step, at.attempt)
        if name in self._written:
            return
        yield from self.drain()
        begun = time.monotonic()
        arrays = self._snapshot.take(state)
        small = self.small(state, at)
        self.stall_s += time.monotonic() - begun
        job = _Job(threading.Thread(target=lambda: self._write(job, name, arrays, small, best), name="eyas-save"), at)
        self._written.add(name)
        self._job = job
        self._last = time.monotonic()
        job.thread.start()

    def wait(self) -> None:
        """Until the save in flight is on the disk, or refused; `drain` tells of it later."""
        if self._job is not None:
            self._job.thread.join()

    def drain(self) -> Iterator[Saved]:
        """Wait for the save in flight; yields it. Raises StorageError EY-S202 after three failures in a row."""
        job, self._job = self._job, None
        if job is None:
            return
        begun = time.monotonic()
        job.thread.join()
        self.stall_s += time.monotonic() - begun
        assert job.result is not None
        yield job.result
        if job.result.ok:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= FAILURES_ALLOWED:
            raise StorageError("EY-S202", path=self.folder, reason=job.result.reason, failures=self._failures)

    def _write(
        self, job: _Job, name: str, arrays: dict[str, dict[str, Any]], small: dict[str, Any], best: bool
    ) -> None:
        begun = time.monotonic()
        path = self.folder / name
        try:
            self.sync()
            written = checkpoint.write(self.folder, name, arrays, small, fingerprints=self.fingerprints)
            seconds = time.monotonic() - begun
            job.result = Saved(job.at, str(written.path), written.bytes, seconds)
            self._cost_s = seconds
            if best:  # only now: until the new best is durable, the old one is kept
                self.best = name
            self._hint(name)
            checkpoint.prune(self.folder, {self.best} if self.best else set())
        except Exception as error:
            if job.result is None:
                self._written.discard(name)
                reason = error.brief() if isinstance(error, EyasError) else str(error) or type(error).__name__
                if isinstance(error, OSError) and error.errno:
                    reason = os.strerror(error.errno)
                job.result = Saved(job.at, str(path), 0, time.monotonic() - begun, ok=False, reason=reason)

    def _hint(self, name: str) -> None:
        """LATEST is for people; loading scans the manifests."""
        temporary = self.folder / ".LATEST"
        temporary.write_text(name + "\n", encoding="utf-8")
        temporary.replace(self.folder / "LATEST")
