"""Samples: what there is, nothing decoded. Columns, not objects: 1.2 million of them stay under 1 GB.

A `Source` says where the bytes are; `Samples` adds the labels, the one ordered list of class names, and which split a
sample was declared for. Everything later (pack, stream, scores) refers to a sample by its row number here.
"""

from __future__ import annotations

import bisect
import enum
import errno
import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from eyas.data import places
from eyas.data.places import Place


class Split(enum.IntEnum):
    """Which part a sample belongs to; `NONE` = not declared by the data, to be decided by `data.split`.

    `HOLDOUT` is kept out for good: neither trained on nor scored, until somebody asks for it.
    """

    NONE = 0
    TRAIN = 1
    VAL = 2
    TEST = 3
    HOLDOUT = 4


class Source(ABC):
    """Where the bytes of samples are. Either files of an image format, or raw pixels."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def name(self, row: int) -> str:
        """A stable name of one sample, `/`-separated and relative; what tables, CSVs and reports show."""

    @abstractmethod
    def stat(self) -> NDArray[np.int64]:
        """int64 (n, 3): size in bytes, mtime in ns and inode of the file that each sample is in.

        It says whether a cache still holds.
        """


class ByteSource(Source):
    """A source of image files, wherever their bytes lie."""

    @abstractmethod
    def place(self, row: int) -> Place:
        """Where the bytes of one sample are, as something that a worker can be told."""

    def read(self, row: int) -> bytes:
        """The bytes of one image file, undecoded; OSError when they cannot be read."""
        return places.read(self.place(row))


@final
@dataclass(frozen=True)
class FileSource(ByteSource):
    """Image files below `root`; `names` are relative POSIX paths."""

    root: Path
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def name(self, row: int) -> str:
        """The relative path."""
        return self.names[row]

    def path(self, row: int) -> Path:
        """The file of one sample."""
        return self.root / self.names[row]

    def place(self, row: int) -> Place:
        """The same as text."""
        return f"{self.root}{os.sep}{self.names[row]}"

    def stat(self) -> NDArray[np.int64]:
        """Of the files; zeros for one that cannot be asked."""
        out = np.zeros((len(self.names), 3), np.int64)
        root = f"{self.root}{os.sep}"
        for row, name in enumerate(self.names):
            try:
                found = os.stat(root + name)
            except (OSError, ValueError):
                continue  # an unreadable file is found, coded and set aside when it is packed
            out[row] = (found.st_size, found.st_mtime_ns, found.st_ino)
        return out


#: how the bytes of one image lie in its container: column `kind` of `ContainerSource.at`
SPAN, DEFLATE, CELL = 0, 1, 2


@final
@dataclass(frozen=True, eq=False)
class ContainerSource(ByteSource):
    """Image files that lie inside bigger files: archives, shards, Parquet. Nothing is unpacked: they are read in place.

    `at` int64 (n, 5), a row for each image: number of its file, kind, and three numbers: for `SPAN` offset, size, 0;
    for `DEFLATE` offset, packed size, size; for `CELL` row group, row in it, 0. The files must stay as they were when
    they were listed, or the numbers mean nothing: `stat` says what they were.
    """

    files: tuple[Path, ...]
    stats: NDArray[np.int64]
    """int64 (files, 3): size, mtime in ns and inode of each file when it was listed."""
    names: tuple[str, ...]
    at: NDArray[np.int64]
    columns: tuple[str, ...] = ()
    """For `CELL`: the column of the images in each file."""

    def __post_init__(self) -> None:
        assert len(self.names) == len(self.at)
        assert len(self.files) == len(self.stats)

    def __len__(self) -> int:
        return len(self.names)

    def name(self, row: int) -> str:
        """The path inside the container, with the container's name before it when there are several."""
        return self.names[row]

    def place(self, row: int) -> Place:
        """Where in its file."""
        number, kind, first, second, third = self.at[row].tolist()
        file = str(self.files[number])
        if kind == SPAN:
            return ["span", file, first, second]
        if kind == DEFLATE:
            return ["deflate", file, first, second, third]
        return ["parquet", file, self.columns[number], first, second]

    def stat(self) -> NDArray[np.int64]:
        """Of the file that each image lies in, when it was listed."""
        return self.stats[self.at[:, 0]]

    def read(self, row: int) -> bytes:
        """The bytes; OSError ESTALE when the file is not the one that was listed."""
        size, mtime, inode = self.stats[self.at[row, 0]].tolist()
        try:
            return places.read(self.place(row), (size, mtime, inode))
        except places.Changed as error:
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(error)) from error


