"""Archives: zip and tar, listed by our own rules and read in place; nothing is ever extracted.

Only regular files count, under relative names without `..`; links, devices and the like are left out and counted. What
claims more than the limits (a bomb) is refused before anything of it is read. `ArchiveTree` is the folder that an
archive would unpack to: the layouts read it as they read one on the disk.
"""

from __future__ import annotations

import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, final

import numpy as np
from numpy.typing import NDArray

from eyas.data import places
from eyas.data.layouts.compressed import PACKED, unpacked
from eyas.data.layouts.members import LIMITS, Limits, Members, refuse, safe_name, size
from eyas.data.layouts.names import is_hidden, is_image, is_text, listing, natural
from eyas.data.layouts.scan import Folder, Seen, sort_tree
from eyas.data.layouts.tars import BLOCK, is_header, read_tar
from eyas.data.layouts.tree import Listing, Tree
from eyas.data.layouts.zips import read_zip
from eyas.data.samples import DEFLATE, ContainerSource
from eyas.errors import DataError
from eyas.errors.messages import say
from eyas.machine import cache_dir

ARCHIVE_ENDS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz")


@final
@dataclass(frozen=True, eq=False)
class Archive:
    """The regular files of one archive: `names` as in it, unique; `at` int64 (n, 4) kind, offset, packed size, size."""

    path: Path
    """What the person named."""
    file: Path
    """Where the bytes are: the same, or the unpacked tar in the cache."""
    stat: tuple[int, int, int]
    names: list[str]
    at: NDArray[np.int64]


def is_archive(name: str) -> bool:
    """Whether a file is named like an archive that is read.

    >>> is_archive("Photos.TAR.GZ"), is_archive("train-images-idx3-ubyte.gz")
    (True, False)
    """
    return name.lower().endswith(ARCHIVE_ENDS)


def stem(name: str) -> str:
    """The name without what says that it is an archive.

    >>> stem("train.tar.gz")
    'train'
    """
    end = max((end for end in ARCHIVE_ENDS if name.lower().endswith(end)), key=len, default="")
    return name[: len(name) - len(end)]


def open_archive(path: Path, seen: Seen, *, cache: Path | None = None, limits: Limits = LIMITS) -> Archive:
    """The files in an archive. Raises EY-D074 (damaged), EY-D075 (encrypted), EY-D076 (limits), EY-D077 (method)."""
    with path.open("rb") as file:
        head = file.read(BLOCK)
        packing = next((kind for magic, kind in PACKED.items() if head.startswith(magic)), None)
        if packing is not None:
            inner = unpacked(path, file, packing, cache_dir() if cache is None else cache, limits)
            seen.note(say("archive_unpacked", name=path.name, path=inner))
            with inner.open("rb") as tar:
                return _finish(path, inner, tar, read_tar, seen, limits)
        if len(head) == BLOCK and (is_header(head) or not any(head)):  # first: its last member may be a zip
            return _finish(path, path, file, read_tar, seen, limits)
        if zipfile.is_zipfile(file):
            return _finish(path, path, file, read_zip, seen, limits)
    cut = path.name.lower().endswith(".zip") and head.startswith(b"PK\3\4")
    raise DataError("EY-D074", path=path, reason=say("archive_cut" if cut else "archive_kind"))


_Reader = Callable[[Path, IO[bytes], int, Seen, Limits], Members]


def _finish(path: Path, file: Path, handle: IO[bytes], read: _Reader, seen: Seen, limits: Limits) -> Archive:
    now = os.fstat(handle.fileno())
    try:
        found = read(path, handle, now.st_size, seen, limits)
    except (zipfile.BadZipFile, tarfile.TarError, struct.error, EOFError, NotImplementedError, RecursionError) as error:
        raise DataError("EY-D074", path=path, reason=str(error) or type(error).__name__) from error
    if found.encrypted:
        raise DataError("EY-D075", path=path, n=len(found.encrypted), examples=listing(found.encrypted, most=3))
    for method, names in found.strange.items():
        raise DataError("EY-D077", path=path, got=method, n=len(names), examples=listing(names, most=3))
    at = np.array(found.numbers, np.int64).reshape(-1, 4)
    total = int(at[:, 3].astype(np.float64).sum())
    if total > limits.total_bytes:
        refuse(path, say("archive_all"), size(total), size(limits.total_bytes))
    if total > limits.small_bytes and total > limits.ratio * now.st_size:  # members that share the same bytes
        refuse(path, say("archive_ratio", name=path.name), f"{total // max(1, now.st_size)}:1", f"{limits.ratio}:1")
    rows: dict[str, int] = {}
    twice: list[str] = []
    for row, name in enumerate(found.names):
        safe = safe_name(name)
        if safe is None:
            seen.leave_out("unsafe", name[:200])
        elif not is_text(safe):
            seen.leave_out("encoding", safe.encode("utf-8", "replace").decode())
        else:
            if safe in rows:
                twice.append(safe)
            rows[safe] = row
    if twice:
        seen.note(say("archive_twice", n=len(twice), examples=listing(twice, most=3)))
    kept = np.fromiter(rows.values(), np.int64, len(rows))
    return Archive(path, file, (now.st_size, now.st_mtime_ns, now.st_ino), list(rows), at[kept])


# ---- the tree -------------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, eq=False)
class _Index:
    """What several archives hold, as one tree of names."""

    archives: tuple[Archive, ...]
    rows: dict[str, int]
    at: NDArray[np.int64]
    """int64 (n, 5), as `ContainerSource.at`."""
    folders: dict[str, Listing]


