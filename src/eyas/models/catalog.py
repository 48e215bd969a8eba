"""The nets by name: what they need, and how they are built for a data set."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from eyas.errors import UsageError
from eyas.models.fashion import FashionCNN
from eyas.models.normalise import Normalise
from eyas.models.small import SmallNet


@dataclass(frozen=True)
class Inputs:
    """What a net is built for: the shape of its images, their statistics (0..1 a channel), the number of classes."""

    classes: int
    height: int
    width: int
    channels: int
    mean: Sequence[float]
    std: Sequence[float]

    def normalise(self) -> Normalise:
        """The first layer for these images."""
        return Normalise(self.mean, self.std)


@dataclass(frozen=True)
class Spec:
    """One net: what it is, what it takes, how it is built."""

    name: str
    english: str
    chinese: str
    build: Callable[..., nn.Module]
    """`build(inputs, *, its own arguments with defaults)`."""
    fixed: tuple[int, int, int] | None = None
    """Height, width and channels, when the net takes no others."""
    smallest: int = 1
    """Least side in pixels."""
    own_kernels: bool = False
    """The net brings fp32 kernels for CPUs that beat the ordinary modules; they want contiguous weights."""

    def arguments(self) -> dict[str, Any]:
        """Names and defaults of what `--model-arg` may set."""
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _small(inputs: Inputs, *, width: int = 32) -> nn.Module:
    return SmallNet(classes=inputs.classes, channels=inputs.channels, normalise=inputs.normalise(), width=width)


def _fashion(inputs: Inputs) -> nn.Module:
    return FashionCNN(classes=inputs.classes, normalise=inputs.normalise())


SPECS: dict[str, Spec] = {
    spec.name: spec
    for spec in (
        Spec(
            "small-net",
            "small fast net for images of 24 to 128 px, trained from scratch; --model-arg width=64 makes it larger",
            "小而快的网络，适合 24–128 像素图片从头训练；--model-arg width=64 可加大",
            _small,
            smallest=24,
        ),
        Spec(
            "fashion-cnn",
            "the two-convolution net of the XLA article, for 28x28 grey images",
            "XLA 文章中的双卷积网络，用于 28x28 灰度图",
            _fashion,
            fixed=(28, 28, 1),
            own_kernels=True,
        ),
    )
}

DEFAULT = "small-net"


def names() -> dict[str, str]:
    """Every name with its description in English."""
    return {name: spec.english for name, spec in SPECS.items()}


def find(name: str) -> Spec:
    """The net of that name. Raises UsageError EY-U120 with the nearest names."""
    if name not in SPECS:
        near = difflib.get_close_matches(name, SPECS, 1, 0.4)
        raise UsageError("EY-U120", name=name, known=", ".join(SPECS), near=near[0] if near else DEFAULT)
    return SPECS[name]


def check(spec: Spec, *, height: int, width: int, channels: int, arguments: Mapping[str, Any]) -> None:
    """Raise UsageError when the net cannot take such images (EY-U121) or does not know an argument (EY-U122)."""
    got = f"{height}x{width}, {channels} channel(s)"
    if spec.fixed is not None and spec.fixed != (height, width, channels):
        h, w, c = spec.fixed
        raise UsageError("EY-U121", name=spec.name, got=got, allowed=f"{h}x{w}, {c} channel(s)")
    if min(height, width) < spec.smallest:
        raise UsageError("EY-U121", name=spec.name, got=got, allowed=f"{spec.smallest} px and more")
    known = spec.arguments()
    for key, value in arguments.items():
        wanted = known.get(key)
        if key not in known or isinstance(value, bool) or not isinstance(value, type(wanted)) or value <= 0:
            allowed = ", ".join(f"{k}={v}" for k, v in known.items()) or "-"
            raise UsageError("EY-U122", name=spec.name, got=f"{key}={value}", allowed=allowed)


def build(
    spec: Spec, inputs: Inputs, *, arguments: Mapping[str, Any], seed: int, channels_last: bool = False
) -> nn.Module:
    """A new net with random weights that depend on `seed` alone."""
    check(spec, height=inputs.height, width=inputs.width, channels=inputs.channels, arguments=arguments)
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(seed)
        model = spec.build(inputs, **arguments)
    finally:
        torch.random.set_rng_state(state)
    return model.to(memory_format=torch.channels_last) if channels_last else model  # pyright: ignore[reportCallIssue]


def parameters(model: nn.Module) -> int:
    """How many weights a net has."""
    return sum(p.numel() for p in model.parameters())
