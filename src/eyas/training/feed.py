"""Feed: batches of the stream as tensors on the device, made inline or ahead of time in threads.

Position is the only state: asked for another position than the one after the last (a skipped window, a resume), it
begins anew there.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import cast

import torch

from eyas.data.batch import Batch, Spent
from eyas.data.prefetch import Waits, ahead, depth_within
from eyas.data.stream import Stream
from eyas.training.step import Part

READ_AHEAD_BYTES = 512 * 2**20
"""Batches that wait to be used, together."""


@dataclass(frozen=True)
class Tax:
    """Seconds of training time that feeding took, so far.

    Inline, gathering and augmentation are wall-clock time; in threads they are processor time over the number of
    cores: what training could have used.
    """

    wait_s: float = 0.0
    """The loop stood still for want of a batch; 0 when batches are made inline."""
    gather_s: float = 0.0
    augment_s: float = 0.0


class StreamFeed:
    """Makes `Part`s of a stream's batches. `waited_s` counts how long the loop was kept from computing."""

    def __init__(self, stream: Stream, *, device: torch.device, threads: int, cores: int = 1) -> None:
        self.stream = stream
        self.device = device
        self.threads = threads
        self.cores = cores
        self.waited_s = 0.0
        self._waits = Waits()
        self._next: tuple[int, int] | None = None
        self._ahead: Iterator[Batch] | None = None

    def __call__(self, position: int, size: int) -> Callable[[int, int], Part]:
        """The parts of the batch of `size` samples that begins at `position`."""
        begun = time.perf_counter()
        batch = self._batch(position, size)
        self.waited_s += time.perf_counter() - begun
        return lambda a, b: part_of(batch, a, b, self.device)

    def tax(self) -> Tax:
        """What feeding took up to now."""
        waits = self._waits
        if self.threads == 0:
            return Tax(0.0, waits.gather_s, waits.augment_s)
        return Tax(waits.wait_s, waits.gather_s / self.cores, waits.augment_s / self.cores)

    def _batch(self, position: int, size: int) -> Batch:
        if self.threads == 0:
            return self._made(position, size, time.perf_counter)
        if self._ahead is None or self._next != (position, size):
            self.close()
            image = self.stream.height * self.stream.width * self.stream.pack.channels
            depth = depth_within(READ_AHEAD_BYTES, size * image, threads=self.threads)
            self._ahead = ahead(
                lambda p: self._made(p, size, time.thread_time),
                itertools.count(position, size),
                depth=depth,
                threads=min(self.threads, depth),
                waits=self._waits,
            )
        self._next = (position + size, size)
        try:
            return next(self._ahead)
        except BaseException:
            self.close()  # it is at its end: whoever asks again gets a new attempt, not the end of an endless stream
            raise

    def _made(self, position: int, size: int, clock: Callable[[], float]) -> Batch:
        spent = Spent(clock)
        batch = self.stream.batch(position, size, spent=spent)
        self._waits.add(gather_s=spent.gather_s, augment_s=spent.augment_s)
        return batch

    def close(self) -> None:
        """Stop making batches ahead."""
        if self._ahead is not None:
            cast("Generator[Batch]", self._ahead).close()
            self._ahead = None


def part_of(batch: Batch, a: int, b: int, device: torch.device) -> Part:
    """Rows a..b of a batch, on the device. On CPU nothing is copied."""
    rows = slice(a, b)
    mixed = batch.partner_labels is not None and batch.own is not None
    return Part(
        images=torch.from_numpy(batch.images[rows]).to(device),
        labels=torch.from_numpy(batch.labels[rows]).to(device),
        batch_size=batch.size,
        partner_labels=torch.from_numpy(batch.partner_labels[rows]).to(device) if mixed else None,  # pyright: ignore
        own=torch.from_numpy(batch.own[rows]).to(device) if mixed else None,  # pyright: ignore
        weights=torch.from_numpy(batch.weights[rows]).to(device) if batch.weights is not None else None,
    )
