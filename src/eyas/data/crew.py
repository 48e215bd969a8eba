"""Crew: worker processes that decode for a pack. One that crashes or hangs is replaced, and costs exactly one image.

Workers are `python -m eyas.data.worker` over pipes, not `multiprocessing`: that would import the user's main module
again, torch included.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from eyas.data.places import Place
from eyas.data.worker import FRAME, RECORD, Bad, unpack_report
from eyas.errors import DataError, InternalError, StorageError

START_S = 120.0  # for a worker to say that it is ready: an import from a cold network disk may take a while
IN_FLIGHT = 2  # tasks a worker has at a time, so that it never waits for the next one


@final
@dataclass(frozen=True)
class Task:
    """Files for one worker: all three lists belong together. `shape` and `start`: see `data.worker`."""

    slots: list[int]
    places: list[Place]
    stats: list[list[int]]
    shape: tuple[int, ...] | None = None
    start: int = 0
    dry: bool = False

    def only(self, slots: set[int]) -> list[Task]:
        """One task each for those of its files that are in `slots`."""
        rows = [row for row, slot in enumerate(self.slots) if slot in slots]
        return [replace(self, slots=[self.slots[r]], places=[self.places[r]], stats=[self.stats[r]]) for r in rows]


@dataclass
class _Member:
    """One worker process, what it was given (the first is being done), and until when it must be heard of."""

    process: subprocess.Popen[bytes]
    deadline: float
    ready: bool = False
    tasks: deque[Task] = field(default_factory=deque[Task])
    open: set[int] = field(default_factory=set[int])
    """Slots of the first task that were not reported yet."""
    end: str = ""
    """Why it was killed, when it was."""

    def tell(self, message: dict[str, Any]) -> None:
        """Writes one line to its stdin; a worker that died will be noticed by the end of its output."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()


