"""From an image file to the array that a model takes: what every scored image goes through, and nothing else does.

Two programs, both frozen values with a fingerprint. `Preprocess` gives the one shape that validation, test, prediction,
export and serving use; `Fit` gives pictures that keep their aspect, a margin larger than the training size, for the
pack from which training crops. Scaling to 0..1 and normalising are inside the model graph: here all is uint8.

Grey is Pillow's conversion to L: (19595 R + 38470 G + 7471 B + 32768) >> 16. Resizing is Pillow's "bilinear": a
triangle filter whose support grows when it shrinks (so it does not alias), in one call with the crop, in 8-bit passes,
first along rows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, TypeVar, final

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyas.artifact.decode import (
    DECODER,
    RAW_DECODER,
    Header,
    Limits,
    decoder_identity,
    limits_with,
    raw,
    to_image,
)
from eyas.artifact.header import OPTIONAL
from eyas.errors import DataError

MAX_SIZE = 4096
"""Largest side of a model's input, in pixels: an assumption; beyond it a picture is a scene, not an input."""

CROP_FRACTION = 0.875
"""Share of the short side that the centre crop of photographs keeps: 224 of 256, as torchvision and timm have it."""

Interpolation = Literal["box-bilinear"]
Grey = Literal["pillow-l"]


# ---- between arrays and Pillow --------------------------------------------------------------------------------------


def _from_array(image: NDArray[np.uint8], channels: int) -> Image.Image:
    """A Pillow image of mode L or RGB; L when the model wants grey or the picture is."""
    pixels = raw(image)
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return _reduced(picture, channels)


def _reduced(picture: Image.Image, channels: int) -> Image.Image:
    # Before resizing: one channel costs a third of three. Grey to RGB comes last, for the same reason.
    return picture.convert("L") if channels == 1 and picture.mode != "L" else picture


def _to_array(picture: Image.Image, channels: int) -> NDArray[np.uint8]:
    if channels == 3 and picture.mode == "L":
        picture = picture.convert("RGB")
    array = np.asarray(picture)
    return array[:, :, None] if array.ndim == 2 else array


