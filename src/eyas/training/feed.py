"""Feed: batches of the stream as tensors on the device, made inline or ahead of time in a thread.

Position is the only state: asked for another position than the one after the last (a skipped window, a resume), it
begins anew there.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterator
from typing import cast

import torch

from eyas.data.batch import Batch
from eyas.data.prefetch import ahead
from eyas.data.stream import Stream
from eyas.training.step import Part


class StreamFeed:
    """Makes `Part`s of a stream's batches. `waited_s` counts how long the loop stood still for data."""

    def __init__(self, stream: Stream, *, device: torch.device, depth: int) -> None:
        self.stream = stream
        self.device = device
        self.depth = depth
        self.waited_s = 0.0
        self._next: tuple[int, int] | None = None
        self._ahead: Iterator[Batch] | None = None

    def __call__(self, position: int, size: int) -> Callable[[int, int], Part]:
        """The parts of the batch of `size` samples that begins at `position`."""
        begun = time.perf_counter()
        batch = self._batch(position, size)
        self.waited_s += time.perf_counter() - begun
        return lambda a, b: part_of(batch, a, b, self.device)

    def _batch(self, position: int, size: int) -> Batch:
        if self.depth == 0:
            return self.stream.batch(position, size)
        if self._ahead is None or self._next != (position, size):
            self.close()
            keys = itertools.count(position, size)
            self._ahead = ahead(lambda p: self.stream.batch(p, size), keys, depth=self.depth)
        self._next = (position + size, size)
        return next(self._ahead)

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
