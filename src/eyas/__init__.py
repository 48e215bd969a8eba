"""eyas: from a folder of images to a fast image classifier you can trust.

    import eyas
    classifier = eyas.train("photos/")
    classifier.predict(["a.jpg"])

Names are loaded when they are first used: `import eyas` itself loads neither numpy nor torch. What is not listed in
`__all__` may change without notice.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from eyas.version import __version__

if TYPE_CHECKING:
    from eyas.artifact.decode import decode
    from eyas.artifact.preprocess import Preprocess
    from eyas.data.augment import Augment
    from eyas.data.batch import Batch
    from eyas.data.order import Order
    from eyas.data.samples import Samples
    from eyas.data.source import find
    from eyas.data.stream import Stream
    from eyas.errors import EyasError
    from eyas.flows.api import train
    from eyas.flows.check import check
    from eyas.flows.classifier import Classifier, load
    from eyas.flows.score import evaluate, predict
    from eyas.flows.settings import Settings
    from eyas.flows.show import show
    from eyas.hardware.plan import Plan
    from eyas.training.events import Decided, Evaluated, Event, Recovered, Saved, Stepped, Stopped
    from eyas.training.progress import Progress, Score
    from eyas.training.recipe import Recipe

#: public name -> the module that has it
_HOME = {
    # whole runs
    "train": "eyas.flows.api",
    "load": "eyas.flows.classifier",
    "Classifier": "eyas.flows.classifier",
    "evaluate": "eyas.flows.score",
    "predict": "eyas.flows.score",
    "show": "eyas.flows.show",
    "check": "eyas.flows.check",
    "Settings": "eyas.flows.settings",
    # the parts, in the order of the river
    "find": "eyas.data.source",
    "Samples": "eyas.data.samples",
    "decode": "eyas.artifact.decode",
    "Preprocess": "eyas.artifact.preprocess",
    "Order": "eyas.data.order",
    "Augment": "eyas.data.augment",
    "Stream": "eyas.data.stream",
    "Batch": "eyas.data.batch",
    "Recipe": "eyas.training.recipe",
    "Plan": "eyas.hardware.plan",
    "Progress": "eyas.training.progress",
    "Score": "eyas.training.progress",
    # what happens in a run
    "Event": "eyas.training.events",
    "Stepped": "eyas.training.events",
    "Evaluated": "eyas.training.events",
    "Saved": "eyas.training.events",
    "Decided": "eyas.training.events",
    "Recovered": "eyas.training.events",
    "Stopped": "eyas.training.events",
    "EyasError": "eyas.errors",
}

__all__ = [
    "Augment",
    "Batch",
    "Classifier",
    "Decided",
    "Evaluated",
    "Event",
    "EyasError",
    "Order",
    "Plan",
    "Preprocess",
    "Progress",
    "Recipe",
    "Recovered",
    "Samples",
    "Saved",
    "Score",
    "Settings",
    "Stepped",
    "Stopped",
    "Stream",
    "__version__",
    "check",
    "decode",
    "evaluate",
    "find",
    "load",
    "predict",
    "show",
    "train",
]


def __getattr__(name: str) -> object:
    """A public name, imported now and kept (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'eyas' has no attribute {name!r}")
    if home.startswith("eyas.flows.") and name not in ("Settings", "check"):  # these import torch
        import_module("eyas.machine").before_torch()
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
