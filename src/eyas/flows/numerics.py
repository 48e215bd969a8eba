"""What the bits of a run depend on beside recipe and data: decides whether a resume is bitwise or state-exact."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from eyas.artifact.decode import decoder_identity
from eyas.data.apply import APPLIER
from eyas.data.augment import AUGMENT_VERSION
from eyas.data.draws import DRAWS_VERSION
from eyas.data.order import ORDER_VERSION
from eyas.data.pack import FORMAT as PACK_VERSION
from eyas.hardware.plan import Plan
from eyas.machine import look
from eyas.version import __version__

STEP_VERSION = 2
"""Of the arithmetic of a step (loss, parts, update, average). Raised when the same inputs would give other bits."""

BITS = ("device", "precision", "memory_format", "threads", "parts")
"""The choices of a Plan that change the bits; the others only change the speed."""


def versions() -> dict[str, str]:
    """Versions of everything that takes part, for `run.json`."""
    out = {"python": platform.python_version(), "eyas": __version__, "torch": torch.__version__}
    for name in ("numpy", "pillow", "safetensors"):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "?"
    return out


def numerics_of(plan: Plan) -> dict[str, Any]:
    """Libraries, decoder, our own versions, CPU and the choices of the Plan that decide the bits."""
    machine = look()
    own = {"order": ORDER_VERSION, "draws": DRAWS_VERSION, "augment": AUGMENT_VERSION, "applier": APPLIER}
    own |= {"step": STEP_VERSION, "pack": PACK_VERSION}
    return {
        "versions": {k: v for k, v in versions().items() if k in ("torch", "numpy", "pillow")},
        "decoder": decoder_identity(),
        "eyas": own,
        "cpu": machine.cpu,
        "isa": list(machine.isa),
        "plan": {c.name: c.value for c in plan.choices if c.name in BITS},
    }
