"""Tree: a folder as the layouts see it, on the disk or inside an archive: one set of recognisers reads both.

Names are relative to the tree, with `/` between folders. Nothing that a tree lists leads out of it.
"""

from __future__ import annotations

import os
import posixpath
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from eyas.data.layouts.names import is_hidden, is_text, natural
from eyas.data.layouts.scan import Folder, Seen, is_below, scan
from eyas.data.samples import ByteSource, FileSource


@final
@dataclass(frozen=True)
class Listing:
    """What lies directly in one folder and is not hidden, in natural order; links that lead out are apart."""

    files: list[str] = field(default_factory=lambda: [])
    folders: list[str] = field(default_factory=lambda: [])
    outside: list[str] = field(default_factory=lambda: [])


class Tree(ABC):
    """Names, the bytes of small files beside images, and a source for the images."""

    def __init__(self, where: Path) -> None:
        self.where = where
        """What it is called in messages, and where it is if it is on the disk."""

    def path(self, name: str) -> Path:
        """What one file is called in messages."""
        return self.where / name

    @abstractmethod
    def listing(self, folder: str = "") -> Listing:
        """What lies in one folder; nothing for one that is not there. OSError when it cannot be read."""

    @abstractmethod
    def below(self, folder: str) -> Tree:
        """The tree that begins at a folder."""

    @abstractmethod
    def read(self, name: str, *, most: int | None = None) -> bytes:
        """The bytes of one file, or its first `most`; OSError when they cannot be read."""

    @abstractmethod
    def scan(self, seen: Seen, *, exclude: frozenset[str] = frozenset()) -> Folder:
        """All images below; `exclude` are real paths to stay out of."""

    @abstractmethod
    def named(self, folder: str) -> tuple[set[str], int]:
        """All regular files in a folder that a table may name (absolute or upwards too), and how many led out."""

    @abstractmethod
    def source(self, names: Sequence[str]) -> ByteSource:
        """The images of these names."""


@final
class DiskTree(Tree):
    """A real folder. Links are followed inside it and never out of it."""

    def __init__(self, where: Path) -> None:
        super().__init__(where)
        self._real = os.path.realpath(where)
        self._listed: dict[str, Listing] = {}

    def listing(self, folder: str = "") -> Listing:
        """Read once."""
        if folder not in self._listed:
            found = Listing()
            with os.scandir(self.where / folder) as entries:
                for entry in entries:
                    if is_hidden(entry.name):
                        continue
                    if entry.is_symlink() and not is_below(os.path.realpath(entry.path), self._real):
                        found.outside.append(entry.name)
                    elif entry.is_dir():
                        found.folders.append(entry.name)
                    elif entry.is_file():
                        found.files.append(entry.name)
            for names in (found.files, found.folders, found.outside):
                names.sort(key=natural)
            self._listed[folder] = found
        return self._listed[folder]

    def below(self, folder: str) -> DiskTree:
        """Another root."""
        return DiskTree(self.where / folder)

    def read(self, name: str, *, most: int | None = None) -> bytes:
        """Of the file on the disk."""
        with self.path(name).open("rb") as file:
            return file.read() if most is None else file.read(most)

    def scan(self, seen: Seen, *, exclude: frozenset[str] = frozenset()) -> Folder:
        """By `layouts.scan`."""
        return scan(self.where, seen, exclude=exclude)

    def named(self, folder: str) -> tuple[set[str], int]:
        """A linked folder that leads out, while its name does not say so, holds nothing."""
        names: set[str] = set()
        outside = 0
        where = os.path.join(self.where, folder)
        inside = is_below(os.path.realpath(where), self._real)
        if not inside and not posixpath.isabs(folder) and not folder.startswith(".."):
            return names, outside
        try:
            with os.scandir(where) as entries:
                for entry in entries:
                    if entry.is_symlink() and inside and not is_below(os.path.realpath(entry.path), self._real):
                        outside += 1
                    elif entry.is_file():
                        names.add(entry.name)
        except (OSError, ValueError):
            pass
        return names, outside

    def source(self, names: Sequence[str]) -> FileSource:
        """Files below one root: this folder, or the common one when some lie outside it."""
        if not any(name.startswith(("/", "..")) or os.path.isabs(name) for name in names):
            return FileSource(self.where, tuple(names))
        whole = [os.path.normpath(os.path.join(self.where, name)) for name in names]
        try:
            root = Path(os.path.commonpath([*(os.path.dirname(name) for name in whole), self.where]))
        except ValueError:  # two drives of Windows have nothing in common
            return FileSource(self.where, tuple(Path(name).as_posix() for name in whole))
        return FileSource(root, tuple(Path(os.path.relpath(name, root)).as_posix() for name in whole))


def is_file(tree: Tree, name: str) -> bool:
    """Whether a tree lists this regular file."""
    folder, _, last = name.rpartition("/")
    return is_text(name) and last in tree.listing(folder).files
