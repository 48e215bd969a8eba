"""Augmentation as values: what may happen (`Augment`), and what does happen to the samples of one batch (`Draws`).

Nothing here touches a pixel: `data.apply` does. Draws are made for a *whole* batch, keyed by (seed, absolute position,
stream number), and sliced afterwards; partners of mixup and cutmix are row numbers of the whole batch. So cutting a
batch into parts, or spreading it over replicas, changes nothing.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eyas.data.draws import Draw, beta, bits, uniform, uniforms
from eyas.errors import DataError

AUGMENT_VERSION = 1
"""Part of the fingerprint of a run: another version may draw or apply differently."""

TRIALS = 10  # of a random box until it fits into the image, as in torchvision's RandomResizedCrop


@dataclass(frozen=True)
class Augment:
    """What may happen to a training image; the default is nothing. `checked()` refuses values that make no sense.

    They act in this order, all on uint8: resized_crop, rotate and affine (one resampling for all three), pad_crop,
    flip, trivial, colour, erase, then mixup or cutmix.
    """

    flip: Literal["none", "random", "alternating"] = "none"
    """`alternating`: a coin for each sample in epoch 0, then the other side every other epoch (airbench)."""
    pad_crop: int = 0
    """Pixels of reflected border on every side before a random crop back to size."""
    resized_crop: tuple[float, float] | None = None
    """Smallest and largest share of the area of a random box (aspect 3/4..4/3) that is resized to the output."""
    rotate: float = 0.0
    """Degrees, up to, either way."""
    affine: tuple[float, float, float] | None = None
    """Shift (share of the side), scale (1 ± share) and shear (degrees), each up to, either way."""
    colour: tuple[float, float, float, float] | None = None
    """Brightness, contrast, saturation (factors 1 ± x) and hue (± share of the circle, at most 0.5)."""
    erase: float = 0.0
    """Chance of painting a box (2..33 % of the area) in one random colour."""
    mixup: float = 0.0
    """alpha of Beta(alpha, alpha), 0 = off. With cutmix on as well, a coin decides for each sample."""
    cutmix: float = 0.0
    trivial: float = 0.0
    """Chance of one operation of TrivialAugment, wide space."""

    @property
    def mixes(self) -> bool:
        """True when targets are mixed too."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def warps(self) -> bool:
        """True when images are resampled through a matrix."""
        return self.rotate > 0 or self.affine is not None

    def checked(self) -> Augment:
        """Itself; DataError EY-D140 names the setting that is out of its range."""
        share, chance = "0..1", "a chance, 0..1"
        crop, affine, colour = self.resized_crop or (1, 1), self.affine or (0, 0, 0), self.colour or (0, 0, 0, 0)
        rules = (
            (self.flip in ("none", "random", "alternating"), "flip", self.flip, "none, random or alternating"),
            (self.pad_crop >= 0, "pad_crop", self.pad_crop, "0 or more pixels"),
            (len(crop) == 2 and 0 < crop[0] <= crop[-1] <= 1, "resized_crop", crop, "two shares, 0 < low <= high <= 1"),
            (0 <= self.rotate <= 180, "rotate", self.rotate, "0..180 degrees"),
            (
                len(affine) == 3 and 0 <= affine[0] <= 1 and 0 <= affine[1] < 1 and 0 <= affine[2] < 90,
                "affine",
                affine,
                f"shift {share}, scale {share} (below 1), shear 0..89 degrees",
            ),
            (
                len(colour) == 4 and all(0 <= x <= 1 for x in colour) and colour[-1] <= 0.5,
                "colour",
                colour,
                f"brightness, contrast and saturation {share}, hue 0..0.5",
            ),
            (0 <= self.erase <= 1, "erase", self.erase, chance),
            (0 <= self.trivial <= 1, "trivial", self.trivial, chance),
            (0 <= self.mixup < math.inf, "mixup", self.mixup, "0 (off) or a positive alpha"),
            (0 <= self.cutmix < math.inf, "cutmix", self.cutmix, "0 (off) or a positive alpha"),
        )
        for fits, name, value, allowed in rules:
            if not fits:
                raise DataError("EY-D140", name=name, value=value, allowed=allowed)
        return self

    def to_dict(self) -> dict[str, object]:
        """The settings as JSON values, with the version of their meaning."""
        return {"version": AUGMENT_VERSION, **asdict(self)}


