"""Checkpoints that survive: written whole or not at all, checked when read, never the last good one destroyed.

Protocol: a temporary directory beside the target; every file created exclusively, hashed while it is written, fsynced;
MANIFEST.json (sizes, SHA-256, fingerprints) last; all read back; fsync of the directory; rename; fsync of the parent. A
failed fsync is never retried, since the kernel may have dropped the pages (Rebello et al., ATC 2020): the new one is
thrown away.

This module does not import torch: it gets named numpy arrays. The files are safetensors, written by us because the
library cannot hash while writing, and JSON.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyas.errors import StorageError
from eyas.training.durable import make_folders, sync_directory

FORMAT = 1
MANIFEST = "MANIFEST.json"
NAME = re.compile(r"step-(\d{10})-a(\d+)")

Arrays = Mapping[str, NDArray[Any]]

DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
    "BOOL": "|b1",
}
CODES = {np.dtype(v): k for k, v in DTYPES.items()}


def name_of(step: int, attempt: int) -> str:
    """`step-0000012000-a0`."""
    return f"step-{step:010d}-a{attempt}"


@dataclass(frozen=True)
class Written:
    """A durable checkpoint."""

    path: Path
    bytes: int


@dataclass(frozen=True)
class Loaded:
    """A checkpoint whose every byte was checked. `tensors` is file stem -> name -> array."""

    path: Path
    step: int
    attempt: int
    tensors: dict[str, dict[str, NDArray[Any]]]
    state: dict[str, Any]
    fingerprints: dict[str, Any]


@dataclass(frozen=True)
class Search:
    """What looking for the newest valid checkpoint found; `damaged` names those passed over, with the reason."""

    newest: Loaded | None
    damaged: tuple[tuple[str, str], ...] = ()


@dataclass
class _Hashing:
    """A file that is hashed while it is written."""

    descriptor: int
    sha256: Any = field(default_factory=hashlib.sha256)
    size: int = 0

    def write(self, data: bytes | memoryview) -> None:
        """Write all of `data`; a short write goes on with the rest."""
        view = memoryview(data).cast("B")
        self.sha256.update(view)
        self.size += len(view)
        while view:
            view = view[os.write(self.descriptor, view) :]


@contextlib.contextmanager
def _creating(path: Path) -> Generator[_Hashing]:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        yield (file := _Hashing(descriptor))
        del file
        os.fsync(descriptor)
    finally:
        os.close(descriptor)  # an error here is an error of the write: it is raised and the whole checkpoint dropped


def safetensors_parts(arrays: Arrays, metadata: Mapping[str, str] | None = None) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file, piece by piece: 8-byte length, JSON header, then the arrays in order of name.

    https://github.com/huggingface/safetensors#format
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offset = 0
    # Wider types first, as the library does, so that every array is aligned.
    names = sorted(arrays, key=lambda n: (-arrays[n].dtype.itemsize, n))
    for name in names:
        array = arrays[name]
        header[name] = {
            "dtype": CODES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for name in names:
        if arrays[name].size:
            yield np.ascontiguousarray(arrays[name]).reshape(-1).view(np.uint8).data


def read_safetensors(data: bytes) -> dict[str, NDArray[Any]]:
    """The arrays in a safetensors file that was checked before; copies, so that they may be changed."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    out: dict[str, NDArray[Any]] = {}
    for name, told in header.items():
        if name != "__metadata__":
            a, b = told["data_offsets"]
            piece = data[8 + length + a : 8 + length + b]
            out[name] = np.frombuffer(piece, DTYPES[told["dtype"]]).reshape(told["shape"]).copy()
    return out