@final
@dataclass(frozen=True)
class JoinedSource(ByteSource):
    """Several sources after one another; `prefixes` go before the names of each, so that no two are the same."""

    parts: tuple[ByteSource, ...]
    prefixes: tuple[str, ...]
    starts: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", (0, *itertools.accumulate(map(len, self.parts))))

    def __len__(self) -> int:
        return self.starts[-1]

    def _part(self, row: int) -> tuple[int, int]:
        number = bisect.bisect_right(self.starts, row) - 1
        return number, row - self.starts[number]

    def name(self, row: int) -> str:
        """Prefix and name."""
        number, inner = self._part(row)
        return self.prefixes[number] + self.parts[number].name(inner)

    def place(self, row: int) -> Place:
        """Of its part."""
        number, inner = self._part(row)
        return self.parts[number].place(inner)

    def stat(self) -> NDArray[np.int64]:
        """Of all parts."""
        return np.concatenate([part.stat() for part in self.parts])

    def read(self, row: int) -> bytes:
        """By its part."""
        number, inner = self._part(row)
        return self.parts[number].read(inner)


@final
@dataclass(frozen=True)
class ArraySource(Source):
    """Raw uint8 pixels in memory (IDX, npz): `images` is (n, h, w) or (n, h, w, c) with c 1 or 3."""

    images: NDArray[np.uint8]
    identity: str
    """What the pixels are, as a hash of the files they came from."""

    def __len__(self) -> int:
        return len(self.images)

    def name(self, row: int) -> str:
        """The number."""
        return f"{row:06d}"

    def stat(self) -> NDArray[np.int64]:
        """Zeros: `identity` says what the pixels are."""
        return np.zeros((len(self.images), 3), np.int64)


@dataclass(frozen=True)
class Samples:
    """Every sample with its label: the value that `data.source.find` returns.

    `labels` int32 (n,) index into `classes`; `splits` uint8 (n,) of `Split`; `groups` int64 (n,) or None: samples of
    one group must stay on one side of a split; `weights` float32 (n,) or None.
    """

    source: Source
    classes: tuple[str, ...]
    labels: NDArray[np.int32]
    splits: NDArray[np.uint8]
    layout: str
    """What was recognised, for people: "class folders", "CSV labels (path, label)"…"""
    root: Path | None = None
    groups: NDArray[np.int64] | None = None
    weights: NDArray[np.float32] | None = None
    notes: tuple[str, ...] = field(default=())
    """What was noticed while looking (ignored files, guessed columns), one sentence each."""
    unlabelled: tuple[str, ...] = ()
    """Images that are there and have no label (E09): none of the rows."""
    left_out: tuple[tuple[str, int, tuple[str, ...]], ...] = ()
    """What else was passed over: (why, how many, the first names); `why` as in the phrases `left_out_<why>`."""

    def __post_init__(self) -> None:
        assert len(self.labels) == len(self.splits) == len(self.source)

    def __len__(self) -> int:
        return len(self.labels)

    def rows(self, *splits: Split) -> NDArray[np.int64]:
        """Row numbers of the samples in any of `splits`, ascending."""
        return np.flatnonzero(np.isin(self.splits, [int(s) for s in splits]))

    def counts(self, rows: Sequence[int] | NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """int64 (classes,): how many samples each class has (among `rows`)."""
        labels = self.labels if rows is None else self.labels[rows]
        return np.bincount(labels, minlength=len(self.classes))

    def with_splits(self, splits: NDArray[np.uint8]) -> Samples:
        """The same samples, assigned."""
        return replace(self, splits=splits)
