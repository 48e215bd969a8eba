"""What is asked of the data: the part of the settings that is about it. Value: `Request`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from eyas.flows.config import parse_size
from eyas.flows.settings import Settings


@dataclass(frozen=True)
class Request:
    """What the user laid down about the data."""

    data: str
    val: str | None = None
    test: str | None = None
    holdout: str | None = None
    label_from: str | None = None
    splits: Path | None = None
    """A `splits.csv`; `none`: divide anew."""
    allow_bad: bool = False
    allow: str | None = None
    """Formats to read beside the usual ones, like `tiff,avif`."""
    size: int | None = None
    channels: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    download: bool = False
    still: bool = False
    """True when augmentation never looks beyond the central crop: training images are then packed in that one shape."""
    pack: bool | None = None
    """False: nothing decoded is kept; None: it is, where there is room."""
    cache_limit: int | None = None
    """Bytes that all packs may take together; None leaves it to the cache."""

    @property
    def formats(self) -> tuple[str, ...]:
        """Those of `allow`, as the decoder calls them."""
        return tuple(name.upper() for name in self.allow.split(",")) if self.allow else ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for `run.json`; the data path absolute when it is one."""
        told = asdict(self)
        path = Path(self.data)
        # A pattern of shards names no file, but lies in a folder.
        there = path.exists() or ("{" in path.name and path.parent.is_dir())
        return told | {"data": str(path.resolve()) if there else self.data, "splits": str(self.splits or "")}


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