@final
class Crew:
    """Up to `workers` processes that decode into the file `data`; a context manager, outside of which none is left.

    `grant(bytes)` -> (offset, length) says where in the file there is room; `hold` are file descriptors (a lock) that
    workers keep open, so that nobody else builds while one of them may still write.
    """

    def __init__(
        self,
        program: dict[str, Any],
        data: Path,
        *,
        workers: int,
        grant: Callable[[int], tuple[int, int]],
        timeout_s: float,
        log: Path,
        hold: tuple[int, ...] = (),
    ) -> None:
        self.hello = {"program": program, "data": str(data), "parent": os.getpid()}
        self.workers, self.grant, self.timeout_s, self.log, self.hold = max(1, workers), grant, timeout_s, log, hold
        self.members: dict[int, _Member] = {}
        self.said: queue.SimpleQueue[tuple[int, bytes, bytes]] = queue.SimpleQueue()
        self.failed_starts = 0

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for member in self.members.values():
            member.process.kill()  # idle ones have nothing to lose either
        for member in self.members.values():
            _close(member)
        self.members = {}

    def run(self, tasks: Iterable[Task]) -> Iterator[tuple[NDArray[np.void], Bad]]:
        """What was packed (`RECORD`) and what cannot be used, report by report, in the order in which it happens."""
        source, todo = iter(tasks), deque[Task]()
        while True:
            # Taken as they are needed: a million files would fill the memory with tasks.
            todo.extend(itertools.islice(source, max(0, self.workers * IN_FLIGHT - len(todo))))
            if not todo and not any(member.tasks for member in self.members.values()):
                return
            while len(self.members) < min(self.workers, len(todo)):
                self._start()
            for depth in range(IN_FLIGHT):  # one for everybody before a second for anybody
                for member in self.members.values():
                    if todo and len(member.tasks) == depth:
                        self._give(member, todo.popleft())
            try:
                number, kind, payload = self.said.get(timeout=self._patience())
            except queue.Empty:
                self._kill_silent()
                continue
            if number not in self.members:
                continue
            member = self.members[number]
            member.deadline = time.monotonic() + self.timeout_s
            if kind == b"H":
                member.ready = True
            elif kind == b"R":
                records, bad = unpack_report(payload)
                member.open -= {*records["slot"].tolist(), *bad}
                yield records, bad
            elif kind == b"G":
                member.tell({"grant": self.grant(json.loads(payload))})
            elif kind == b"D":
                member.tasks.popleft()
                member.open = set(member.tasks[0].slots) if member.tasks else set()
            elif kind == b"X":
                self._refuse(*json.loads(payload))
            else:
                del self.members[number]
                again, bad = self._bury(member)
                todo.extendleft(reversed(again))
                if bad:
                    yield np.empty(0, RECORD), bad

    def _start(self) -> None:
        # -P: a numpy.py in the current folder must not be imported. One thread: the crew is as wide as the machine.
        home = str(Path(__file__).parents[2])
        paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
        alone = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        # glibc: memory of one image is kept for the next (its pages cost 0.2 ms of a 12-megapixel photo otherwise).
        alone |= {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**25)}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "eyas.data.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **alone, "PYTHONPATH": os.pathsep.join(paths)},
                pass_fds=self.hold if os.name == "posix" else (),
            )
        member = _Member(process, deadline=time.monotonic() + START_S)
        self.members[process.pid] = member
        threading.Thread(target=self._listen, args=(process,), daemon=True, name="eyas-crew").start()
        member.tell(self.hello)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        """Runs in a thread for each worker (not `select`: Windows has none for pipes)."""
        assert process.stdout is not None
        try:
            while len(head := process.stdout.read(FRAME.size)) == FRAME.size:
                kind, length = FRAME.unpack(head)
                payload = process.stdout.read(length)
                if len(payload) < length:
                    break
                self.said.put((process.pid, kind, payload))
        except ValueError:  # closed by the other thread
            pass
        self.said.put((process.pid, b"", b""))

    def _give(self, member: _Member, task: Task) -> None:
        if not member.tasks:
            member.open = set(task.slots)
            if member.ready:
                member.deadline = time.monotonic() + self.timeout_s
        member.tasks.append(task)
        member.tell(
            {
                "slots": task.slots,
                "places": task.places,
                "stats": task.stats,
                "shape": task.shape,
                "start": task.start,
                "dry": task.dry,
            }
        )

    def _patience(self) -> float:
        """Seconds until the next worker is overdue."""
        busy = [member.deadline for member in self.members.values() if member.tasks and not member.end]
        return max(0.0, min(busy, default=time.monotonic() + 1.0) - time.monotonic())

    def _kill_silent(self) -> None:
        now = time.monotonic()
        for member in self.members.values():
            if member.tasks and not member.end and member.deadline <= now:
                member.end = f"no answer for {self.timeout_s:g} s"
                member.process.kill()

    def _bury(self, member: _Member) -> tuple[list[Task], Bad]:
        """What has to be done again, one file for each task, and the file that killed two workers."""
        code = _close(member)
        if not member.ready:
            self.failed_starts += 1
            if self.failed_starts > 2 * self.workers:
                last = self.log.read_text(errors="replace").strip().splitlines()[-1:] or ["no message"]
                raise InternalError("EY-I001", detail=f"packing workers do not start: {last[0]}", path=self.log)
            return list(member.tasks), {}
        if not member.tasks:
            return [], {}
        first, *rest = member.tasks
        if len(first.slots) > 1:
            return first.only(member.open) + rest, {}
        end = member.end or f"the decoder died of {_cause(code)}"
        return rest, dict.fromkeys(member.open, ("E05", end))

    def _refuse(self, number: int | None, text: str) -> None:
        if number == -1:
            raise DataError("EY-D141", path=text)
        raise StorageError("EY-S104", path=self.hello["data"], detail=text)


def _close(member: _Member) -> int:
    """Waits for a process that is gone, or about to be, and closes its pipes; its exit code."""
    code = member.process.wait()
    for pipe in (member.process.stdin, member.process.stdout):
        assert pipe is not None
        with contextlib.suppress(BrokenPipeError):
            pipe.close()
    return code


def _cause(code: int) -> str:
    """`SIGSEGV`, or `exit code 3`."""
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"exit code {code}"
