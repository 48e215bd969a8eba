"""Draws applied to pixels, on the host: packed images in, uint8 batches out. The first applier, named `host-1`.

The same draws give the same pixels for the same applier and the same versions of Pillow and numpy; all three are in the
fingerprint of a run. What a whole batch can do at once is done in numpy (gather, crop, flip, blend), what needs
resampling or tables is done image by image in Pillow, which lets other threads run meanwhile.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from eyas.data.augment import Draws
from eyas.data.batch import Spent

APPLIER = "host-1"
"""Name and version of this applier: part of the fingerprint of a run."""


LARGE_BYTES = 2**14
"""Of an image: from here on images are cropped one by one, below all at once; the pixels are the same."""


class Images(Protocol):
    """What the applier needs of a pack; `slot` = the place of an image in it."""

    @property
    def uniform(self) -> NDArray[np.uint8] | None:
        """uint8 (n, h, w, c) when all images have one shape."""
        ...

    def at(self, slot: int) -> NDArray[np.uint8]:
        """uint8 (h, w, c): one image."""
        ...

    @property
    def channels(self) -> int:
        """1 or 3."""
        ...


# --- from the pack to the size of the output -------------------------------------------------------------------------


def base(
    images: Images,
    slots: NDArray[np.int64],
    draws: Draws,
    *,
    height: int,
    width: int,
    spent: Spent | None = None,
) -> NDArray[np.uint8]:
    """uint8 (n, height, width, c), a fresh array: gathered, resampled at most once (box, rotation, affine), and
    flipped unless something else comes before that (`draws.shift`)."""
    spent = spent or Spent()
    whole, flip = images.uniform, draws.flip if draws.shift is None else None
    if whole is not None and whole.shape[1:3] == (height, width) and draws.box is None and draws.warp is None:
        out = np.take(whole, slots, axis=0)
        spent.gathered()
        if flip is not None:
            _flipped(out, flip)
            spent.augmented()
        return out
    turns: list[bool] = [False] * draws.n if flip is None else flip.tolist()
    out = np.empty((draws.n, height, width, images.channels), np.uint8)
    found = [images.at(slot) for slot in slots.tolist()]
    spent.gathered()
    boxes = draws.box
    if boxes is None:
        boxes = np.array([_cover(image, height, width) for image in found]).reshape(-1, 4)
    if draws.warp is None:
        for row, (image, box) in enumerate(zip(found, boxes.tolist(), strict=True)):
            _put(out[row], _resized(image, tuple(box), height, width, spent), turns[row])
        spent.augmented()
        return out
    matrix, offset, bounds, times = _matrices(boxes, draws.warp, height, width)
    for row, (image, bound, shrink) in enumerate(zip(found, bounds.tolist(), times.tolist(), strict=True)):
        pixels = _warped(image, matrix[row], offset[row], bound, shrink, height=height, width=width)
        _put(out[row], pixels, turns[row])
    spent.augmented()
    return out


def _put(into: NDArray[np.uint8], pixels: NDArray[np.uint8], turn: bool) -> None:
    """Copies one image, mirrored left to right when asked: channel by channel, which is five times as fast."""
    if not turn:
        into[...] = pixels
        return
    for channel in range(pixels.shape[2]):
        into[..., channel] = pixels[:, ::-1, channel]


def _cover(image: NDArray[np.uint8], height: int, width: int) -> tuple[float, ...]:
    """The largest central box (x0, y0, x1, y1) that has the aspect of the output."""
    h, w = image.shape[:2]
    wide, high = (w, w * height / width) if w * height <= h * width else (h * width / height, h)
    x, y = (w - wide) / 2, (h - high) / 2
    return x, y, x + wide, y + high


def _pillow(pixels: NDArray[np.uint8]) -> Image.Image:
    """A Pillow image, `L` or `RGB`, of uint8 (h, w, 1 or 3)."""
    return Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))


def _pixels(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 (h, w, 1 or 3) of a Pillow image."""
    found = np.asarray(image)
    return found[:, :, None] if found.ndim == 2 else found


def _resized(
    image: NDArray[np.uint8], box: tuple[float, ...], height: int, width: int, spent: Spent
) -> NDArray[np.uint8]:
    """uint8 (height, width, c): the box, resized with an antialiasing triangle filter."""
    h, w = image.shape[:2]
    if (h, w) == (height, width) and box == (0, 0, w, h):
        return image
    x0, y0, x1, y1 = box
    # Cut first: only these pixels are copied into Pillow. The filter looks that far beyond the box where there is more.
    beyond_x, beyond_y = max(1.0, (x1 - x0) / width), max(1.0, (y1 - y0) / height)
    left, top = max(0, math.floor(x0 - beyond_x)), max(0, math.floor(y0 - beyond_y))
    right, bottom = min(w, math.ceil(x1 + beyond_x)), min(h, math.ceil(y1 + beyond_y))
    spent.augmented()
    part = _pillow(image[top:bottom, left:right])
    spent.gathered()  # here the pixels come from the pack
    inner = (x0 - left, y0 - top, min(x1 - left, right - left), min(y1 - top, bottom - top))
    return _pixels(part.resize((width, height), Image.Resampling.BILINEAR, box=inner))


