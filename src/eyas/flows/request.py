"""What the settings say about the data."""

from __future__ import annotations

from pathlib import Path

from eyas.flows.prepare import Request
from eyas.flows.settings import Settings


def request_of(data: str, settings: Settings) -> Request:
    """The part of the settings that is about the data."""
    return Request(
        data,
        val=settings.val,
        test=settings.test,
        label_from=settings.label_from,
        splits=Path(settings.splits) if settings.splits else None,
        allow_bad=settings.allow_bad,
        size=settings.size,
        channels=settings.channels,
        mean=settings.mean,
        std=settings.std,
        download=settings.download,
    )