def _with_channels(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """The same size, another number of channels; the same array when nothing is to do."""
    return image if image.shape[2] == channels else _to_array(_from_array(image, channels), channels)


# ---- what names a program -------------------------------------------------------------------------------------------


def _digest(description: Mapping[str, Any], decoder: str) -> str:
    said = {"program": description, "decoder": decoder_identity(decoder)}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


# ---- the two programs -----------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True)
class Preprocess:
    """Image file -> uint8 (height, width, channels): the one way to a score.

    "short-side": the short side is scaled to `short_side`, the centre of `height` x `width` is cut out. "none":
    pictures have the right shape already and are not touched; one that has not is scaled to cover it, and its centre
    is taken.
    `mean` and `std` (one per channel, of values 0..1) are carried for the model graph, not applied here.
    """

    height: int
    width: int
    channels: int
    resize: Literal["none", "short-side"]
    short_side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: Literal["center"] = "center"
    interpolation: Interpolation = "box-bilinear"
    grey: Grey = "pillow-l"
    decoder: str = DECODER
    """What made the pixels of the training set; files are always read by `decode`."""
    allow: tuple[str, ...] = ()
    """Formats that are read beside the usual ones: some of `header.OPTIONAL`."""

    @property
    def limits(self) -> Limits:
        """What a file may cost, and of which format it may be."""
        return limits_with(self.allow)

    @property
    def min_side(self) -> int:
        """How far a JPEG may be scaled down while it is decoded: nothing is ever enlarged because of it."""
        return self.short_side if self.resize == "short-side" else max(self.height, self.width)

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (h, w, 3 or 1) or (h, w), as `decode` or `raw` gives it, to (height, width, channels).

        May be a view of the same memory.
        """
        pixels = raw(image)
        if self.resize == "none" and pixels.shape[:2] == (self.height, self.width):
            return _with_channels(pixels, self.channels)
        return self.framed(_from_array(pixels, self.channels))

    def from_bytes(
        self, data: bytes, limits: Limits | None = None, *, header: Header | None = None
    ) -> NDArray[np.uint8]:
        """The bytes of an image file to (height, width, channels); DecodeError when they are not one. Read-only.

        The same pixels as `apply(decode(data, min_side=self.min_side))`, with fewer copies. `header` is what `inspect`
        said of the same bytes, for who has asked already; `limits` default to those of this program.
        """
        return self.framed(self.picture(data, limits, header=header))

    def picture(self, data: bytes, limits: Limits | None = None, *, header: Header | None = None) -> Image.Image:
        """The whole decoded picture, of mode RGB or L, that `framed` takes: the first half of `from_bytes`."""
        picture = to_image(data, min_side=self.min_side, limits=limits or self.limits, header=header)
        return _reduced(picture, self.channels)

    def framed(self, picture: Image.Image) -> NDArray[np.uint8]:
        """What becomes of a `picture`: the second half of `from_bytes`. Read-only."""
        size = (self.width, self.height)
        if self.resize == "none" and picture.size == size:
            return _to_array(picture, self.channels)
        wide, high = picture.size
        cover = min(wide / self.width, high / self.height)
        scale = cover if self.resize == "none" else min(cover, min(wide, high) / self.short_side)
        # Scale and crop in one call: the box is what becomes the output, and what lies outside is never computed.
        left, top = (wide - scale * self.width) / 2, (high - scale * self.height) / 2
        box = (max(left, 0.0), max(top, 0.0), min(wide - left, wide), min(high - top, high))
        return _to_array(picture.resize(size, Image.Resampling.BILINEAR, box), self.channels)

    def normalised_by(self, mean: Sequence[float], std: Sequence[float]) -> Preprocess:
        """The same with these channel means and deviations (of values 0..1)."""
        return replace(self, mean=tuple(map(float, mean)), std=tuple(map(float, std)))

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` takes it back."""
        lists = {"mean": list(self.mean), "std": list(self.std), "allow": list(self.allow)}
        return {"kind": "preprocess", **asdict(self), **lists}

    @staticmethod
    def from_dict(found: Mapping[str, Any]) -> Preprocess:
        """The Preprocess that `to_dict` wrote; DataError when a key or value is not one."""
        program = _converted(found, Preprocess, "preprocess")
        _require(1 <= program.height <= MAX_SIZE and 1 <= program.width <= MAX_SIZE, "height, width", found)
        _require(1 <= program.short_side <= 2 * MAX_SIZE, "short_side", found)
        _require(len(program.mean) == len(program.std) == program.channels, "mean, std", found)
        _require(all(np.isfinite(program.mean)) and all(0 < s < np.inf for s in program.std), "mean, std", found)
        return program

    def fingerprint(self) -> str:
        """SHA-256 (hex) of every field and of the versions of what decodes: equal means the same input, bit for bit."""
        return _digest(self.to_dict(), self.decoder)

    def pixel_fingerprint(self) -> str:
        """As `fingerprint`, without `mean` and `std`: equal means the same uint8 pixels; what caches are named by."""
        return _digest({**self.to_dict(), "mean": None, "std": None}, self.decoder)


@final
@dataclass(frozen=True)
class Fit:
    """Image file -> uint8 (h, w, channels) of any shape: short side at most `short_side`, aspect kept, never enlarged.

    None keeps every picture as large as it is.
    """

    short_side: int | None
    channels: int
    interpolation: Interpolation = "box-bilinear"
    grey: Grey = "pillow-l"
    decoder: str = DECODER
    allow: tuple[str, ...] = ()
    """Formats that are read beside the usual ones: some of `header.OPTIONAL`."""

    @property
    def limits(self) -> Limits:
        """What a file may cost, and of which format it may be."""
        return limits_with(self.allow)

    @property
    def min_side(self) -> int | None:
        """How far a JPEG may be scaled down while it is decoded."""
        return self.short_side

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 (h, w, 3 or 1) or (h, w) to (h', w', channels). May be a view."""
        pixels = raw(image)
        if self.short_side is None or min(pixels.shape[:2]) <= self.short_side:
            return _with_channels(pixels, self.channels)
        return self.framed(_from_array(pixels, self.channels))

    def from_bytes(
        self, data: bytes, limits: Limits | None = None, *, header: Header | None = None
    ) -> NDArray[np.uint8]:
        """The bytes of an image file to (h', w', channels); DecodeError when they are not one. Read-only.

        The same pixels as `apply(decode(data, min_side=self.min_side))`, with fewer copies. `header` is what `inspect`
        said of the same bytes, for who has asked already; `limits` default to those of this program.
        """
        return self.framed(self.picture(data, limits, header=header))

    def picture(self, data: bytes, limits: Limits | None = None, *, header: Header | None = None) -> Image.Image:
        """The whole decoded picture, of mode RGB or L, that `framed` takes: the first half of `from_bytes`."""
        picture = to_image(data, min_side=self.min_side, limits=limits or self.limits, header=header)
        return _reduced(picture, self.channels)

    def framed(self, picture: Image.Image) -> NDArray[np.uint8]:
        """What becomes of a `picture`: the second half of `from_bytes`. Read-only."""
        wide, high = picture.size
        if self.short_side is not None and min(wide, high) > self.short_side:
            scale = self.short_side / min(wide, high)
            size = (max(1, round(wide * scale)), max(1, round(high * scale)))
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        return _to_array(picture, self.channels)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` takes it back."""
        return {"kind": "fit", **asdict(self), "allow": list(self.allow)}

    @staticmethod
    def from_dict(found: Mapping[str, Any]) -> Fit:
        """The Fit that `to_dict` wrote; DataError when a key or value is not one."""
        program = _converted(found, Fit, "fit")
        _require(program.short_side is None or 1 <= program.short_side <= 2 * MAX_SIZE, "short_side", found)
        return program

    def fingerprint(self) -> str:
        """SHA-256 (hex) of every field and of the versions of what decodes: equal means the same pixels."""
        return _digest(self.to_dict(), self.decoder)

    def pixel_fingerprint(self) -> str:
        """The same as `fingerprint`: all of a Fit is about pixels."""
        return self.fingerprint()


Program = Preprocess | Fit


# ---- back from JSON -------------------------------------------------------------------------------------------------

_P = TypeVar("_P", Preprocess, Fit)


def _require(holds: bool, key: str, found: Mapping[str, Any]) -> None:
    if not holds:
        values = ", ".join(str(found.get(name)) for name in key.split(", "))
        raise DataError("EY-D100", detail=f"{key}: {values}")


def _converted(found: Mapping[str, Any], kind: type[_P], name: str) -> _P:
    _require(found.get("kind") == name, "kind", found)
    given = {key: value for key, value in found.items() if key != "kind"}
    known = {field.name for field in fields(kind)}
    if given.keys() != known:
        odd = sorted(given.keys() ^ known)
        raise DataError("EY-D100", detail=f"unknown or missing: {', '.join(odd)}")
    try:
        program = msgspec.convert(given, kind)
    except msgspec.ValidationError as error:
        raise DataError("EY-D100", detail=str(error)) from None
    _require(program.channels in (1, 3), "channels", found)
    _require(set(program.allow) <= set(OPTIONAL), "allow", found)
    if program.decoder not in (DECODER, RAW_DECODER):
        raise DataError("EY-D101", decoder=program.decoder, allowed=f"{DECODER}, {RAW_DECODER}")
    return program


def program_from_dict(found: Mapping[str, Any]) -> Program:
    """The program that `to_dict` of either kind wrote; DataError when it is neither."""
    return Fit.from_dict(found) if found.get("kind") == "fit" else Preprocess.from_dict(found)


# ---- which one ------------------------------------------------------------------------------------------------------


def _checked_size(size: int) -> int:
    if not 1 <= size <= MAX_SIZE:
        raise DataError("EY-D103", got=size, most=MAX_SIZE)
    return size


def plan_preprocess(
    shapes: NDArray[np.integer[Any]],
    channels: int,
    *,
    size: int | None = None,
    declared: tuple[int, int] | None = None,
    crop_fraction: float = CROP_FRACTION,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    decoder: str = DECODER,
    allow: tuple[str, ...] = (),
) -> Preprocess:
    """The Preprocess for pictures of these shapes: int (n, 2), height and width of each, upright.

    `size` is what the user asked for, `declared` (height, width) what the model demands; the first wins. Pictures that
    all have one shape keep it when neither is given, and are scaled without cutting when their aspect allows. Others
    get a square: of `size`, or of the median short side rounded down to a multiple of 32 (at least 32), so that pixels
    are not invented; the short side goes to size / `crop_fraction` and the centre is cut out.
    `mean` and `std` default to 0 and 1 until they have been measured (`normalised_by`).
    """
    if len(shapes) == 0:
        raise DataError("EY-D104")
    first_high, first_wide = (int(side) for side in shapes[0])
    short = min(first_high, first_wide)
    uniform = bool((shapes == shapes[0]).all())
    if size is not None:
        side = _checked_size(size)
        high, wide = (round(first_high * side / short), round(first_wide * side / short)) if uniform else (side, side)
    elif declared is not None:
        high, wide = (_checked_size(side) for side in declared)
    elif uniform and max(first_high, first_wide) <= MAX_SIZE:
        high, wide = first_high, first_wide
    else:
        median = int(np.median(shapes.min(axis=1)))
        high = wide = min(max(32, median // 32 * 32), MAX_SIZE)
    same_aspect = uniform and abs(high * first_wide - wide * first_high) <= max(first_high, first_wide) / 2
    kept = uniform and (high, wide) == (first_high, first_wide)
    short_side = min(high, wide) if same_aspect else round(min(high, wide) / crop_fraction)
    return Preprocess(
        height=_checked_size(high),
        width=_checked_size(wide),
        channels=channels,
        resize="none" if kept else "short-side",
        short_side=short_side,
        mean=tuple(mean) if mean is not None else (0.0,) * channels,
        std=tuple(std) if std is not None else (1.0,) * channels,
        decoder=decoder,
        allow=allow,
    )
