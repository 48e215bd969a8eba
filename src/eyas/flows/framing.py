"""How images are brought to size: the Preprocess of a run, and what training images are packed as."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DECODER, RAW_DECODER, DecodeError, inspect, limits_with
from eyas.artifact.preprocess import Fit, Preprocess, plan_preprocess
from eyas.data import pack as packs
from eyas.data.pack import Pack
from eyas.data.samples import ArraySource, ByteSource, Samples
from eyas.errors import DataError, UsageError
from eyas.flows.request import Request

PACK_MARGIN = 1.3
"""Short side of packed photos over the training side, so that random resized crops stay sharp."""


def preprocess_for(
    request: Request,
    samples: Samples,
    shapes: NDArray[np.int64],
    declared: tuple[int, int, int] | None,
    *,
    smallest: int,
    most: int,
) -> Preprocess:
    """The way to a score for these images: `declared` (h, w, c) is the model's; else a side of `smallest`..`most`.

    `shapes` int64 (k, 2): heights and widths of some of them. Raises UsageError EY-U123, DataError EY-D201.
    """
    grey = isinstance(samples.source, ArraySource) and (
        samples.source.images.ndim == 3 or samples.source.images.shape[-1] == 1
    )
    channels = request.channels or (declared[2] if declared else (1 if grey else 3))
    if channels not in (1, 3):
        raise UsageError("EY-U123", got=f"--channels {channels}", channels="1 or 3")
    if min(shapes.shape) == 0:
        raise DataError("EY-D201", got=_first_unreadable(request, samples), count=len(samples))
    size = request.size
    median = int(np.median(shapes.min(axis=1)))
    keeps = bool((shapes == shapes[0]).all()) and smallest <= median <= most
    if size is None and declared is None and not keeps:
        size = max(smallest, min(most, median // 32 * 32))
    decoder = RAW_DECODER if isinstance(samples.source, ArraySource) else DECODER
    hw = declared[:2] if declared else None
    return plan_preprocess(shapes, channels, size=size, declared=hw, decoder=decoder, allow=request.formats)


def _first_unreadable(request: Request, samples: Samples) -> str:
    """Name, code and detail of the first file, when none could be read."""
    source = samples.source
    try:
        assert isinstance(source, ByteSource)
        inspect(source.read(0), limits_with(request.formats))
    except DecodeError as error:
        return f"{source.name(0)} ({error.code} {error.detail})"
    except OSError as error:
        return f"{source.name(0)} (E08 {error.strerror})"
    return source.name(0)


def training_program(preprocess: Preprocess, *, still: bool) -> Fit | Preprocess:
    """How training images are kept: as they are when all fit, else a margin larger than the training side.

    Where only the central crop is ever seen, exactly that: a later epoch then only copies.
    """
    if still and preprocess.resize != "none":
        return replace(preprocess, resize="none", short_side=min(preprocess.height, preprocess.width))
    if preprocess.resize == "none":
        short_side = None
    else:
        short_side = round(PACK_MARGIN * min(preprocess.height, preprocess.width))
    return Fit(short_side=short_side, channels=preprocess.channels, allow=preprocess.allow)


def with_statistics(preprocess: Preprocess, request: Request, train: Pack, rows: NDArray[np.int64]) -> Preprocess:
    """Mean and deviation from exact integer sums over the training images, unless the user gave them."""
    c = preprocess.channels
    for told in (request.mean, request.std):
        if told is not None and len(told) not in (1, c):
            raise UsageError("EY-U123", got=",".join(map(str, told)), channels=c)
    if request.std is not None and min(request.std) <= 0:
        raise UsageError("EY-U123", got=f"--std {request.std}", channels=c)
    sums, squares, count = packs.channel_sums(train, rows)
    mean = [int(s) / count / 255 for s in sums]
    # n * sum(x^2) - sum(x)^2 in whole numbers: exact, whatever the order of the images.
    variance = [(count * int(q) - int(s) ** 2) / count**2 / 255**2 for s, q in zip(sums, squares, strict=True)]
    std = [max(v**0.5, 1 / 255) for v in variance]
    return preprocess.normalised_by(_each(request.mean, c) or mean, _each(request.std, c) or std)


def _each(told: tuple[float, ...] | None, channels: int) -> tuple[float, ...] | None:
    """One value for each channel: a single one serves all."""
    return told * channels if told is not None and len(told) == 1 else told