@dataclass(frozen=True, eq=False)
class Draws:
    """What happens to n samples; None = it does not happen. All arrays have n rows.

    Boxes of the source are (x0, y0, x1, y1) in pixels of the packed image; boxes of the output (y0, y1, x0, x1).
    """

    n: int
    flip: NDArray[np.bool_] | None = None
    shift: NDArray[np.int64] | None = None
    """(n, 2) y, x: where the crop begins in the padded image, 0..2 * pad."""
    box: NDArray[np.float64] | None = None
    """(n, 4): the part of the source that becomes the output."""
    warp: NDArray[np.float64] | None = None
    """(n, 5): rotation and shear in radians, scale, shift y and x as shares of the side."""
    colour: NDArray[np.float64] | None = None
    """(n, 4): factors of brightness, contrast and saturation, and the hue angle in radians."""
    erase: NDArray[np.int64] | None = None
    """(n, 4): boxes of the output, empty where nothing is erased."""
    paint: NDArray[np.uint8] | None = None
    """(n, 3): the colour of the erased box."""
    trivial: NDArray[np.int64] | None = None
    """(n, 3): operation 0..13 (-1 = none), level 0..30, sign -1 or 1."""
    partner: NDArray[np.int64] | None = None
    """(n,): row of the whole batch that this row is mixed with."""
    blend: NDArray[np.uint16] | None = None
    """(n,): share of the own pixels in 1/256 (256 where a box is pasted instead)."""
    paste: NDArray[np.int64] | None = None
    """(n, 4): boxes of the output that come from the partner, empty for mixup."""
    own: NDArray[np.float32] | None = None
    """(n,): share of the own label, exactly that of the pixels."""

    def take(self, rows: slice | NDArray[np.int64]) -> Draws:
        """The draws of some rows."""
        picked = {f.name: value[rows] for f in fields(self) if isinstance(value := getattr(self, f.name), np.ndarray)}
        return replace(self, n=len(np.arange(self.n)[rows]), **picked)


def draw(
    augment: Augment,
    seed: int,
    *,
    positions: NDArray[np.int64],
    samples: NDArray[np.int64],
    epochs: NDArray[np.int64],
    shapes: NDArray[np.int64],
    height: int,
    width: int,
) -> Draws:
    """The draws for a whole batch: a pure function of its arguments.

    `positions` int64 (n,) absolute positions in the stream; `samples` and `epochs` int64 (n,): which sample each is,
    and in which epoch (for alternating flips); `shapes` int64 (n, 2): height and width of the packed images.
    """
    n = len(positions)
    out: dict[str, NDArray[np.generic]] = {}
    if augment.flip == "random":
        out["flip"] = bits(seed, positions, Draw.FLIP) >> np.uint64(63) == 1
    elif augment.flip == "alternating":
        first = (bits(seed, samples, Draw.FLIP_FIRST) >> np.uint64(63)).astype(np.int64)
        out["flip"] = (first + epochs) % 2 == 1
    if augment.pad_crop:
        u = uniforms(seed, positions, (Draw.CROP_Y, Draw.CROP_X))
        out["shift"] = (u.T * (2 * augment.pad_crop + 1)).astype(np.int64)
    if augment.resized_crop:
        out["box"] = _boxes(seed, positions, shapes, augment.resized_crop, ratio=(3 / 4, 4 / 3))
    if augment.warps:
        shift, scale, shear = augment.affine or (0.0, 0.0, 0.0)
        u = uniforms(seed, positions, (Draw.ROTATE, Draw.SHEAR, Draw.SCALE, Draw.SHIFT_Y, Draw.SHIFT_X)) * 2 - 1
        most = np.array([math.radians(augment.rotate), math.radians(shear), scale, shift, shift])
        out["warp"] = u.T * most + np.array([0.0, 0.0, 1.0, 0.0, 0.0])
    if augment.trivial:
        streams = (Draw.TRIVIAL, Draw.TRIVIAL_KIND, Draw.TRIVIAL_LEVEL, Draw.TRIVIAL_SIGN)
        u = uniforms(seed, positions, streams)
        kind = np.where(u[0] < augment.trivial, (u[1] * 14).astype(np.int64), -1)
        out["trivial"] = np.stack([kind, (u[2] * 31).astype(np.int64), np.where(u[3] < 0.5, -1, 1)], axis=1)
    if augment.colour:
        u = uniforms(seed, positions, (Draw.BRIGHTNESS, Draw.CONTRAST, Draw.SATURATION, Draw.HUE)) * 2 - 1
        most = np.array([*augment.colour[:3], augment.colour[3] * 2 * math.pi])
        out["colour"] = u.T * most + np.array([1.0, 1.0, 1.0, 0.0])
    if augment.erase:
        out["erase"], out["paint"] = _erased(seed, positions, augment.erase, height, width)
    if augment.mixes:
        out |= _mixed(augment, seed, positions, height, width)
    return Draws(n=n, **out)  # pyright: ignore[reportArgumentType]  # each key above is a field, with its dtype


