"""The recipe for what was asked and what was found: settings fill the gaps with stated rules, no rule is hidden.

These are provisional starting values; the presets with measured results will take their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

from eyas.data.augment import Augment
from eyas.flows.config import parse_time
from eyas.flows.settings import Settings
from eyas.training.recipe import OptimizerChoice, Recipe, Stopping
from eyas.training.schedule import ScheduleChoice

T = TypeVar("T")


@dataclass(frozen=True)
class Found:
    """What the recipe depends on in the data."""

    train: int
    """Training images."""
    channels: int
    one_shape: bool
    """Whether all images already have the training shape: then nothing needs resampling."""
    side: int


def recipe_for(settings: Settings, model: str, found: Found) -> Recipe:
    """The frozen recipe for a net on such data."""
    base = _fashion(found) if model == "fashion-cnn" else _small(model, found)
    s = settings
    epochs = s.epochs if s.epochs is not None else (None if s.time is not None else base.epochs)
    size = s.batch_size or base.batch_size
    size = min(size, max(1, found.train))
    optimizer = OptimizerChoice(
        name=s.optimizer or base.optimizer.name,  # pyright: ignore[reportArgumentType] - checked against its choices
        lr=s.lr if s.lr is not None else _rate(s, base, size),
        momentum=_or(s.momentum, base.optimizer.momentum),
        nesterov=_or(s.nesterov, base.optimizer.nesterov),
        weight_decay=_or(s.weight_decay, base.optimizer.weight_decay),
    )
    schedule = ScheduleChoice(
        name=s.schedule or base.schedule.name,  # pyright: ignore[reportArgumentType] - checked against its choices
        warmup=_or(s.warmup, base.schedule.warmup if s.schedule is None else 0.0),
        final=base.schedule.final,
    )
    return Recipe(
        model=model,
        model_args=dict(s.model_arg),
        epochs=epochs,
        time_s=parse_time(s.time) if s.time is not None else None,
        batch_size=size,
        optimizer=optimizer,
        schedule=schedule,
        smoothing=_or(s.smoothing, base.smoothing),
        clip_norm=_or(s.clip_norm, base.clip_norm),
        ema=_or(s.ema, base.ema),
        augment=_augment(s, base.augment),
        sampling=s.sampling or base.sampling,  # pyright: ignore[reportArgumentType] - checked against its choices
        stopping=Stopping(until=s.until, patience=s.patience),
        eval_every=_or(s.eval_every, base.eval_every),
        parts=s.parts or 1,
        seed=s.seed,
    )


def _power_of_two(wanted: float, *, least: int, most: int) -> int:
    """The largest power of two that is at most `wanted`, between `least` and `most`."""
    size = most
    while size > least and size > wanted:
        size //= 2
    return size


def _fashion(found: Found) -> Recipe:
    # On val (12 epochs, 54,000 images) 512 at 0.1 equals 128 at 0.05 and is a fifth faster; 0.2 and 0.4 are worse.
    size = _power_of_two(found.train / 64, least=32, most=512)
    return Recipe(
        model="fashion-cnn",
        epochs=50,
        batch_size=size,
        optimizer=OptimizerChoice(lr=0.05 * (size / 128) ** 0.5, momentum=0.9, weight_decay=5e-4),
        schedule=ScheduleChoice("1cycle"),
    )


def _small(model: str, found: Found) -> Recipe:
    """After the CIFAR-10 speed runs; smaller batches and more epochs where images are few."""
    size = _power_of_two(found.train / 20, least=32, most=512)
    epochs = min(30, max(10, round(60_000 / max(1, found.train))))
    photos = found.channels == 3
    augment = Augment(
        flip="random"
        if photos
        else "none",  # grey sets are mostly digits and letters, which a mirror turns into others
        pad_crop=max(1, found.side // 16) if found.one_shape else 0,
        resized_crop=None if found.one_shape else (0.5, 1.0) if found.train < 1000 else (0.35, 1.0),
    )
    return Recipe(
        model=model,
        epochs=epochs,
        batch_size=size,
        optimizer=OptimizerChoice(lr=0.4 * size / 512, momentum=0.9, weight_decay=5e-4),
        schedule=ScheduleChoice("1cycle", warmup=0.2),
        smoothing=0.1,
        ema=0.02,
        augment=augment,
    )


def _rate(settings: Settings, base: Recipe, size: int) -> float:
    if (settings.optimizer or base.optimizer.name) == "adamw":
        return 2e-3 * (size / 512) ** 0.5
    return base.optimizer.lr * size / base.batch_size


def _augment(s: Settings, base: Augment) -> Augment:
    flip = base.flip if s.flip is None else ("random" if s.flip else "none")
    lo_hi = s.resized_crop
    return Augment(
        flip=flip,
        pad_crop=_or(s.pad_crop, base.pad_crop),
        resized_crop=base.resized_crop if lo_hi is None else ((lo_hi[0], lo_hi[1]) if lo_hi[0] > 0 else None),
        rotate=_or(s.rotate, base.rotate),
        affine=base.affine if s.affine is None else (s.affine[0], s.affine[1], s.affine[2]),
        colour=base.colour if s.colour is None else (s.colour[0], s.colour[1], s.colour[2], s.colour[3]),
        erase=_or(s.erase, base.erase),
        mixup=_or(s.mixup, base.mixup),
        cutmix=_or(s.cutmix, base.cutmix),
        trivial=_or(s.trivial, base.trivial),
    )


def _or(said: T | None, default: T) -> T:
    return default if said is None else said
