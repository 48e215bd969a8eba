"""`eyas doctor`: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import click

from eyas.cli.command import Call, Verb
from eyas.cli.needs import EXTRAS, here
from eyas.cli.output import table
from eyas.errors.messages import say
from eyas.machine import Machine, cache_dir, disk_free_bytes, look

#: the oldest Python that is supported
PYTHON = (3, 11)
#: below this, training a small set already gets tight
LEAST_MEMORY_BYTES = 2 * 2**30
LEAST_DISK_BYTES = 2**30


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `needed`: without it training does not work; `hint`: what to do, empty when all is well."""

    name: str
    ok: bool
    value: str
    hint: str = ""
    needed: bool = False


def command() -> click.Command:
    """The verb."""
    return Verb("doctor", _run, examples=("eyas doctor", "eyas doctor --json"))


def size(amount: int) -> str:
    """Bytes as people read them.

    >>> size(16 * 2**30)
    '16.0 GiB'
    """
    for unit, step in (("GiB", 2**30), ("MiB", 2**20)):
        if amount >= step:
            return f"{amount / step:,.1f} {unit}"
    return f"{amount:,} B"


# ---- what is looked at --------------------------------------------------------------------------------------------


def _system(machine: Machine) -> Iterator[Finding]:
    old = sys.version_info < PYTHON
    hint = say("cli.doctor.python") if old else ""
    yield Finding("python", not old, f"{machine.python}  {sys.executable}", hint, needed=True)
    linux = sys.platform == "linux"
    yield Finding(
        "system", linux, f"{machine.system} {machine.architecture}", "" if linux else say("cli.doctor.system")
    )
    slow = platform.machine() in ("x86_64", "AMD64") and "avx2" not in machine.isa
    yield Finding(
        "cpu",
        not slow,
        f"{machine.cpu or '–'}  [{' '.join(machine.isa) or '–'}]",
        say("cli.doctor.isa") if slow else "",
    )
    busy = machine.load > 0.75 * machine.logical_cores
    cores = say("cli.doctor.cores_value", cores=machine.cores, all=machine.logical_cores, load=f"{machine.load:.1f}")
    yield Finding("cores", not busy, cores, say("cli.doctor.busy") if busy else "")
    free, total = machine.memory_free_bytes, machine.memory_bytes
    tight = 0 < free < LEAST_MEMORY_BYTES
    memory = say("cli.doctor.free_of", free=size(free), total=size(total)) if total else "–"
    yield Finding("memory", not tight, memory, say("cli.doctor.memory") if tight else "")
    yield Finding("gpu", True, ", ".join(machine.gpus) or "–")


def _writable(folder: Path) -> bool:
    """Whether a file can be made there (or in the nearest folder that exists): tried, since rights do not tell all."""
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _disk() -> Iterator[Finding]:
    for name, folder in (("folder", Path.cwd()), ("cache", cache_dir())):
        free = disk_free_bytes(folder)
        if not _writable(folder):
            hint = say("cli.doctor.read_only" if name == "folder" else "cli.doctor.cache")
        else:
            hint = say("cli.doctor.disk") if free < LEAST_DISK_BYTES else ""
        yield Finding(name, not hint, say("cli.doctor.disk_value", path=folder, free=size(free)), hint, needed=True)


def _torch() -> Finding:
    """Torch is imported here, the only way to know that it works; it takes seconds, and the reader is told before."""
    if not here("torch"):
        return Finding("torch", False, "–", f"pip install 'eyas[{EXTRAS['torch']}]'", needed=True)
    try:
        import torch
    except Exception as error:
        # A build for another system fails in many ways (OSError, ImportError, RuntimeError): the reader needs the text.
        return Finding("torch", False, f"{type(error).__name__}: {error}", say("cli.doctor.torch"), needed=True)
    cuda = torch.version.cuda
    devices = f"CUDA {cuda}, {torch.cuda.device_count()} GPU" if cuda and torch.cuda.is_available() else "CPU"
    capability = torch.backends.cpu.get_cpu_capability()
    value = f"{torch.__version__}  {devices}  {capability}  {torch.get_num_threads()} threads"
    one_dnn = torch.backends.mkldnn.is_available()
    return Finding("torch", one_dnn, value, "" if one_dnn else say("cli.doctor.onednn"), needed=False)


def _pillow() -> Iterator[Finding]:
    from PIL import Image, features

    yield Finding("pillow", True, Image.__version__)
    kinds = {"jpg": "JPEG", "webp": "WebP", "zlib": "PNG"}
    there = [label for key, label in kinds.items() if features.check(key)]
    missing = [label for label in kinds.values() if label not in there]
    turbo = f", libjpeg-turbo {features.version('libjpeg_turbo')}" if features.check("libjpeg_turbo") else ""
    hint = say("cli.doctor.codecs", missing=", ".join(missing)) if missing else ""
    yield Finding("codecs", not missing, ", ".join([*there, "BMP", "GIF"]) + turbo, hint, needed="JPEG" in missing)


def _fonts() -> Finding:
    from eyas.evaluation.figures import font_for

    found = font_for(("中文类别",))
    return Finding("chinese-font", found is not None, str(found or "–"), "" if found else say("cli.doctor.font"))


def _packages() -> Iterator[Finding]:
    for name, extra in EXTRAS.items():
        if name == "torch":
            continue
        there = here(name)
        version = metadata.version(name) if there else "–"
        yield Finding(name, there, version, "" if there else f"pip install 'eyas[{extra}]'")


def findings(machine: Machine, *, torch: Callable[[], Finding] = _torch) -> list[Finding]:
    """Everything that is looked at, in the order in which it is shown."""
    return [*_system(machine), *_disk(), torch(), *_pillow(), *_packages(), _fonts()]


# ---- the verb -----------------------------------------------------------------------------------------------------


def _run(call: Call) -> int:
    if here("torch"):
        call.out.note(say("cli.doctor.importing"))
    found = findings(look())
    ready = all(item.ok for item in found if item.needed)
    document = {
        "ready": ready,
        "findings": [{"name": f.name, "ok": f.ok, "value": f.value, "hint": f.hint, "needed": f.needed} for f in found],
    }
    rows = [("✓" if f.ok else ("✗" if f.needed else "!"), f.name, f.value) for f in found]
    hints = [f"{f.name}: {f.hint}" for f in found if f.hint]
    last = say("cli.doctor.ready" if ready else "cli.doctor.not_ready")
    text = last if call.out.quiet else "\n".join([table(rows), "", *hints, last])
    call.out.answer(document, text)
    return 0 if ready else 69
