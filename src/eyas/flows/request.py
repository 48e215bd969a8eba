"""What the settings say about the data."""

from __future__ import annotations

from pathlib import Path

from eyas.flows.config import parse_size
from eyas.flows.prepare import Request
from eyas.flows.settings import Settings


def _still(settings: Settings) -> bool:
    """Whether the settings rule out everything that looks beyond the central crop of a picture."""
    off = settings.resized_crop is not None and max(settings.resized_crop) == 0
    return off and not settings.rotate and not any(settings.affine or ())


def request_of(data: str, settings: Settings) -> Request:
    """The part of the settings that is about the data."""
    return Request(
        data,
        val=settings.val,
        test=settings.test,
        holdout=settings.holdout,
        label_from=settings.label_from,
        splits=Path(settings.splits) if settings.splits else None,
        allow_bad=settings.allow_bad,
        allow=settings.allow,
        still=_still(settings),
        pack=settings.pack,
        cache_limit=None if settings.cache_limit is None else parse_size(settings.cache_limit),
        size=settings.size,
        channels=settings.channels,
        mean=settings.mean,
        std=settings.std,
        download=settings.download,
    )
