"""Where the time of a run went, over all processes that worked on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from eyas.training.feed import Tax

STEPPING = ("train", "wait")
"""Stages in which training steps are made: computing, and being kept from it by the making of batches."""

HEAVY = 0.02
"""Loader tax above which the report says what to do about it."""


@dataclass
class Books:
    """Seconds by stage and images trained on: of this process, and of earlier ones as a checkpoint told them."""

    here: dict[str, float]
    earlier: dict[str, float] = field(default_factory=dict[str, float])
    images_here: int = 0
    images_earlier: int = 0
    tax_here: Tax = field(default_factory=Tax)
    tax_earlier: Tax = field(default_factory=Tax)

    def add(self, stage: str, seconds: float) -> None:
        """Book time of this process."""
        self.here[stage] = self.here.get(stage, 0.0) + seconds

    def settle(
        self, loop_s: float, *, evaluated_s: float, waited_s: float, saved_s: float, images: int, tax: Tax
    ) -> None:
        """Set what the training loop of this process came to so far; what is left over is computing."""
        self.here |= {"wait": waited_s, "save": saved_s, "evaluate": evaluated_s}
        self.here["train"] = max(0.0, loop_s - evaluated_s - waited_s - saved_s)
        self.images_here = images
        self.tax_here = tax

    def seconds(self) -> dict[str, float]:
        """By stage, all processes together."""
        stages = [*self.earlier, *(s for s in self.here if s not in self.earlier)]
        return {s: self.earlier.get(s, 0.0) + self.here.get(s, 0.0) for s in stages}

    def tax(self) -> Tax:
        """What feeding the steps took, all processes together."""
        a, b = self.tax_earlier, self.tax_here
        return Tax(a.wait_s + b.wait_s, a.gather_s + b.gather_s, a.augment_s + b.augment_s)

    def rates(self) -> dict[str, float]:
        """`images_per_second` of the steps alone, and what share of their time the data took.

        `loader_tax`: waiting for batches, and gathering their images from the pack. `augment_tax`: changing them, which
        is work that was asked for.
        """
        seconds, tax = self.seconds(), self.tax()
        stepping = sum(seconds.get(s, 0.0) for s in STEPPING)
        if stepping <= 0:
            return {"images_per_second": 0.0, "loader_tax": 0.0, "augment_tax": 0.0}
        return {
            "images_per_second": (self.images_here + self.images_earlier) / stepping,
            "loader_tax": min(1.0, (tax.wait_s + tax.gather_s) / stepping),
            "augment_tax": min(1.0, tax.augment_s / stepping),
        }

    def advice(self, *, streamed: bool, threads: int) -> str:
        """What to do about the loader tax, as the end of the key of a phrase: `none`, `pack`, `threads`, `augment`…"""
        rates, tax = self.rates(), self.tax()
        if rates["loader_tax"] <= HEAVY:
            return "none"
        if streamed:
            return "pack"
        if tax.wait_s > tax.gather_s:  # batches come too late: too much to do to each, or too few hands
            return "augment" if tax.augment_s > tax.gather_s and threads > 0 else "threads"
        return "threads" if threads == 0 else "disk"

    def to_dict(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {
            "seconds": self.seconds(),
            "images": self.images_here + self.images_earlier,
            "tax": asdict(self.tax()),
        }

    def restore(self, told: Mapping[str, Any]) -> None:
        """What `to_dict` gave becomes the earlier part."""
        self.earlier = dict(told["seconds"])
        self.images_earlier = int(told["images"])
        self.tax_earlier = Tax(**told.get("tax", {}))