def _matrices(
    boxes: NDArray[np.float64], warp: NDArray[np.float64], height: int, width: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """For n images at once: matrix (n, 2, 2) and offset (n, 2) from output to source, bounds (n, 4) of what is seen of
    the source (x0, y0, x1, y1), and how many times (n,) the source is shrunk, a whole number.

    Output -> centred, unshifted -> inverse of scale * rotate * shear -> the box of the source.
    """
    angle, shear, scale, shift_y, shift_x = warp.T
    cos, sin, tan = np.cos(angle), np.sin(angle), np.tan(shear)
    # The inverse, written out: determinant of rotate * shear is 1.
    inverse = np.array([[sin * tan + cos, sin - cos * tan], [-sin, cos]]).transpose(2, 0, 1) / scale[:, None, None]
    stretch = (boxes[:, 2:] - boxes[:, :2]) / (width, height)
    matrix = inverse * stretch[:, :, None]
    middle = np.stack([width * (0.5 + shift_x), height * (0.5 + shift_y)], axis=1)
    offset = (boxes[:, :2] + boxes[:, 2:]) / 2 - (matrix @ middle[:, :, None])[:, :, 0]
    corners = matrix @ np.array([[0, width, 0, width], [0, 0, height, height]]) + offset[:, :, None]
    bounds = np.concatenate([corners.min(axis=2), corners.max(axis=2)], axis=1)
    times = np.maximum(1, (stretch.min(axis=1) / scale + 1e-6).astype(np.int64))
    return matrix, offset, bounds, times


def _warped(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    offset: NDArray[np.float64],
    bounds: list[float],
    times: int,
    *,
    height: int,
    width: int,
) -> NDArray[np.uint8]:
    """uint8 (height, width, c): box, rotation, shear, scale and shift in one bilinear lookup; black outside.

    Shrinking by 2 or more first averages whole blocks of pixels (`reduce`), so that nothing aliases.
    """
    h, w = image.shape[:2]
    # Only what can be seen is copied, from a multiple of the block size on, with a block to spare for the filter.
    left, top = (max(0, int(low // times - 1) * times) for low in bounds[:2])
    right, bottom = min(w, math.ceil(bounds[2]) + 2 * times), min(h, math.ceil(bounds[3]) + 2 * times)
    if left >= right or top >= bottom:
        return np.zeros((height, width, image.shape[2]), np.uint8)
    part = _pillow(image[top:bottom, left:right])
    if times > 1:
        part = part.reduce(times)
    (a, b), (d, e) = (matrix / times).tolist()
    c, f = ((offset[0] - left) / times, (offset[1] - top) / times)
    return _pixels(
        part.transform((width, height), Image.Transform.AFFINE, (a, b, c, d, e, f), resample=Image.Resampling.BILINEAR)
    )


# --- the whole batch at once -----------------------------------------------------------------------------------------


def cropped(
    images: NDArray[np.uint8], shift: NDArray[np.int64], pad: int, flip: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """uint8, same shape: each image reflected by `pad` pixels around and cut at its `shift` (y, x in 0..2 * pad).

    Then mirrored left to right where `flip` says so.
    """
    n, h, w, c = images.shape
    if not n:
        return images
    if h * w * c >= LARGE_BYTES and 2 * pad < min(h, w):
        out, cut = np.empty_like(images), np.empty((h, w, c), np.uint8)
        turns: list[bool] = [False] * n if flip is None else flip.tolist()
        for image, into, (dy, dx), turn in zip(images, out, (shift - pad).tolist(), turns, strict=True):
            _cut(image, cut if turn else into, dy, dx)
            if turn:
                _put(into, cut, True)
        return out
    out = _cropped_together(images, shift, pad)
    if flip is not None:
        _flipped(out, flip)
    return out


def _cropped_together(images: NDArray[np.uint8], shift: NDArray[np.int64], pad: int) -> NDArray[np.uint8]:
    n, h, w, c = images.shape
    if 2 * pad < w:  # slices are three times as fast as a lookup
        wide = np.empty((n, h, w + 2 * pad, c), np.uint8)
        wide[:, :, pad : pad + w] = images
        wide[:, :, :pad] = images[:, :, pad:0:-1]
        wide[:, :, pad + w :] = images[:, :, -2 : -2 - pad : -1]
    else:
        wide = np.take(images, _reflected(w, pad), axis=2)
    # One window of w pixels starts at every byte; a window is one opaque element, so a crop is a lookup of h of them.
    windows = np.ndarray((wide.size - w * c + 1,), np.dtype((np.void, w * c)), wide.data, strides=(1,))
    lines = _reflected(h, pad)[shift[:, :1] + np.arange(h)] + np.arange(n)[:, None] * h
    starts = (lines * (w + 2 * pad) + shift[:, 1:]) * c
    return windows[starts].view(np.uint8).reshape(n, h, w, c)


def _cut(image: NDArray[np.uint8], into: NDArray[np.uint8], dy: int, dx: int) -> None:
    """Fills `into` with `image` moved by (-dy, -dx), reflected beyond its edges: one copy and two thin strips."""
    h, w = image.shape[:2]
    top, bottom, left, right = max(0, -dy), min(h, h - dy), max(0, -dx), min(w, w - dx)
    lines = image[top + dy : bottom + dy]
    into[top:bottom, left:right] = lines[:, left + dx : right + dx]
    if left:
        into[top:bottom, :left] = lines[:, left:0:-1]
    if right < w:
        into[top:bottom, right:] = lines[:, w - 2 : right - 2 : -1]
    if top:
        into[:top] = into[2 * top : top : -1]
    if bottom < h:
        into[bottom:] = into[2 * bottom - h - 1 : bottom - 1][::-1]


@functools.lru_cache(maxsize=64)
def _reflected(length: int, pad: int) -> NDArray[np.int64]:
    """int64 (length + 2 * pad,): 0..length-1 with reflections (the edge is not repeated) before and after."""
    period = max(1, 2 * (length - 1))
    at = np.abs(np.arange(-pad, length + pad)) % period
    found = np.minimum(at, period - at) if length > 1 else np.zeros(length + 2 * pad, np.int64)
    found.setflags(write=False)  # it is handed out again
    return found


def _flipped(images: NDArray[np.uint8], flip: NDArray[np.bool_]) -> None:
    """Mirrors some images left to right, in place."""
    rows = np.flatnonzero(flip)
    taken = images[rows]
    # Channel by channel: three long strided copies are five times as fast as many copies of three bytes.
    turned = np.empty_like(taken)
    for channel in range(taken.shape[3]):
        turned[..., channel] = taken[:, :, ::-1, channel]
    images[rows] = turned


def _painted(images: NDArray[np.uint8], boxes: NDArray[np.int64], paint: NDArray[np.uint8]) -> None:
    """Fills one box of each image with its colour, in place; empty boxes fill nothing."""
    c = images.shape[3]
    for row, (y0, y1, x0, x1) in enumerate(boxes.tolist()):
        if y1 > y0:
            images[row, y0:y1, x0:x1] = paint[row, :c]


# --- colour ----------------------------------------------------------------------------------------------------------

_GREY = np.array([0.299, 0.587, 0.114])
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_RGB = np.linalg.inv(_YIQ)


def _coloured(images: NDArray[np.uint8], colour: NDArray[np.float64]) -> None:
    """Brightness, contrast (about the mean grey), saturation and hue, in place: one matrix and one rounding for all.

    All four are linear (hue as a rotation in YIQ), so nothing is clipped or rounded in between. Grey images get the
    first two.
    """
    n, h, w, c = images.shape
    sums = images.reshape(n, h, w * c).sum(axis=1, dtype=np.uint32).reshape(n, w, c).sum(axis=1)
    means = sums @ (_GREY if c == 3 else np.ones(1)) / (h * w)
    bright, contrast, saturation, hue = colour.T
    gain, offset = bright * contrast, bright * means * (1 - contrast)
    if c == 1:
        table = np.clip(np.arange(256) * gain[:, None] + offset[:, None] + 0.5, 0, 255).astype(np.uint8)
        for row in range(n):
            images[row] = table[row][images[row]]
        return
    turn = np.zeros((n, 3, 3))
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(hue)
    turn[:, 1, 2], turn[:, 2, 1] = -np.sin(hue), np.sin(hue)
    saturate = saturation[:, None, None] * np.eye(3) + (1 - saturation)[:, None, None] * np.outer(np.ones(3), _GREY)
    matrices = np.concatenate(
        [_RGB @ turn @ _YIQ @ saturate * gain[:, None, None], np.repeat(offset[:, None, None], 3, axis=1)], axis=2
    ).reshape(n, 12)
    for row, matrix in enumerate(matrices.tolist()):
        images[row] = _pixels(_pillow(images[row]).convert("RGB", tuple(matrix)))


# --- TrivialAugment (Mueller and Hutter 2021, https://arxiv.org/abs/2103.10158), wide space, levels 0..30 ------------


_Operation = Callable[[Image.Image, int, int], Image.Image]


def _identity(image: Image.Image, level: int, sign: int) -> Image.Image:
    return image


def _auto_contrast(image: Image.Image, level: int, sign: int) -> Image.Image:
    return ImageOps.autocontrast(image)


def _equalize(image: Image.Image, level: int, sign: int) -> Image.Image:
    return ImageOps.equalize(image)


def _rotated(image: Image.Image, level: int, sign: int) -> Image.Image:
    return image.rotate(sign * 135 * level / 30, resample=Image.Resampling.BILINEAR)


def _solarize(image: Image.Image, level: int, sign: int) -> Image.Image:
    return ImageOps.solarize(image, round(256 - 256 * level / 30))


def _posterize(image: Image.Image, level: int, sign: int) -> Image.Image:
    return ImageOps.posterize(image, 8 - round(level / 5))


def _enhanced(make: Callable[[Image.Image], Any]) -> _Operation:
    def enhanced(image: Image.Image, level: int, sign: int) -> Image.Image:
        return make(image).enhance(1 + sign * 0.99 * level / 30)

    return enhanced


def _moved(axis: Literal["x", "y"], *, slant: float = 0.0, shift: float = 0.0) -> _Operation:
    """Shears by up to `slant` about the centre, or shifts by up to `shift` pixels, along one axis; black outside."""

    def moved(image: Image.Image, level: int, sign: int) -> Image.Image:
        amount, pixels = sign * slant * level / 30, sign * shift * level / 30
        if axis == "x":
            matrix = (1, amount, pixels - amount * image.height / 2, 0, 1, 0)
        else:
            matrix = (1, 0, 0, amount, 1, pixels - amount * image.width / 2)
        return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR)

    return moved


TRIVIAL: tuple[tuple[str, _Operation], ...] = (
    ("identity", _identity),
    ("auto-contrast", _auto_contrast),
    ("equalize", _equalize),
    ("rotate", _rotated),
    ("solarize", _solarize),
    ("posterize", _posterize),
    ("colour", _enhanced(ImageEnhance.Color)),
    ("contrast", _enhanced(ImageEnhance.Contrast)),
    ("brightness", _enhanced(ImageEnhance.Brightness)),
    ("sharpness", _enhanced(ImageEnhance.Sharpness)),
    ("shear-x", _moved("x", slant=0.99)),
    ("shear-y", _moved("y", slant=0.99)),
    ("translate-x", _moved("x", shift=32)),
    ("translate-y", _moved("y", shift=32)),
)
"""Name and operation(image, level, sign), in the order that `Draws.trivial` counts."""


def _trivial(images: NDArray[np.uint8], trivial: NDArray[np.int64]) -> None:
    """One operation for each image, in place."""
    for row, (kind, level, sign) in enumerate(trivial.tolist()):
        if kind > 0:  # 0 is the identity, -1 nothing
            images[row] = _pixels(TRIVIAL[kind][1](_pillow(images[row]), level, sign))


# --- the story -------------------------------------------------------------------------------------------------------


def render(
    images: Images,
    slots: NDArray[np.int64],
    draws: Draws,
    *,
    height: int,
    width: int,
    pad: int,
    spent: Spent | None = None,
) -> NDArray[np.uint8]:
    """uint8 (n, height, width, c), a fresh array: everything but mixing, which needs two images for each row.

    `spent` is told what took how long.
    """
    if spent is None:
        spent = Spent()
        spent.mark()
    out = base(images, slots, draws, height=height, width=width, spent=spent)
    if draws.shift is not None:
        out = cropped(out, draws.shift, pad, draws.flip)
    if draws.trivial is not None:
        _trivial(out, draws.trivial)
    if draws.colour is not None:
        _coloured(out, draws.colour)
    if draws.erase is not None and draws.paint is not None:
        _painted(out, draws.erase, draws.paint)
    spent.augmented()
    return out


def mixed(own: NDArray[np.uint8], partner: NDArray[np.uint8], draws: Draws) -> NDArray[np.uint8]:
    """uint8, same shape: own and partner images blended by `draws.blend` (rounded) or pasted by `draws.paste`."""
    assert draws.blend is not None
    assert draws.paste is not None
    rows = np.flatnonzero(draws.blend < 256)
    everybody = len(rows) == len(own)
    out = np.empty_like(own) if everybody else own.copy()
    if len(rows):
        share = draws.blend[rows, None, None, None]
        # At most 255 * 256 + 128: it fits into 16 bits.
        sums = (own if everybody else own[rows]) * share
        sums += (partner if everybody else partner[rows]) * (np.uint16(256) - share)
        sums += np.uint16(128)
        sums >>= np.uint16(8)
        out[slice(None) if everybody else rows] = sums
    for row, (y0, y1, x0, x1) in enumerate(draws.paste.tolist()):
        if y1 > y0 and x1 > x0:
            out[row, y0:y1, x0:x1] = partner[row, y0:y1, x0:x1]
    return out
