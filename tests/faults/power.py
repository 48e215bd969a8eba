"""What a power cut may leave of a sequence of file operations, as far as POSIX promises anything.

A `Recorder` notes the operations that real code makes on a real folder. For a cut after any of them, `survivors` builds
trees that a disk may then hold: what was fsynced is there; of the rest any subset is, writes perhaps torn or as zeros,
names in a folder that was not fsynced perhaps missing or old. A rename is atomic but need not have happened. This is
the model of Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014; a kill cannot show any of it, because
the page cache outlives a process.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock


@dataclass(eq=False)
class Node:
    """A file or a folder, whatever its name is at the moment."""

    folder: bool
    entries: dict[str, Node] = field(default_factory=dict)


@dataclass(frozen=True)
class Op:
    """One operation. `kind`: write, cut, sync, link, rename, unlink, or mark (something was acknowledged)."""

    kind: str
    node: Node | None = None
    where: Node | None = None
    name: str = ""
    to_where: Node | None = None
    to_name: str = ""
    offset: int = 0
    data: bytes = b""
    mark: Any = None


_NAMES = ("open", "write", "fsync", "close", "ftruncate", "mkdir", "rename", "replace", "unlink", "remove", "rmdir")
_REAL = {name: getattr(os, name) for name in _NAMES}
_IO_OPEN = io.open


class Recorder:
    """Notes every file operation below `root` while it is entered. The operations are really done as well."""

    def __init__(self, root: Path) -> None:
        self.root_path = os.path.abspath(root)
        self.root = Node(folder=True)
        self.trace: list[Op] = []
        self._open: dict[int, tuple[Node, int]] = {}
        self._patches = contextlib.ExitStack()

    def mark(self, what: Any) -> None:
        """From here on `what` has been promised."""
        self.trace.append(Op("mark", mark=what))

    def __enter__(self) -> Recorder:
        patch = self._patches.enter_context
        for name in _REAL:
            patch(mock.patch.object(os, name, getattr(self, name)))
        patch(mock.patch.object(io, "open", self.io_open))
        return self

    def __exit__(self, *told: object) -> None:
        self._patches.close()

    def _find(self, path: Any, dir_fd: int | None = None) -> tuple[Node, str] | None:
        """The folder and the name that a path means; None when it is not below the root."""
        base = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else os.getcwd()
        whole = os.path.normpath(os.path.join(base, os.fspath(path)))
        if whole == self.root_path or not whole.startswith(self.root_path + os.sep):
            return None
        *parents, name = whole[len(self.root_path) + 1 :].split(os.sep)
        at = self.root
        for parent in parents:
            at = at.entries[parent]
        return at, name

    # ---- the operations, as `os` has them -----------------------------------------------------------------------

    def open(self, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        found = self._find(path, dir_fd)
        handle = _REAL["open"](path, flags, mode, dir_fd=dir_fd)
        if found is None:
            if os.path.normpath(os.path.abspath(os.fspath(path))) == self.root_path:
                self._open[handle] = (self.root, 0)
            return handle
        where, name = found
        node = where.entries.get(name)
        if node is None:
            node = where.entries[name] = Node(folder=False)
            self.trace.append(Op("link", node, where, name))
        if flags & os.O_TRUNC:
            self.trace.append(Op("cut", node, offset=0))
        at = os.fstat(handle).st_size if flags & os.O_APPEND else 0
        self._open[handle] = (node, at)
        return handle

    def write(self, handle: int, data: Any) -> int:
        count = _REAL["write"](handle, data)
        if handle in self._open:
            node, at = self._open[handle]
            self.trace.append(Op("write", node, offset=at, data=bytes(memoryview(data).cast("B")[:count])))
            self._open[handle] = (node, at + count)
        return count

    def fsync(self, handle: int) -> None:
        _REAL["fsync"](handle)
        if handle in self._open:
            self.trace.append(Op("sync", self._open[handle][0]))

    def close(self, handle: int) -> None:
        self._open.pop(handle, None)
        _REAL["close"](handle)

    def ftruncate(self, handle: int, size: int) -> None:
        _REAL["ftruncate"](handle, size)
        if handle in self._open:
            self.trace.append(Op("cut", self._open[handle][0], offset=size))

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        _REAL["mkdir"](path, mode, dir_fd=dir_fd)
        if (found := self._find(path, dir_fd)) is not None:
            where, name = found
            node = where.entries[name] = Node(folder=True)
            self.trace.append(Op("link", node, where, name))

    def rename(self, source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        old, new = self._find(source, src_dir_fd), self._find(target, dst_dir_fd)
        _REAL["replace"](source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        assert (old is None) == (new is None), "a rename across the edge of what is watched"
        if old is not None and new is not None:
            node = old[0].entries.pop(old[1])
            new[0].entries[new[1]] = node
            self.trace.append(Op("rename", node, old[0], old[1], new[0], new[1]))

    replace = rename

    def unlink(self, path: Any, *, dir_fd: int | None = None) -> None:
        _REAL["unlink"](path, dir_fd=dir_fd)
        self._forget(path, dir_fd)

    remove = unlink

    def rmdir(self, path: Any, *, dir_fd: int | None = None) -> None:
        _REAL["rmdir"](path, dir_fd=dir_fd)
        self._forget(path, dir_fd)

    def _forget(self, path: Any, dir_fd: int | None) -> None:
        if (found := self._find(path, dir_fd)) is not None:
            where, name = found
            self.trace.append(Op("unlink", where.entries.pop(name), where, name))

    def io_open(self, file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, *rest: Any) -> Any:
        """`open` for writing by way of `os`, so that it is noted; for reading as ever."""
        if isinstance(file, int) or not set(mode) & set("wax+") or self._find(file) is None:
            return _IO_OPEN(file, mode, buffering, encoding, *rest)
        assert "+" not in mode or mode.startswith("a"), mode
        flags = {"w": os.O_CREAT | os.O_TRUNC, "x": os.O_CREAT | os.O_EXCL, "a": os.O_CREAT | os.O_APPEND}[mode[0]]
        handle = self.open(file, flags | os.O_RDWR, 0o644)
        raw = _Raw(self, handle)
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, encoding=encoding or "utf-8")


class _Raw(io.RawIOBase):
    """An unbuffered file whose writes go through the recorder."""

    def __init__(self, recorder: Recorder, handle: int) -> None:
        self.recorder, self.handle = recorder, handle

    def fileno(self) -> int:
        return self.handle

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return os.lseek(self.handle, offset, whence)

    def readinto(self, buffer: Any) -> int:
        data = os.read(self.handle, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data: Any) -> int:
        return self.recorder.write(self.handle, data)

    def truncate(self, size: int | None = None) -> int:
        size = os.lseek(self.handle, 0, os.SEEK_CUR) if size is None else size
        self.recorder.ftruncate(self.handle, size)
        return size

    def close(self) -> None:
        if not self.closed:
            super().close()
            self.recorder.close(self.handle)


# ---- after the cut ---------------------------------------------------------------------------------------------------

Tree = dict[str, Any]
"""name -> bytes of a file, or the Tree of a folder."""


def promised(trace: list[Op], end: int) -> list[Any]:
    """What had been acknowledged before operation `end`."""
    return [op.mark for op in trace[:end] if op.kind == "mark"]


def survivor(recorder: Recorder, end: int, chance: random.Random) -> Tree:
    """One tree that may be on the disk when the power goes just before operation `end`."""
    trace = recorder.trace[:end]
    style = chance.choice(("subset", "names in order", "nothing more", "all names, no data"))
    last_sync: dict[int, int] = {id(op.node): i for i, op in enumerate(trace) if op.kind == "sync"}

    def synced(node: Node | None, i: int) -> bool:
        return last_sync.get(id(node), -1) > i

    cut_of_names = chance.randrange(end + 1)
    contents: dict[int, bytearray] = {}
    names: dict[int, dict[str, Node]] = {}
    for i, op in enumerate(trace):
        if op.kind in ("write", "cut"):
            held = contents.setdefault(id(op.node), bytearray())
            data = op.data
            if not synced(op.node, i):
                fate = chance.random()
                if style in ("nothing more", "all names, no data") or fate < 0.3:
                    continue
                if fate < 0.45:
                    data = data[: chance.randrange(len(data) + 1)]  # torn
                elif fate < 0.6:
                    data = bytes(len(data))  # the length was noted, the blocks were not written
            if op.kind == "cut":
                del held[op.offset :]
            else:
                held.extend(bytes(max(0, op.offset - len(held))))
                held[op.offset : op.offset + len(data)] = data
        elif op.kind in ("link", "unlink", "rename"):
            durable = synced(op.where, i) and (op.to_where is None or synced(op.to_where, i))
            if not durable:
                if style == "nothing more" or (style == "names in order" and i >= cut_of_names):
                    continue
                if style == "subset" and chance.random() < 0.5:
                    continue
            here = names.setdefault(id(op.where), {})
            if op.kind == "link":
                here[op.name] = op.node  # type: ignore[assignment]
            else:
                if here.get(op.name) is op.node:
                    del here[op.name]
                if op.kind == "rename":
                    names.setdefault(id(op.to_where), {})[op.to_name] = op.node  # type: ignore[assignment]

    def tree(node: Node) -> Any:
        if not node.folder:
            return bytes(contents.get(id(node), b""))
        return {name: tree(inside) for name, inside in names.get(id(node), {}).items()}

    return tree(recorder.root)


def survivors(recorder: Recorder, count: int, seed: int) -> Iterator[tuple[int, Tree]]:
    """`count` pairs (operation before which the power went, a tree that may be left), spread over all operations."""
    chance = random.Random(seed)
    ends = len(recorder.trace) + 1
    for i in range(count):
        end = i % ends
        yield end, survivor(recorder, end, chance)


def lay_out(tree: Tree, folder: Path) -> None:
    """Writes a tree to a real folder, which must be empty."""
    for name, inside in tree.items():
        if isinstance(inside, dict):
            (folder / name).mkdir()
            lay_out(inside, folder / name)
        else:
            (folder / name).write_bytes(inside)
