"""Where the time of a run went, over all processes that worked on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STEPPING = ("train", "wait")
"""Stages in which training steps are made: computing, and standing still for data."""


@dataclass
class Books:
    """Seconds by stage and images trained on: of this process, and of earlier ones as a checkpoint told them."""

    here: dict[str, float]
    earlier: dict[str, float] = field(default_factory=dict[str, float])
    images_here: int = 0
    images_earlier: int = 0

    def add(self, stage: str, seconds: float) -> None:
        """Book time of this process."""
        self.here[stage] = self.here.get(stage, 0.0) + seconds

    def settle(self, loop_s: float, *, evaluated_s: float, waited_s: float, saved_s: float, images: int) -> None:
        """Set what the training loop of this process came to so far; what is left over is computing."""
        self.here |= {"wait": waited_s, "save": saved_s, "evaluate": evaluated_s}
        self.here["train"] = max(0.0, loop_s - evaluated_s - waited_s - saved_s)
        self.images_here = images

    def seconds(self) -> dict[str, float]:
        """By stage, all processes together."""
        stages = [*self.earlier, *(s for s in self.here if s not in self.earlier)]
        return {s: self.earlier.get(s, 0.0) + self.here.get(s, 0.0) for s in stages}

    def rates(self) -> dict[str, float]:
        """`images_per_second` of the steps alone, and `loader_tax`: the share of their time spent waiting for data."""
        seconds = self.seconds()
        stepping = sum(seconds.get(s, 0.0) for s in STEPPING)
        if stepping <= 0:
            return {"images_per_second": 0.0, "loader_tax": 0.0}
        images = self.images_here + self.images_earlier
        return {"images_per_second": images / stepping, "loader_tax": seconds.get("wait", 0.0) / stepping}

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"seconds": self.seconds(), "images": self.images_here + self.images_earlier}

    def restore(self, told: Mapping[str, Any]) -> None:
        """What `to_dict` gave becomes the earlier part."""
        self.earlier = dict(told["seconds"])
        self.images_earlier = int(told["images"])
