"""`find`: from whatever a person points at to Samples. First match wins, and what was recognised is said.

a known name      fashion-sample, fashion-mnist, cifar10
a table           CSV, TSV, JSON Lines: path and label, perhaps split, group, weight
IDX files         train-images-idx3-ubyte[.gz] and its companions
an .npz           x_train, y_train, x_test, y_test; images, labels; …
a folder          with one of the above in it; of split folders; of class folders; flat, with `--label-from`
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from eyas.data import known
from eyas.data.layouts.arrays import find_idx, is_idx, read_idx_set, read_npz
from eyas.data.layouts.assemble import join, match, take
from eyas.data.layouts.folders import compile_label, read_folder, refuse_unreadable
from eyas.data.layouts.names import (
    PICKLE_SUFFIXES,
    is_hidden,
    is_image,
    listing,
    natural,
    nearest,
    split_of,
    suffix,
)
from eyas.data.layouts.scan import Seen
from eyas.data.layouts.table import TABLE_SUFFIXES, read_table, understands
from eyas.data.samples import Samples, Split
from eyas.data.split import parse_part
from eyas.errors import DataError
from eyas.errors.messages import printable, say

__all__ = ["find", "look", "match"]


def find(
    data: str | Path,
    *,
    label_from: str | None = None,
    val: str | None = None,
    test: str | None = None,
    columns: Mapping[str, str] | None = None,
    download: bool = False,
) -> Samples:
    """Samples of `data`, fit to train on: at least two classes, and none in val or test that train lacks.

    `val` and `test`: a path here adds its samples as that split, matched to the classes by name; `none` and fractions
    are for `data.split.assign`. `columns` names a table's columns by role, `label_from` is a regular expression with
    one group or `parent`. Every problem is a DataError that says what to do (EY-D001 to EY-D073).

    >>> samples = find("fashion-sample")
    >>> len(samples), samples.classes[0]
    (12000, 'T-shirt/top')
    """
    outside = {
        split: Path(part)
        for split, part in ((Split.VAL, parse_part(val, "val")), (Split.TEST, parse_part(test, "test")))
        if isinstance(part, Path)
    }
    for split, path in outside.items():
        if not os.path.exists(path):
            raise _missing(path, split.name.lower())
    apart = frozenset(os.path.realpath(path) for path in outside.values())
    samples = look(data, label_from=label_from, columns=columns, download=download, exclude=apart)
    for split, path in outside.items():
        what = split.name.lower()
        if (samples.splits == split).any():
            n = int((samples.splits == split).sum())
            raise DataError("EY-D061", what=what, n=n, path=path)
        more = _elsewhere(path, label_from, columns)
        declared = more.rows(split)
        if len(declared) and len(declared) < len(more):
            more = take(more, declared)
            more = replace(more, notes=(*more.notes, say("only_declared", what=what, n=len(declared))))
        samples = join(samples, more, split, what=what)
    _fit_to_train(samples, data)
    return samples


def look(
    data: str | Path,
    *,
    label_from: str | None = None,
    columns: Mapping[str, str] | None = None,
    download: bool = False,
    exclude: frozenset[str] = frozenset(),
) -> Samples:
    """What is there, whether or not one could train on it: for scoring, one class or a test split alone will do."""
    if label_from is not None and label_from != "parent":
        compile_label(label_from)
    if isinstance(data, str) and data in known.NAMES:
        return _known(data, download=download)
    if isinstance(data, str) and "://" in data:
        raise DataError("EY-D009", path=data, kind=data.partition("://")[0] + "://")
    path = Path(os.path.abspath(os.path.expanduser(data)))
    if not os.path.exists(path) or not str(data).strip():  # Path.exists raises for names that are too long
        raise _missing(Path(data), None)
    seen = Seen()
    try:
        if path.is_dir():
            found = _folder(path, seen, label_from, columns, exclude)
        else:
            found = _file(path, seen, columns)
            if label_from is not None:
                seen.note(say("label_from_unused"))
    except OSError as error:
        raise DataError("EY-D014", path=error.filename or path, reason=error.strerror or error) from error
    return replace(found, layout=printable(found.layout), notes=(*found.notes, *seen.notes()))


def _elsewhere(path: Path, label_from: str | None, columns: Mapping[str, str] | None) -> Samples:
    """The samples of another val or test: named like the training images, or in class folders when names do not fit."""
    try:
        return look(path, label_from=label_from, columns=columns)
    except DataError as error:
        if error.code != "EY-D013":
            raise
        return look(path, columns=columns)


def _known(name: str, *, download: bool) -> Samples:
    note = (say("known_shadows", name=name),) if Path(name).exists() else ()
    if name == "fashion-sample":
        found = known.fashion_sample()
    elif name == "fashion-mnist":
        found = known.fashion_mnist(download=download)
    else:
        found = look(known.cifar10_folder())
        note = (*note, say("known_at", name=name, path=found.root))
    return replace(found, notes=(*note, *found.notes))


def _file(path: Path, seen: Seen, columns: Mapping[str, str] | None) -> Samples:
    kind = suffix(path.name)
    if kind in TABLE_SUFFIXES:
        return read_table(path, seen, columns=columns)
    if is_idx(path.name):
        found = find_idx(path.parent, of=path.name)
        assert found is not None, path
        return read_idx_set(found, seen)
    if kind == ".npz":
        return read_npz(path, seen)
    if kind in PICKLE_SUFFIXES or _is_pickle(path):
        raise DataError("EY-D008", path=path.parent, name=path.name)
    if is_image(path.name):
        raise DataError("EY-D010", path=path, folder=path.parent)
    raise DataError("EY-D009", path=path, kind=kind or path.name)


def _folder(
    path: Path, seen: Seen, label_from: str | None, columns: Mapping[str, str] | None, exclude: frozenset[str]
) -> Samples:
    files = sorted((e.name for e in os.scandir(path) if not is_hidden(e.name) and e.is_file()), key=natural)
    if label_from is None:
        refuse_unreadable(path)
        for folder in (path, path / "raw"):  # torchvision keeps the files in raw/
            if folder.is_dir() and (idx := find_idx(folder)) is not None:
                return read_idx_set(idx, seen)
        tables = [name for name in files if suffix(name) in TABLE_SUFFIXES]
        if tables and (found := _tables(path, tables, seen, columns)) is not None:
            return found
        arrays = [name for name in files if suffix(name) == ".npz"]
        if len(arrays) == 1 and not any(is_image(name) for name in files) and not _has_folders(path):
            return read_npz(path / arrays[0], seen)
    return read_folder(path, seen, label_from=label_from, exclude=exclude)


def _tables(path: Path, tables: list[str], seen: Seen, columns: Mapping[str, str] | None) -> Samples | None:
    """The samples that the tables in a folder list, or None when its folders say more than they do.

    `metadata.csv` first, then tables named after splits, then the only one. A table that lists no files beside class
    folders is a note; one beside loose images must be right, so its error is shown.
    """
    named = [name for name in tables if name.rpartition(".")[0].lower() == "metadata"]
    by_split = {name: split for name in tables if (split := split_of(name.rpartition(".")[0])) is not None}
    if len(named) == 1:
        return read_table(path / named[0], seen, columns=columns)
    if by_split and Split.TRAIN in by_split.values() and all(understands(path / name) for name in by_split):
        return _split_tables(path, by_split, seen, columns)
    usable = [name for name in tables if columns or understands(path / name)]
    if len(usable) == 1:
        others = [name for name in tables if name not in usable]
        if others:
            seen.note(say("tables_ignored", names=listing(others)))
        return read_table(path / usable[0], seen, columns=columns)
    if len(usable) > 1:
        raise DataError("EY-D028", path=path, names=listing(usable, most=10))
    if len(tables) == 1 and not _has_folders(path):
        return read_table(path / tables[0], seen, columns=columns)
    seen.note(say("tables_ignored", names=listing(tables)))
    return None


def _split_tables(path: Path, by_split: dict[str, Split], seen: Seen, columns: Mapping[str, str] | None) -> Samples:
    """train.csv, val.csv, test.csv: one table a split."""
    samples: Samples | None = None
    for name, split in sorted(by_split.items(), key=lambda pair: pair[1]):
        part = read_table(path / name, seen, columns=columns, whole=split)
        samples = part if samples is None else join(samples, part, split, what=name)
    assert samples is not None
    return samples


def _fit_to_train(samples: Samples, data: str | Path) -> None:
    """Raises EY-D004 for a single class and EY-D005 for a class that only val or test have."""
    train = samples.counts(samples.rows(Split.NONE, Split.TRAIN))
    for split in (Split.VAL, Split.TEST):
        alone = np.flatnonzero((samples.counts(samples.rows(split)) > 0) & (train == 0))
        if len(alone) and train.any():
            name = samples.classes[alone[0]]
            others = [c for c, n in zip(samples.classes, train, strict=True) if n]
            near = nearest(name, others)
            raise DataError(
                "EY-D005",
                name=name,
                what=split.name.lower(),
                near=near[0] if near else "-",
                classes=listing(others, most=20),
            )
    there = np.flatnonzero(samples.counts() > 0)
    if len(there) < 2:
        raise DataError("EY-D004", path=data, name=samples.classes[there[0]], n=len(samples), layout=samples.layout)


def _missing(path: Path, what: str | None) -> DataError:
    """The error for a path that does not exist, with names beside it that are nearly the same."""
    whole = Path(os.path.abspath(os.path.expanduser(path)))
    folder = whole.parent
    try:
        beside = [e.name for e in os.scandir(folder) if not is_hidden(e.name)]
    except OSError:
        beside = []
    names = [str(path.parent / name) for name in nearest(path.name, beside, n=3)]
    if str(path.parent) == "." and what is None:
        names += nearest(path.name, known.NAMES, n=1)
    if names:
        return DataError("EY-D002", path=path, near=listing(names))
    return DataError("EY-D001", path=path)


def _has_folders(path: Path) -> bool:
    with os.scandir(path) as entries:
        return any(entry.is_dir() and not is_hidden(entry.name) for entry in entries)


def _is_pickle(path: Path) -> bool:
    """Whether a file begins like a pickle of protocol 2 or later."""
    with path.open("rb") as file:
        head = file.read(2)
    return len(head) == 2 and head[0] == 0x80 and 2 <= head[1] <= 5
