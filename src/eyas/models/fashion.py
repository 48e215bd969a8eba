"""The net of the XLA article for 28x28 grey images, as published; computed the fast way where that applies."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eyas.models.fashion_fast import FastNet, Shelf, scores, supervise
from eyas.models.normalise import Normalise


class FashionCNN(nn.Module):
    """uint8 images (n, 28, 28, 1) to logits (n, classes); 21,840 weights for 10 classes, 0.48 M multiply-adds.

    `plain` forces the ordinary modules; they are also used wherever the fast way does not apply (other devices, bf16,
    export, hooks, a layer that was replaced). Both ways agree to rounding, in logits, gradients and statistics.
    """

    def __init__(self, *, classes: int, normalise: Normalise, plain: bool = False) -> None:
        super().__init__()
        self.normalise = normalise
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.bn1 = nn.BatchNorm2d(10)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.bn2 = nn.BatchNorm2d(20)
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, classes)
        self.plain = plain
        self._shelf = Shelf()

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes)."""
        parameters = None if self.plain else self._fast_parameters(images)
        if parameters is None:
            return self._modules_forward(images)
        norms = (self.bn1, self.bn2)
        shift, scale = self.normalise.shift.view(1), self.normalise.scale.view(1)
        if torch.is_grad_enabled() and any(p.requires_grad for p in parameters):
            return FastNet.apply(self._shelf, images, shift, scale, norms, *parameters)  # pyright: ignore[reportReturnType]
        return scores(self._shelf, images, shift, scale, norms, parameters)

    def supervise(self, images: Tensor, labels: Tensor, *, smoothing: float, batch_size: int) -> Tensor | None:
        """`training.step.Supervises`: the summed loss, `.grad` set; None where the fast way does not apply."""
        parameters = None if self.plain else self._fast_parameters(images)
        if parameters is None or not all(p.requires_grad for p in parameters):
            return None
        loss, gradients = supervise(
            self._shelf,
            images,
            labels,
            self.normalise.shift.view(1),
            self.normalise.scale.view(1),
            (self.bn1, self.bn2),
            parameters,
            smoothing=smoothing,
            batch_size=batch_size,
        )
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)
        return loss

    def _modules_forward(self, images: Tensor) -> Tensor:
        x = self.normalise(images)
        x = self.bn1(F.relu(F.max_pool2d(self.conv1(x), 2)))
        x = self.bn2(F.relu(F.max_pool2d(self.conv2(x), 2)))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)

    def _fast_parameters(self, images: Tensor) -> tuple[Tensor, ...] | None:
        """The parameters in order, or None where the fast way does not apply."""
        if torch.jit.is_tracing() or torch.compiler.is_compiling():  # pyright: ignore[reportPrivateImportUsage]
            return None
        if images.shape[1:] != (28, 28, 1) or len(images) < 2 or not images.is_contiguous() or images.requires_grad:
            return None
        transformed = torch._C._are_functorch_transforms_active()  # pyright: ignore - there is no public question
        if torch.onnx.is_in_onnx_export() or torch.is_autocast_enabled("cpu") or transformed:
            return None
        parameters: list[Tensor] = []
        for name, kind in _LAYERS:
            module = self._modules[name]
            assert module is not None
            hooks = module._forward_hooks or module._forward_pre_hooks or module._backward_hooks  # pyright: ignore
            if type(module) is not kind or hooks:
                return None
            if isinstance(module, nn.BatchNorm2d) and (module.momentum is None or not module.track_running_stats):
                return None
            parameters += [module.weight, module.bias]  # pyright: ignore
        if any(p is None or p.dtype != torch.float32 or not p.is_contiguous() or not p.is_cpu for p in parameters):  # pyright: ignore
            return None
        return tuple(parameters) if images.is_cpu else None


_LAYERS: tuple[tuple[str, type[nn.Module]], ...] = (
    ("conv1", nn.Conv2d),
    ("bn1", nn.BatchNorm2d),
    ("conv2", nn.Conv2d),
    ("bn2", nn.BatchNorm2d),
    ("fc1", nn.Linear),
    ("fc2", nn.Linear),
)
