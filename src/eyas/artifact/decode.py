"""Image files to pixels: the only decoder of eyas, for training, scoring, prediction, export and serving alike.

`DECODER` names what the pixels mean; it changes when the same bytes would give other pixels for a reason of ours.
Libraries have versions of their own (`decoder_identity`): both are in every fingerprint.

What "pillow-2" means: the first frame; 16 bits divided by 257 and rounded (the colours of a 16-bit TIFF: their high
byte); floating point taken as 0..1; an embedded ICC profile that is not sRGB converted with the perceptual intent, CMYK
without a profile by Pillow's formula (stored inverted, as Adobe does); transparency composited on white; EXIF
orientation applied; grey repeated to RGB. Colour described without a profile (gamma and chromaticity chunks of PNG) and
orientation outside EXIF are not read. TIFF and AVIF are read only when they are on the allow-list (`Limits.formats`).
"""

from __future__ import annotations

import functools
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, features
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from eyas.artifact.header import (
    CODES,
    DEFAULT_LIMITS,
    DecodeError,
    Header,
    Limits,
    inspect,
    is_whole,
    limits_with,
    quiet,
    said,
)
from eyas.errors import DataError

__all__ = [
    "CODES",
    "DECODER",
    "DEFAULT_LIMITS",
    "RAW_DECODER",
    "DecodeError",
    "Header",
    "Limits",
    "decode",
    "decoder_identity",
    "inspect",
    "limits_with",
    "raw",
    "to_image",
]

DECODER = "pillow-2"
"""Name and version of what `decode` gives."""
RAW_DECODER = "raw-1"
"""Name and version of what `raw` gives."""


@functools.cache
def decoder_identity(decoder: str = DECODER) -> dict[str, str]:
    """The decoder and the versions of every library whose pixels may change: part of fingerprints. Do not change it.

    >>> sorted(decoder_identity())
    ['decoder', 'lcms', 'libjpeg_turbo', 'pillow', 'webp']
    """
    pillow = {"decoder": decoder, "pillow": features.version("pil") or "?"}
    if decoder == RAW_DECODER:
        return pillow  # which resizes
    turbo = features.version("libjpeg_turbo") or f"no, libjpeg {features.version('jpg')}"
    return {
        **pillow,
        "libjpeg_turbo": turbo,
        "webp": features.version("webp") or "none",
        "lcms": features.version("littlecms2") or "none",
    }


# ---- from what a file stores to L, RGB or CMYK of 8 bits, and its transparency --------------------------------------

