"""What a verb needs that the base install may lack, said before any work starts."""

from __future__ import annotations

import importlib.util

from eyas.errors import MissingError
from eyas.machine import before_torch

#: module -> extra of `pip install 'eyas[...]'` that brings it
EXTRAS = {"torch": "train", "matplotlib": "train", "jinja2": "train"}


def here(module: str) -> bool:
    """Whether a package can be imported, found without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def need(*modules: str) -> None:
    """Raise MissingError EY-M001 for the first of these packages that is not installed."""
    for module in modules:
        if not here(module):
            raise MissingError("EY-M001", package=module, hint=f"eyas[{EXTRAS[module]}]")


def need_torch() -> None:
    """Raise MissingError EY-M001 when torch is not installed; else see to how its threads wait."""
    need("torch")
    before_torch()
