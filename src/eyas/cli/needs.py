"""What a verb needs that the base install may lack, said before any work starts; and how torch's threads wait."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import MutableMapping

from eyas.errors import MissingError
from eyas.machine import busy_cores

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


def wait_politely(busy: float, environ: MutableMapping[str, str]) -> bool:
    """Let OpenMP's threads sleep while they wait, where others use the cores too; whether that was set now.

    `busy` is how many cores others use. Threads that spin take the cores from those they wait for: with half a core
    taken, two spinning threads trained this package's small net 10 to 30 times slower than sleeping ones; on idle cores
    sleeping costs a factor of 2 (docs/log.md). It must be set before torch is imported, it changes no result, and what
    somebody has set stays.
    """
    said = {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & set(environ)
    if said or busy < 0.5:
        return False
    environ["OMP_WAIT_POLICY"] = "PASSIVE"
    return True


def need_torch() -> None:
    """Raise MissingError EY-M001 when torch is not installed; else see to how its threads wait."""
    need("torch")
    if "torch" not in sys.modules:
        wait_politely(busy_cores(), os.environ)
