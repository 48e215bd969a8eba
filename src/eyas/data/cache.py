"""The cache of packs: who uses what, what it all takes, and what may go when room is needed.

    <cache>/packs/<address>/           a pack; whoever uses it holds a shared lock on its pack.json
    <cache>/packs/<address>.partial/   one that is being built, or that was left half done
    <cache>/packs/<address>.lock       held by whoever builds
    <cache>/packs/<address>.gone/      being removed

The least recently used goes first; never one that is in use, never one that is being built. A pack is renamed before
it is removed, so a kill at any moment leaves a whole pack or none. "Last used" is the time of `pack.json`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import time
import weakref
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, final

from eyas.errors import StorageError

try:
    import fcntl
except ImportError:  # Windows: an open file cannot be removed, which keeps packs in use safe there
    fcntl = None

DEFAULT_LIMIT_BYTES = 50_000_000_000
"""What the packs may take together when nobody says otherwise, on a disk of up to five times that size…"""
DEFAULT_SHARE = 0.2
"""…and the share of a larger disk."""
SPARE_BYTES = 64 * 2**20
"""Of the disk, always left free."""
ABANDONED_S = 14 * 86400.0
"""A half-built pack that nobody touched for so long is taken for abandoned."""


def packs_in(cache: Path) -> Path:
    """The folder of all packs."""
    return cache / "packs"


# --- locks -----------------------------------------------------------------------------------------------------------


@final
class Lease:
    """The right to use a pack: as long as this object lives, nobody removes the files."""

    def __init__(self, handle: int) -> None:
        self.end = weakref.finalize(self, os.close, handle)


def lease(folder: Path) -> Lease | None:
    """The right to use the pack in a folder, and a note that it was used now; None when there is none (any more)."""
    path, tries = folder / "pack.json", 50
    while True:
        try:
            handle = os.open(path, os.O_RDONLY)
        except OSError:
            return None
        held = Lease(handle)
        if fcntl is None:
            return held
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            held.end()
            tries -= 1
            if not tries:
                return None
            time.sleep(0.01)  # it is being removed, or somebody looks whether it may be
            continue
        except OSError:
            return held  # a file system without locks: nothing can be removed there either
        with contextlib.suppress(OSError):
            if os.stat(path).st_ino == os.fstat(handle).st_ino:
                with contextlib.suppress(OSError):  # another user's cache may be read-only
                    os.utime(handle)
                return held
        held.end()  # it was replaced meanwhile: look again


@contextlib.contextmanager
def building(path: Path, *, wait: bool = True) -> Generator[IO[str] | None]:
    """Holds the right to build one pack, given its `.lock`; None when another process has it and we do not wait.

    A worker that outlives its builder has it too.
    """
    while True:
        with path.open("a+", encoding="utf-8") as file:
            if not _locked(file):
                if not wait:
                    yield None
                    return
            elif _is_still(path, file.fileno()):  # not removed by who had it before us
                yield file
                return
            else:
                continue
        time.sleep(0.05)


def _locked(file: IO[str]) -> bool:
    """Takes the exclusive lock of a file, unless another process has it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, InterruptedError, PermissionError):
        return False
    return True


def _is_still(path: Path, handle: int) -> bool:
    try:
        return os.stat(path).st_ino == os.fstat(handle).st_ino
    except FileNotFoundError:
        return False


# --- what is there ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One pack in the cache, whole or half built."""

    address: str
    folder: Path
    whole: bool
    bytes: int
    used: float
    """When it was last used, as a time of the system."""
    source: str
    """The folder or file that the images came from; empty when unknown."""
    n: int
    """Images; 0 when unknown."""
    program: dict[str, Any]
    """How the pixels were made."""
    format: int = 0
    """Of the pack; 0 when unknown."""


