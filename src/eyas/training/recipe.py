"""Recipe: what to do, as one frozen value. With the data and the seed it is the intent of a run.

Nothing here depends on the machine: that is the Plan. The fingerprint of a recipe decides whether an unfinished run
may be resumed, so every field is a number or a name, never an object.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from eyas.data.augment import Augment
from eyas.training.schedule import ScheduleChoice


@dataclass(frozen=True)
class OptimizerChoice:
    """Which optimiser, with its constants. `lr` is the peak rate for one whole batch (mean gradient)."""

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.1
    momentum: float = 0.9
    nesterov: bool = True
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 5e-4


@dataclass(frozen=True)
class Stopping:
    """When to stop before the last step; both look at val only."""

    until: float | None = None
    """Validation accuracy, 0..1."""
    patience: int | None = None
    """Evaluations without a better score."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what is learnt, apart from the images themselves."""

    model: str
    model_args: dict[str, Any] = field(default_factory=lambda: {})
    epochs: float | None = 10
    """Passes over the training images; None with `time_s`."""
    time_s: float | None = None
    """Wall-clock budget in seconds: the number of steps becomes a decision of the run."""
    batch_size: int = 128
    optimizer: OptimizerChoice = OptimizerChoice()
    schedule: ScheduleChoice = ScheduleChoice()
    smoothing: float = 0.0
    clip_norm: float | None = None
    ema: float = 0.0
    """Half-life of the average of the weights as a share of the run; 0 = no average."""
    augment: Augment = Augment()
    sampling: Literal["shuffled", "balanced", "weighted"] = "shuffled"
    """Every image once an epoch; every class equally often; by the weights of the images."""
    stopping: Stopping = Stopping()
    eval_every: float = 1.0
    """Epochs between two scorings of val."""
    parts: int = 1
    """Parts of a batch, when the recipe fixes them; BatchNorm sees a part at a time."""
    seed: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Nested plain values, as they stand in `run.json`."""
        return asdict(self)

    def fingerprint(self) -> str:
        """SHA-256 over every field but the length of the run and the seed: `--extend` may lengthen a recipe."""
        told = {k: v for k, v in self.to_dict().items() if k not in ("epochs", "time_s", "seed")}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