def _boxes(
    seed: int,
    positions: NDArray[np.int64],
    shapes: NDArray[np.int64],
    share: tuple[float, float],
    *,
    ratio: tuple[float, float],
) -> NDArray[np.float64]:
    """float64 (n, 4) x0, y0, x1, y1: the first of ten random boxes that fits, else the largest central one."""
    high, wide = shapes[:, 0].astype(np.float64), shapes[:, 1].astype(np.float64)
    logs = math.log(ratio[0]), math.log(ratio[1])
    # When none fits: the whole image, cut to the nearest allowed aspect.
    w = np.minimum(wide, high * ratio[1])
    h = np.minimum(high, wide / ratio[0])
    open_rows = np.arange(len(positions))
    for trial in range(TRIALS):
        u = uniforms(seed, positions[open_rows], (Draw.AREA, Draw.RATIO), again=trial)
        area = (share[0] + u[0] * (share[1] - share[0])) * high[open_rows] * wide[open_rows]
        aspect = np.exp(logs[0] + u[1] * (logs[1] - logs[0]))
        tall, broad = np.sqrt(area / aspect), np.sqrt(area * aspect)
        fits = (tall <= high[open_rows]) & (broad <= wide[open_rows])
        h[open_rows[fits]], w[open_rows[fits]] = tall[fits], broad[fits]
        open_rows = open_rows[~fits]
        if not open_rows.size:
            break
    u = uniforms(seed, positions, (Draw.BOX_Y, Draw.BOX_X))
    # A box that no trial found stays central.
    u[:, open_rows] = 0.5
    y, x = u[0] * (high - h), u[1] * (wide - w)
    return np.stack([x, y, np.minimum(x + w, wide), np.minimum(y + h, high)], axis=1)


def _erased(
    seed: int, positions: NDArray[np.int64], chance: float, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """int64 (n, 4) boxes y0, y1, x0, x1 of the output and uint8 (n, 3) colours; empty boxes where nothing is erased."""
    streams = (Draw.ERASE, Draw.ERASE_AREA, Draw.ERASE_RATIO, Draw.ERASE_Y, Draw.ERASE_X)
    colours = (Draw.ERASE_COLOUR, Draw.ERASE_COLOUR_2, Draw.ERASE_COLOUR_3)
    u = uniforms(seed, positions, (*streams, *colours))
    area = (0.02 + u[1] * 0.31) * height * width
    aspect = np.exp((u[2] * 2 - 1) * math.log(10 / 3))
    high = np.clip(np.rint(np.sqrt(area / aspect)), 1, height).astype(np.int64)
    wide = np.clip(np.rint(np.sqrt(area * aspect)), 1, width).astype(np.int64)
    high[u[0] >= chance] = 0
    y, x = (u[3] * (height - high + 1)).astype(np.int64), (u[4] * (width - wide + 1)).astype(np.int64)
    return np.stack([y, y + high, x, x + wide], axis=1), (u[5:8].T * 256).astype(np.uint8)


def _mixed(
    augment: Augment, seed: int, positions: NDArray[np.int64], height: int, width: int
) -> dict[str, NDArray[np.generic]]:
    """Partners (one cycle through the batch, so nobody is its own), blend, pasted boxes and label shares."""
    n = len(positions)
    cycle = np.argsort(bits(seed, positions, Draw.PARTNER), kind="stable")
    partner = np.empty(n, np.int64)
    partner[cycle] = np.roll(cycle, -1)
    chance = 1.0 if not augment.cutmix else 0.5 if augment.mixup else 0.0
    mixup = uniform(seed, positions, Draw.MIX_KIND) < chance
    blend = np.full(n, 256, np.uint16)
    paste = np.zeros((n, 4), np.int64)
    if augment.mixup:
        share = beta(seed, positions, Draw.MIXUP, alpha=augment.mixup)
        blend[mixup] = np.rint(share[mixup] * 256).astype(np.uint16)
    if augment.cutmix:
        side = np.sqrt(1.0 - beta(seed, positions, Draw.CUTMIX, alpha=augment.cutmix))
        u = uniforms(seed, positions, (Draw.CUT_Y, Draw.CUT_X))
        edges: list[NDArray[np.int64]] = []
        for at, length in ((u[0], height), (u[1], width)):
            centre, half = at * length, side * length / 2
            edges += [np.clip(np.rint(centre + s * half), 0, length).astype(np.int64) for s in (-1, 1)]
        paste[~mixup] = np.stack(edges, axis=1)[~mixup]
    pasted = (paste[:, 1] - paste[:, 0]) * (paste[:, 3] - paste[:, 2]) / (height * width)
    own = (blend / 256 * (1 - pasted)).astype(np.float32)
    return {"partner": partner, "blend": blend, "paste": paste, "own": own}
