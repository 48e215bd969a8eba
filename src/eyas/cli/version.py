"""`eyas version`: the versions of what takes part. Read from the packages' metadata, nothing is imported."""

from __future__ import annotations

import platform
from importlib import metadata

import click

from eyas.cli.command import Call, Verb
from eyas.cli.output import table
from eyas.version import __version__

#: packages whose versions can change bits
PACKAGES = ("numpy", "pillow", "torch", "safetensors", "msgspec", "click", "rich", "matplotlib", "jinja2")


def command() -> click.Command:
    """The verb."""
    return Verb("version", _run, examples=("eyas version", "eyas version --json"))


def versions() -> dict[str, str | None]:
    """Package -> version, None for what is not installed."""
    found: dict[str, str | None] = {"eyas": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def _run(call: Call) -> int:
    found = versions()
    text = __version__ if call.out.quiet else table([(name, version or "–") for name, version in found.items()])
    call.out.answer(found, text)
    return 0