_SIXTEEN_TO_EIGHT = ((np.arange(65536, dtype=np.uint32) + 128) // 257).astype(np.uint8)


def _sixteen_bits(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    # Pillow's own conversion clips: all but 0.4 % of the values would become white.
    values = np.asarray(image)
    if values.dtype.itemsize > 2:
        values = np.clip(values, 0, 65535)
    key = image.info.get("transparency")
    alpha = None if key is None else Image.fromarray(np.where(values == key, np.uint8(0), np.uint8(255)))
    return Image.fromarray(_SIXTEEN_TO_EIGHT[values]), alpha


# Pillow keeps the high byte of 16-bit colours. The same bytes unpacked in another order are their low bytes.
_LOW_BYTES = {"RGB;16B": "RGB;16L", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}


def _sixteen_bit_colours(image: Image.Image, data: bytes) -> tuple[Image.Image, Image.Image | None]:
    """A PNG with several channels of 16 bits, `image` being its high bytes: RGB or L, and its alpha channel."""
    again = PngImageFile(io.BytesIO(data))
    stored = str(again.tile[0].args)
    again.tile = [again.tile[0]._replace(args=_LOW_BYTES[stored])]
    low = np.asarray(again)
    if stored == "LA;16B":  # four bytes a pixel: high and low of grey, high and low of alpha
        values = low[..., 0::2] * np.uint16(256) + low[..., 1::2]
    else:
        values = np.asarray(image) * np.uint16(256) + low
    key = image.info.get("transparency")
    eight = _SIXTEEN_TO_EIGHT[values]
    alpha = None
    if key is not None:
        alpha = Image.fromarray(np.where((values == key).all(axis=2), np.uint8(0), np.uint8(255)))
    elif eight.shape[2] != 3:
        alpha = Image.fromarray(np.ascontiguousarray(eight[..., -1]))
    colour = eight[..., 0] if eight.shape[2] == 2 else eight[..., :3]
    return Image.fromarray(np.ascontiguousarray(colour)), alpha


def _floating_point(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if not (values.min() >= 0 and values.max() <= 1):  # NaN compares as neither
        raise DecodeError("E04", "floating-point pixels outside 0..1 have no agreed range")
    return Image.fromarray(np.round(values * 255).astype(np.uint8))


def _colour_and_alpha(image: Image.Image, header: Header, data: bytes) -> tuple[Image.Image, Image.Image | None]:
    """The image as L, RGB or CMYK, and its alpha channel (L) if it has one."""
    mode, key = image.mode, image.info.get("transparency")
    if header.bits == 16 and header.format == "PNG" and not mode.startswith("I"):
        return _sixteen_bit_colours(image, data)
    if key is None and mode in ("RGB", "L", "CMYK"):
        return image, None
    if mode.startswith("I"):
        return _sixteen_bits(image)
    if mode == "F":
        return _floating_point(image), None
    if mode == "LA":
        colour, alpha = image.split()
        return colour, alpha
    if key is None and not image.has_transparency_data:
        return image.convert("L" if mode == "1" else "RGB"), None
    # A PNG names its transparent colour in stored units; Pillow compares with what it has made of them.
    if isinstance(key, int) and mode == "L" and header.bits in (2, 4):
        image.info["transparency"] = (key & (1 << header.bits) - 1) * (255 // ((1 << header.bits) - 1))
    red, green, blue, alpha = image.convert("RGBA").split()
    if header.format == "BMP" and alpha.getextrema() == (0, 0):
        alpha = None  # many programs write a BMP with an alpha channel that they never filled
    return Image.merge("RGB", (red, green, blue)), alpha


# ---- colour ---------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=16)
def _conversion(icc: bytes) -> tuple[str, ImageCms.ImageCmsTransform | None] | None:
    """(mode that the profile is for, transform to sRGB or None when it changes nothing); None: it is unusable."""
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        mode = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}[icc[16:20]]
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.ImageCmsTransform(profile, ImageCms.ImageCmsProfile(srgb), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, KeyError, TypeError):
        return None
    # Most embedded profiles are sRGB under one of a dozen names. What they do tells them apart, not what they are
    # called; leaving those pixels alone saves 3 ms a photo and a rounding.
    if mode != "CMYK":
        steps = np.linspace(0, 255, 9).astype(np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(27, 27, 3)
        probe = Image.fromarray(cube) if mode == "RGB" else Image.fromarray(cube[..., 0])
        change = np.asarray(transform.apply(probe)).astype(int) - np.asarray(probe.convert("RGB"))
        if np.abs(change).max() <= 2:
            return mode, None
    return mode, transform


def _to_srgb(colour: Image.Image, icc: bytes | None, header: Header) -> Image.Image:
    """`colour` as sRGB: RGB, or L when it is grey and no profile says otherwise."""
    found = _conversion(icc) if icc else None
    if found is not None:
        mode, transform = found
        is_grey = colour.mode == "L" or header.mode in ("1", "L", "LA", "I;16")
        fits = mode == colour.mode or (mode == "RGB" and is_grey) or (mode == "L" and is_grey)
        if transform is not None and fits:
            return transform.apply(colour if mode == colour.mode else colour.convert(mode))
    return colour.convert("RGB") if colour.mode == "CMYK" else colour


# ---- the story ------------------------------------------------------------------------------------------------------

# The classes themselves, not `Image.open`: nothing else can be reached by crafted bytes, and a JPEG with the index of
# several pictures stays the JPEG that it is.
_READERS: dict[str, type[ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
    "GIF": GifImageFile,
}

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_ZEROS = bytes(64)


def _load(data: bytes, header: Header, min_side: int | None) -> Image.Image:
    """The first frame as stored, scaled down by 2, 4 or 8 in the DCT domain if that keeps `min_side`."""
    reader = _READERS.get(header.format)
    file = io.BytesIO(data)
    image = reader(file) if reader else Image.open(file, formats=(header.format,))
    if image.size != header.stored_size:  # it would be decoded at a size that was never checked
        raise DecodeError("E04", f"its parts disagree on its size: {header.stored_size} and {image.size}")
    if min_side is not None and header.format == "JPEG":
        image.draft(None, (min_side, min_side))
    image.load()
    if header.format == "JPEG" and data.endswith(_ZEROS) and not is_whole(data, "JPEG"):
        # A download that was given its full length beforehand: libjpeg fills what is missing with grey, silently.
        raise DecodeError("E03", "the file ends in zeros, without an end-of-image marker")
    return image


def to_image(
    data: bytes, *, min_side: int | None = None, limits: Limits = DEFAULT_LIMITS, header: Header | None = None
) -> Image.Image:
    """The picture as a Pillow image of mode RGB, or L when it is grey: what `decode` makes an array of.

    For what goes on with Pillow (`artifact.preprocess`): it saves a copy in each direction. `header` is what `inspect`
    said of the same bytes, for who has asked already.
    """
    header = header or inspect(data, limits)
    try:
        with quiet():
            image = _load(data, header, min_side)
            colour, alpha = _colour_and_alpha(image, header, data)
            picture = _to_srgb(colour, image.info.get("icc_profile"), header)
            if alpha is not None:
                paper = Image.new(picture.mode, picture.size, "white")
                paper.paste(picture, mask=alpha)
                picture = paper
            turn = _TURNS.get(header.orientation)
            return picture if turn is None else picture.transpose(turn)
    except (DecodeError, MemoryError):
        raise  # too little memory says something of the machine, not of the file
    except Image.DecompressionBombError as error:
        raise DecodeError("E06", said(error)) from error
    except Exception as error:  # a decoder that meets hostile bytes raises whatever it likes
        if isinstance(error, ValueError) and ("too large" in str(error) or "Too much memory" in str(error)):
            raise DecodeError("E06", said(error)) from error  # a text or profile that unpacks into megabytes
        truncated = "truncated" in str(error) or not is_whole(data, header.format)
        raise DecodeError("E03" if truncated else "E04", said(error)) from error


def decode(data: bytes, *, min_side: int | None = None, limits: Limits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """The picture in an image file: uint8 RGB (height, width, 3), 0..255, sRGB, upright. Read-only.

    `min_side` allows a JPEG to be decoded at 1/2, 1/4 or 1/8 of its size, as long as its short side stays at least
    that; other formats come whole. It is part of what the pixels are: the same bytes with another `min_side` are
    another picture. Raises DecodeError.
    """
    image = to_image(data, min_side=min_side, limits=limits)
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def raw(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Pixels that come as pixels (IDX, npz): uint8 (h, w) or (h, w, 1 or 3) to (h, w, 1 or 3), a view of the same.

    >>> raw(np.zeros((28, 28), np.uint8)).shape
    (28, 28, 1)
    """
    shape = pixels.shape
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3))
    if pixels.dtype != np.uint8 or not fits or 0 in shape:
        raise DataError("EY-D102", dtype=pixels.dtype, shape=" x ".join(map(str, shape)))
    return pixels[:, :, None] if len(shape) == 2 else pixels