@final
class ArchiveTree(Tree):
    """The folder that an archive would unpack to; or several archives as folders beside one another."""

    def __init__(self, where: Path, index: _Index, prefix: str = "") -> None:
        super().__init__(where)
        self.index = index
        self.prefix = prefix
        """Of the names of this tree, with its slash."""

    def listing(self, folder: str = "") -> Listing:
        """Made when the archive was listed."""
        return self.index.folders.get((self.prefix + folder).rstrip("/"), Listing())

    def below(self, folder: str) -> ArchiveTree:
        """The same archive with a longer prefix."""
        return ArchiveTree(self.where / folder, self.index, f"{self.prefix}{folder}/")

    def read(self, name: str, *, most: int | None = None) -> bytes:
        """Through the same places as images; never more than a member may have."""
        row = self.index.rows[self.prefix + name]
        unpacked = int(self.index.at[row, 4 if self.index.at[row, 1] == DEFLATE else 3])
        if unpacked > LIMITS.member_bytes:
            refuse(self.where, say("archive_bytes", name=listing([name])), size(unpacked), size(LIMITS.member_bytes))
        source = self._source([self.prefix + name])
        place = source.place(0)
        assert not isinstance(place, str)
        if most is not None:
            place[-1] = min(place[-1], most)
        size_, mtime, inode = source.stats[source.at[0, 0]].tolist()
        try:
            return places.read(place, (size_, mtime, inode))
        except places.Changed as error:
            raise DataError("EY-D141", path=self.where) from error

    def scan(self, seen: Seen, *, exclude: frozenset[str] = frozenset()) -> Folder:
        """From the names."""
        top = Folder("")
        known = {"": top}
        for whole in self.index.rows:
            if not whole.startswith(self.prefix):
                continue
            name = whole[len(self.prefix) :]
            folder, _, last = name.rpartition("/")
            if any(map(is_hidden, name.split("/"))):
                seen.leave_out("hidden", name)
            elif is_image(last):
                _folder(known, folder).images.append(last)
            else:
                seen.leave_out("not_image", name)
        for folder in self.index.folders:  # folders without images are said to be such
            if folder.startswith(self.prefix) and folder != self.prefix.rstrip("/"):
                _folder(known, folder[len(self.prefix) :])
        sort_tree(top)
        return top

    def named(self, folder: str) -> tuple[set[str], int]:
        """Upwards as far as the archive goes."""
        path = _resolved(self.prefix + folder)
        return (set() if path is None else set(self.index.folders.get(path, Listing()).files)), 0

    def source(self, names: Sequence[str]) -> ContainerSource:
        """Named as in the archive."""
        return self._source([_resolved(self.prefix + name) or "" for name in names])

    def _source(self, names: Sequence[str]) -> ContainerSource:
        rows = np.fromiter((self.index.rows[name] for name in names), np.int64, len(names))
        files = tuple(archive.file for archive in self.index.archives)
        stats = np.array([archive.stat for archive in self.index.archives], np.int64).reshape(-1, 3)
        return ContainerSource(files, stats, tuple(names), self.index.at[rows])


def _resolved(name: str) -> str | None:
    """`a/../b/c` as `b/c`; None when it leads out of the archive."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return None if name.startswith("/") else "/".join(parts)


def _folder(known: dict[str, Folder], name: str) -> Folder:
    """The folder of this name, made with all above it when it is new."""
    missing: list[str] = []
    while name not in known:
        missing.append(name)
        name = name.rpartition("/")[0]
    for new in reversed(missing):
        known[new] = Folder(new)
        known[name].folders.append(known[new])
        name = new
    return known[name]


def tree_of(where: Path, archives: Sequence[tuple[str, Archive]]) -> ArchiveTree:
    """The tree of some archives, each below its folder (empty: at the top)."""
    rows: dict[str, int] = {}
    columns: list[NDArray[np.int64]] = []
    base = 0
    for number, (folder, archive) in enumerate(archives):
        prefix = f"{folder}/" if folder else ""
        # train.zip that holds nothing but train/: one folder is enough
        drop = f"{folder}/" if folder and all(name.startswith(f"{folder}/") for name in archive.names) else ""
        for row, name in enumerate(archive.names):
            rows[prefix + name[len(drop) :]] = base + row
        at = np.zeros((len(archive.names), 5), np.int64)
        at[:, 0] = number
        at[:, 1:4] = archive.at[:, :3]
        at[:, 4] = np.where(archive.at[:, 0] == DEFLATE, archive.at[:, 3], 0)
        columns.append(at)
        base += len(at)
    folders: dict[str, Listing] = {"": Listing()}
    for name in rows:
        folder, _, last = name.rpartition("/")
        if not any(map(is_hidden, name.split("/"))):
            _listed(folders, folder).files.append(last)
    for found in folders.values():
        found.files.sort(key=natural)
        found.folders.sort(key=natural)
    at = np.concatenate(columns) if columns else np.zeros((0, 5), np.int64)
    return ArchiveTree(where, _Index(tuple(archive for _, archive in archives), rows, at, folders))


def _listed(folders: dict[str, Listing], name: str) -> Listing:
    """The listing of a folder, entered in those above it when it is new."""
    missing: list[str] = []
    while name not in folders:
        missing.append(name)
        name = name.rpartition("/")[0]
    for new in reversed(missing):
        folders[new] = Listing()
        folders[name].folders.append(new.rpartition("/")[2])
        name = new
    return folders[name]
