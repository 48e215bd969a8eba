"""The small net of the XLA article for 28x28 grey images, as it was published."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name everybody knows it by

from eyas.models.normalise import Normalise


class FashionCNN(nn.Module):
    """uint8 images (n, 28, 28, 1) to logits (n, classes); 21,840 weights for 10 classes, 0.48 M multiply-adds."""

    def __init__(self, *, classes: int, normalise: Normalise) -> None:
        super().__init__()
        self.normalise = normalise
        self.conv1 = nn.Conv2d(1, 10, 5)
        self.bn1 = nn.BatchNorm2d(10)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.bn2 = nn.BatchNorm2d(20)
        self.fc1 = nn.Linear(320, 50)
        self.fc2 = nn.Linear(50, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes)."""
        x = self.normalise(images)
        x = self.bn1(F.relu(F.max_pool2d(self.conv1(x), 2)))
        x = self.bn2(F.relu(F.max_pool2d(self.conv2(x), 2)))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)
