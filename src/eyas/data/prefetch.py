"""Prefetch: the next batches, made in background threads while this one is used. Order and values stay the same.

Threads, not processes: numpy and Pillow let others run while they work, and nothing has to be copied between processes.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

K = TypeVar("K")
T = TypeVar("T")


@dataclass
class Waits:
    """Seconds, summed: the loader tax of a run is `(wait_s + gather_s / cores) / wall`, augmentation apart."""

    wait_s: float = 0.0
    """The consumer stood still for want of data."""
    work_s: float = 0.0
    """Processor time that making the data took, in all threads…"""
    gather_s: float = 0.0
    """…of it, as far as the maker told: reading and copying samples…"""
    augment_s: float = 0.0
    """…and changing them."""
    count: int = 0
    """Things handed over."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(
        self,
        *,
        wait_s: float = 0.0,
        work_s: float = 0.0,
        gather_s: float = 0.0,
        augment_s: float = 0.0,
        count: int = 0,
    ) -> None:
        """Adds to the sums; from any thread."""
        with self._lock:
            self.wait_s += wait_s
            self.work_s += work_s
            self.gather_s += gather_s
            self.augment_s += augment_s
            self.count += count


def depth_within(most_bytes: int, each_bytes: int, *, threads: int) -> int:
    """How many values of `each_bytes` may wait at once: two for each thread, as far as `most_bytes` go; at least 1.

    0 threads make nothing ahead.

    >>> depth_within(2**29, 2**27, threads=8)
    4
    """
    return 0 if threads == 0 else max(1, min(2 * threads, most_bytes // max(1, each_bytes)))


def ahead(
    make: Callable[[K], T], keys: Iterable[K], *, depth: int, threads: int = 1, waits: Waits | None = None
) -> Generator[T]:
    """`make(key)` for each key, in order; up to `depth` of them are made before they are asked for.

    `depth` 0 makes each when it is asked for, in the caller's thread. An error of `make` is raised where its value was
    due, once, with its own traceback; the generator is then at its end. Closing it stops the threads: nothing that was
    not begun is made any more. `keys` is read in the caller's thread. What waits here is `depth` values at most, which
    is what bounds the memory: see `depth_within`.

    >>> list(ahead(lambda k: k * k, range(4), depth=2))
    [0, 1, 4, 9]
    """
    counters = waits or Waits()

    def made(key: K) -> T:
        begin = time.thread_time()
        try:
            return make(key)
        finally:
            counters.add(work_s=time.thread_time() - begin)

    if depth == 0:
        for key in keys:
            begin = time.perf_counter()
            value = made(key)
            counters.add(wait_s=time.perf_counter() - begin, count=1)
            yield value
        return
    pool = ThreadPoolExecutor(threads, thread_name_prefix="eyas-ahead")
    coming: deque[Future[T]] = deque()
    source = iter(keys)
    try:
        while True:
            # Bounded by what waits here: `depth` values at most, besides the one that is in use.
            while len(coming) < depth and (found := next(((key,) for key in source), None)):
                coming.append(pool.submit(made, *found))
            if not coming:
                return
            begin = time.perf_counter()
            value = coming.popleft().result()
            counters.add(wait_s=time.perf_counter() - begin, count=1)
            # The place that became free is filled before the consumer goes on.
            if found := next(((key,) for key in source), None):
                coming.append(pool.submit(made, *found))
            yield value
            del value  # or it would be kept alive while the next one is awaited
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