def entries(cache: Path) -> list[Entry]:
    """Everything in the cache, the least recently used first."""
    found: list[Entry] = []
    try:
        folders = [Path(e.path) for e in os.scandir(packs_in(cache)) if e.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    for folder in folders:
        if folder.suffix not in ("", ".partial"):
            continue
        size, newest = _size_and_age(folder)
        meta = _meta(folder / "pack.json") if not folder.suffix else {}
        if not folder.suffix:
            with contextlib.suppress(OSError):
                newest = (folder / "pack.json").stat().st_mtime
        found.append(
            Entry(
                address=folder.name.removesuffix(".partial"),
                folder=folder,
                whole=not folder.suffix,
                bytes=size,
                used=newest,
                source=str(meta.get("source") or ""),
                n=int(meta.get("n") or 0),
                program=dict(meta.get("program") or {}),
                format=int(meta.get("format") or 0),
            )
        )
    return sorted(found, key=lambda entry: (entry.used, entry.address))


def _size_and_age(folder: Path) -> tuple[int, float]:
    """Bytes on the disk, and when the newest file was written."""
    size, newest = 0, 0.0
    with contextlib.suppress(OSError), os.scandir(folder) as files:
        for file in files:
            with contextlib.suppress(OSError):
                stat = file.stat(follow_symlinks=False)
                # What is allocated: the data file of a half-built pack has holes.
                size += getattr(stat, "st_blocks", 0) * 512 or stat.st_size
                newest = max(newest, stat.st_mtime)
    return size, newest


def _meta(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}


def in_use(entry: Entry) -> bool:
    """Whether some process uses or builds it now."""
    if fcntl is None:
        return False
    with contextlib.suppress(OSError):
        if not entry.whole:
            with building(entry.folder.with_name(f"{entry.address}.lock"), wait=False) as lock:
                return lock is None
        with (entry.folder / "pack.json").open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return False
    return (entry.folder / "pack.json").exists() if entry.whole else entry.folder.exists()


# --- making room -----------------------------------------------------------------------------------------------------


def remove(entry: Entry) -> bool:
    """Removes a pack, unless somebody uses or builds it; whether it is gone."""
    lock_path = entry.folder.with_name(f"{entry.address}.lock")
    try:
        with building(lock_path, wait=False) as lock:
            if lock is None:
                return False
            with contextlib.ExitStack() as stack:
                if entry.whole and fcntl is not None and (entry.folder / "pack.json").exists():
                    # Opened for writing: NFS grants an exclusive lock only then.
                    file = stack.enter_context((entry.folder / "pack.json").open("rb+"))
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                gone = entry.folder.with_name(f"{entry.address}.gone")
                shutil.rmtree(gone, ignore_errors=True)
                entry.folder.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
            if not entry.folder.with_name(f"{entry.address}.partial").exists() and not (
                entry.folder.with_name(entry.address).exists()
            ):
                lock_path.unlink(missing_ok=True)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # in use, or not ours
    return True


def sweep(cache: Path) -> None:
    """Removes what a killed removal left, and half-built packs that nobody goes on with."""
    with contextlib.suppress(OSError):
        for path in packs_in(cache).iterdir():
            if path.suffix == ".gone":
                shutil.rmtree(path, ignore_errors=True)
    for entry in entries(cache):
        if not entry.whole and time.time() - entry.used > ABANDONED_S:
            remove(entry)


def default_limit(cache: Path) -> int:
    """Bytes that packs may take when nobody says otherwise."""
    try:
        total = shutil.disk_usage(_there(cache)).total
    except OSError:
        return DEFAULT_LIMIT_BYTES
    return max(DEFAULT_LIMIT_BYTES, int(total * DEFAULT_SHARE))


def make_room(cache: Path, need: int, *, limit: int | None, keep: str, n: int) -> None:
    """Removes the least recently used packs until `need` bytes more fit into the limit and onto the disk.

    `keep` is the address that the room is for, `n` its number of images. StorageError EY-S100 when the disk is full of
    other things, EY-S101 when the limit is too small for it beside what is in use; nothing is removed in vain.
    """
    limit = default_limit(cache) if limit is None else limit
    if need > limit:
        raise StorageError("EY-S101", need=size_text(need), limit=size_text(limit), n=n)
    free = shutil.disk_usage(_there(packs_in(cache))).free
    there = [entry for entry in entries(cache) if entry.address != keep]
    held = sum(entry.bytes for entry in there)
    if held + need <= limit and need + SPARE_BYTES <= free:
        return
    sweep(cache)
    free = shutil.disk_usage(_there(packs_in(cache))).free
    there = [entry for entry in entries(cache) if entry.address != keep]
    idle = [entry for entry in there if not in_use(entry)]
    held, loose = sum(entry.bytes for entry in there), sum(entry.bytes for entry in idle)
    if held - loose + need > limit:
        raise StorageError("EY-S101", need=size_text(need), limit=size_text(limit), n=n)
    if need + SPARE_BYTES > free + loose:
        raise StorageError("EY-S100", path=packs_in(cache), need=size_text(need), free=size_text(free))
    for entry in idle:
        if held + need <= limit and need + SPARE_BYTES <= shutil.disk_usage(_there(packs_in(cache))).free:
            return
        if remove(entry):
            held -= entry.bytes
    free = shutil.disk_usage(_there(packs_in(cache))).free
    if held + need > limit:  # somebody began to use one meanwhile
        raise StorageError("EY-S101", need=size_text(need), limit=size_text(limit), n=n)
    if need + SPARE_BYTES > free:
        raise StorageError("EY-S100", path=packs_in(cache), need=size_text(need), free=size_text(free))


def _there(path: Path) -> Path:
    """The nearest folder that exists."""
    return next((p for p in (path, *path.parents) if p.exists()), path)


def size_text(count: int) -> str:
    """`1,234,567 bytes (1.2 MB)`."""
    return f"{count:,} bytes ({count / 1e9:.1f} GB)" if count >= 1e9 else f"{count:,} bytes ({count / 1e6:.1f} MB)"


def is_full(error: OSError) -> bool:
    """Whether the disk or the quota is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)
