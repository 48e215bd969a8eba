"""A small fast net for small images: what `eyas train` uses when nobody names a model.

After the CIFAR-10 speed runs (https://arxiv.org/abs/2404.00498): a fixed whitening of 2x2 patches, three blocks of two
3x3 convolutions, identity-like initialisation, a scaled linear head. Global max-pooling at the end makes it fit any
image of 24 pixels and more.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eyas.models.normalise import Normalise

LOGIT_SCALE = 1 / 9
"""Keeps the first logits small, so that the high first rates of a short run do no harm (airbench)."""


class Block(nn.Module):
    """Two 3x3 convolutions with BatchNorm and GELU; halves the side."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        for conv in (self.conv1, self.conv2):
            nn.init.dirac_(conv.weight[: conv.in_channels])  # the block begins as a pass-through

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, h, w) -> (n, outputs, h/2, w/2)."""
        x = F.max_pool2d(self.conv1(x), 2)
        x = F.gelu(self.bn1(x), approximate="tanh")
        return F.gelu(self.bn2(self.conv2(x)), approximate="tanh")


class SmallNet(nn.Module):
    """uint8 images (n, h, w, c) to logits (n, classes); at width 32: 0.5 M weights, 30 M multiply-adds at 32 px."""

    def __init__(self, *, classes: int, channels: int, normalise: Normalise, width: int) -> None:
        super().__init__()
        self.normalise = normalise
        whitened = 2 * 4 * channels  # each direction of 2x2 patches, and its negative
        self.whiten = nn.Conv2d(channels, whitened, 2, bias=True)
        self.blocks = nn.Sequential(Block(whitened, width), Block(width, 4 * width), Block(4 * width, 4 * width))
        self.head = nn.Linear(4 * width, classes, bias=False)
        nn.init.zeros_(self.whiten.bias)  # pyright: ignore[reportArgumentType]
        self.whiten.weight.requires_grad_(False)

    def prepare(self, images: Tensor) -> None:
        """Set the first layer to the whitening of the 2x2 patches of some thousand `images`, uint8 (n, h, w, c).

        Eigenvectors of the patch covariance over the roots of their eigenvalues (https://arxiv.org/abs/2404.00498,
        section 3.2).
        """
        with torch.no_grad():
            x = self.normalise(images)
            patches = F.unfold(x.contiguous(), 2).transpose(1, 2).reshape(-1, 4 * x.shape[1])
            patches = patches - patches.mean(0)
            values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
            filters = (vectors / (values + 5e-4).sqrt()).T.reshape(-1, x.shape[1], 2, 2)
            self.whiten.weight.copy_(torch.cat([filters, -filters]))

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes)."""
        x = F.gelu(self.whiten(self.normalise(images)), approximate="tanh")
        x = self.blocks(x).amax((2, 3))
        return self.head(x) * LOGIT_SCALE