def write(
    folder: Path,
    name: str,
    tensors: Mapping[str, Arrays],
    state: Mapping[str, Any],
    *,
    fingerprints: Mapping[str, Any],
) -> Written:
    """Make `folder/name` durable with one safetensors file for each key of `tensors`, and `state.json`.

    Raises OSError when the disk refuses (nothing of the new checkpoint is left then, and no older one was touched),
    StorageError EY-S201 when there is no room for it, before a byte is written.
    """
    expected = sum(a.nbytes for arrays in tensors.values() for a in arrays.values())
    make_folders(folder)
    target = folder / name
    if NAME.fullmatch(name) and target.exists():
        try:  # a resume at its last step saves that step again: what is whole is not touched
            found = read(target)
        except ValueError:
            _discard(target)
        else:
            return Written(target, sum(a.nbytes for arrays in found.tensors.values() for a in arrays.values()))
    free = shutil.disk_usage(folder).free
    if free < expected * 1.25 + (1 << 16):
        raise StorageError("EY-S201", path=folder, needed=_mib(expected * 1.25), free=_mib(free))
    temporary = folder / f".tmp-{name}-{os.getpid()}-{secrets.token_hex(4)}"
    temporary.mkdir()
    try:
        files: dict[str, dict[str, Any]] = {}
        for stem, arrays in tensors.items():
            with _creating(temporary / f"{stem}.safetensors") as file:
                for piece in safetensors_parts(arrays):
                    file.write(piece)
            files[f"{stem}.safetensors"] = {"bytes": file.size, "sha256": file.sha256.hexdigest()}
        with _creating(temporary / "state.json") as file:
            file.write(_json(state))
        files["state.json"] = {"bytes": file.size, "sha256": file.sha256.hexdigest()}
        manifest = {"format": FORMAT, "name": name, "files": files, "fingerprints": dict(fingerprints)}
        with _creating(temporary / MANIFEST) as file:
            file.write(_json(manifest | {"sha256": _digest(manifest)}))
        _read_back(temporary, files | {MANIFEST: {"sha256": file.sha256.hexdigest()}})
        sync_directory(temporary)
        if target.exists():  # `chosen`, chosen anew after an extension: its weights are in their step's checkpoint too
            _discard(target)
        temporary.rename(target)
        sync_directory(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return Written(target, sum(int(f["bytes"]) for f in files.values()))


def _read_back(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise OSError when a file is not what was written: some disks and drivers say yes and do nothing."""
    for name, told in files.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != told["sha256"]:
                raise OSError(errno.EIO, f"{name} reads back otherwise than it was written")


def read(path: Path) -> Loaded:
    """A checkpoint, every file of it checked against the manifest.

    Raises ValueError that says what is damaged.
    """
    try:
        manifest: dict[str, Any] = json.loads((path / MANIFEST).read_bytes())
        version, digest = manifest["format"], manifest.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no readable {MANIFEST} ({type(error).__name__})") from error
    if version != FORMAT:
        raise ValueError(f"format {version} of the checkpoint is not known; this eyas reads {FORMAT}")
    if digest != _digest(manifest):
        raise ValueError(f"{MANIFEST} does not match its own checksum")
    told: dict[str, dict[str, Any]] = manifest["files"]
    tensors: dict[str, dict[str, NDArray[Any]]] = {}
    state: dict[str, Any] = {}
    for name, expected in told.items():
        try:
            data = (path / name).read_bytes()
        except OSError as error:
            raise ValueError(f"{name} cannot be read ({error.strerror})") from error
        if len(data) != expected["bytes"] or hashlib.sha256(data).hexdigest() != expected["sha256"]:
            raise ValueError(f"{name} does not match its checksum")
        if name == "state.json":
            state = json.loads(data)
        else:
            tensors[name.removesuffix(".safetensors")] = read_safetensors(data)
    step, attempt = _numbers(path.name)
    return Loaded(path, step, attempt, tensors, state, manifest["fingerprints"])


def listed(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first: by attempt, then by step. Nothing in them was read."""
    found = [p for p in folder.iterdir() if NAME.fullmatch(p.name)] if folder.is_dir() else []
    return sorted(found, key=lambda p: _numbers(p.name)[::-1], reverse=True)


def newest(folder: Path, *, most: int | None = None) -> Search:
    """The newest whole checkpoint, of at most step `most`, and the names of damaged ones that were passed over."""
    damaged: list[tuple[str, str]] = []
    for path in listed(folder):
        if most is not None and _numbers(path.name)[0] > most:
            continue
        try:
            return Search(read(path), tuple(damaged))
        except ValueError as error:
            damaged.append((path.name, str(error)))
    return Search(None, tuple(damaged))


def prune(folder: Path, keep: set[str], *, last: int = 2) -> None:
    """Remove all but the newest `last` checkpoints and those named in `keep`. Keeping fewer than two is refused."""
    assert last >= 2, "one checkpoint is none: it may be the one that is damaged"
    for path in listed(folder)[last:]:
        if path.name not in keep:
            _discard(path)


def sweep(folder: Path) -> list[str]:
    """Remove what dead writers left; call it only under the run's lock. Gives the names."""
    left = [p for p in folder.glob(".t*-*") if p.name.startswith((".tmp-", ".trash-"))] if folder.is_dir() else []
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return [p.name for p in left]


def _discard(path: Path) -> None:
    """Remove a checkpoint so that a kill in between leaves no half of it under its name."""
    trash = path.with_name(f".trash-{path.name}-{secrets.token_hex(4)}")
    path.rename(trash)
    shutil.rmtree(trash, ignore_errors=True)


def _numbers(name: str) -> tuple[int, int]:
    found = NAME.fullmatch(name)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _digest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 over what a manifest says, however it is spaced: a flipped bit in the list of checksums counts too."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()


def _mib(amount: float) -> str:
    return f"{amount / (1 << 20):.1f} MiB"
