"""`find`: from whatever a person points at to Samples. First match wins, and what was recognised is said.

a known name      fashion-sample, fashion-mnist, cifar10
a table           CSV, TSV, JSON Lines: path and label, perhaps split, group, weight
IDX files         train-images-idx3-ubyte[.gz] and its companions
an .npz           x_train, y_train, x_test, y_test; images, labels; …
Parquet           a column of image bytes, a column of labels, as Hugging Face writes them
tar shards        WebDataset: key.jpg beside key.cls, key.txt or key.json; also shards-{000..009}.tar
an archive        zip, tar, tar.gz, tar.bz2, tar.xz: as the folder that it would unpack to, without unpacking
a folder          with one of the above in it; of split folders; of class folders; flat, with `--label-from`
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eyas.data import known
from eyas.data.layouts.archive import is_archive, open_archive, stem, tree_of
from eyas.data.layouts.arrays import find_idx, is_idx, read_idx_set, read_npz
from eyas.data.layouts.assemble import join, match, take
from eyas.data.layouts.folders import compile_label, pickled, read_folder, refuse_pickles
from eyas.data.layouts.names import (
    PICKLE_SUFFIXES,
    is_hidden,
    is_image,
    listing,
    nearest,
    split_of,
    suffix,
)
from eyas.data.layouts.parquet import SUFFIX, parquet_files, read_parquet
from eyas.data.layouts.scan import Seen
from eyas.data.layouts.table import TABLE_SUFFIXES, read_table, understands
from eyas.data.layouts.tree import DiskTree, Tree
from eyas.data.layouts.webdataset import Shard, expand, read_shards
from eyas.data.samples import Samples, Split
from eyas.data.split import parse_part
from eyas.errors import DataError
from eyas.errors.messages import one_line, say

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
        if not os.path.exists(path) and not _shards(path):
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
    if "://" in str(data) or str(data).startswith("hf:/"):  # a Path makes one slash of two
        raise _remote(str(data))
    path = Path(os.path.abspath(os.path.expanduser(data)))
    shards = _shards(path)
    if not shards and (not os.path.exists(path) or not str(data).strip()):  # Path.exists raises for too long names
        raise _missing(Path(data), None)
    seen = Seen()
    try:
        if shards:
            found = _of_shards(shards, seen, label_from, columns)
        elif path.is_dir():
            found = _folder(DiskTree(path), seen, label_from, columns, exclude)
        else:
            found = _file(path, seen, label_from, columns)
    except OSError as error:
        raise DataError("EY-D014", path=error.filename or path, reason=error.strerror or error) from error
    return replace(
        found,
        layout=one_line(found.layout),
        notes=(*found.notes, *seen.notes()),
        unlabelled=tuple(seen.unlabelled),
        left_out=seen.account(),
    )


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


def _file(path: Path, seen: Seen, label_from: str | None, columns: Mapping[str, str] | None) -> Samples:
    if not path.is_file():  # a pipe would be waited for, a device has no end
        raise DataError("EY-D079", path=path, kind=say("fifo" if path.is_fifo() else "device"))
    if is_archive(path.name):
        return _archives(path.parent, [path.name], seen, label_from, columns)
    if label_from is not None:
        seen.note(say("label_from_unused"))
    kind = suffix(path.name)
    if kind == SUFFIX:
        return read_parquet(path.parent, [path.name], seen, columns=columns)
    if kind in TABLE_SUFFIXES:
        return read_table(DiskTree(path.parent), path.name, seen, columns=columns)
    if is_idx(path.name):
        found = find_idx(path.parent, of=path.name)
        assert found is not None, path
        return read_idx_set(found, seen)
    if kind == ".npz":
        return read_npz(path, seen)
    if kind in PICKLE_SUFFIXES or _is_pickle(path):
        raise pickled(path.parent, path.name)
    if is_image(path.name):
        raise DataError("EY-D010", path=path, folder=path.parent)
    if kind == ".npy":
        raise DataError("EY-D086", path=path, name=path.name)
    raise DataError("EY-D009", path=path, kind=kind or path.name)


def _remote(data: str) -> DataError:
    """The error for what would have to be fetched."""
    kind, _, rest = data.partition(":")
    name = "/".join(rest.strip("/").split("/")[-2:])
    if kind != "hf" or not name:
        return DataError("EY-D009", path=data, kind=f"{kind}://")
    return DataError("EY-D078", path=data, name=name, folder=name.rpartition("/")[2])


def _shards(path: Path) -> list[Path]:
    """The files that a name with braces stands for; none when it has no braces, or is the name of a file itself."""
    if "{" not in str(path) or os.path.exists(path):
        return []
    names = expand(str(path))
    return [Path(name) for name in names] if names != [str(path)] else []


def _of_shards(paths: list[Path], seen: Seen, label_from: str | None, columns: Mapping[str, str] | None) -> Samples:
    """The samples of several archives, or of several Parquet files, that braces name."""
    missing = [str(path) for path in paths if not path.is_file()]
    if missing:
        raise DataError("EY-D080", n=len(missing), total=len(paths), examples=listing(missing))
    where = Path(os.path.commonpath([path.parent for path in paths]))
    names = [path.relative_to(where).as_posix() for path in paths]
    if all(suffix(name) == SUFFIX for name in names):
        return read_parquet(where, names, seen, columns=columns)
    strange = [name for name in names if not is_archive(name)]
    if strange:
        raise DataError("EY-D009", path=where / strange[0], kind=suffix(strange[0]) or strange[0])
    return _archives(where, names, seen, label_from, columns)


def _archives(
    where: Path, names: Sequence[str], seen: Seen, label_from: str | None, columns: Mapping[str, str] | None
) -> Samples:
    """The samples of archives: as shards, where images have their labels beside them, else as the folders they are."""
    archives = [open_archive(where / name, seen) for name in names]
    if label_from is None:
        quiet = Seen()
        shards = [Shard(archive, quiet) for archive in archives]
        if any(shard.is_webdataset() for shard in shards):
            for why, n in quiet.counts.items():
                seen.counts[why] = seen.counts.get(why, 0) + n
                seen.examples.setdefault(why, []).extend(quiet.examples[why])
            return read_shards(where, list(zip(names, shards, strict=True)), seen)
    if len(names) == 1:
        found = _folder(tree_of(where / names[0], [("", archives[0])]), seen, label_from, columns, frozenset())
        return replace(found, layout=say("layout_archive", layout=found.layout, name=names[0]))
    seen.note(say("archives_joined", names=listing(names)))
    tree = tree_of(where, [(stem(name), archive) for name, archive in zip(names, archives, strict=True)])
    return _folder(tree, seen, label_from, columns, frozenset())


def _folder(
    tree: Tree, seen: Seen, label_from: str | None, columns: Mapping[str, str] | None, exclude: frozenset[str]
) -> Samples:
    """What a folder holds, on the disk or in an archive."""
    inside = tree.listing()
    if isinstance(tree, DiskTree):
        packed = [name for name in inside.files if is_archive(name) and str(tree.path(name)) not in exclude]
        if packed and not inside.folders and not any(map(_tells, inside.files)):
            return _archives(tree.where, packed, seen, label_from, columns)
    if label_from is None:
        found = _special(tree, seen, columns)
        if found is None and not inside.files and len(inside.folders) == 1 and split_of(inside.folders[0]) is None:
            found = _special(tree.below(inside.folders[0]), seen, columns)
        if found is not None:
            return found
    return read_folder(tree, seen, label_from=label_from, exclude=exclude)


def _special(tree: Tree, seen: Seen, columns: Mapping[str, str] | None) -> Samples | None:
    """What a folder holds besides folders and images that says what it is: tables, arrays; None when nothing does."""
    refuse_pickles(tree)
    inside = tree.listing()
    if isinstance(tree, DiskTree):
        if (names := parquet_files(tree)) and not any(is_image(name) for name in inside.files):
            return read_parquet(tree.where, names, seen, columns=columns)
        for folder in ("", "raw"):  # torchvision keeps the files in raw/
            if folder in ("", *inside.folders):
                idx = find_idx(tree.where / folder, without=tree.listing(folder).outside)
                if idx is not None:
                    return read_idx_set(idx, seen)
    tables = [name for name in inside.files if suffix(name) in TABLE_SUFFIXES]
    if tables and (found := _tables(tree, tables, seen, columns)) is not None:
        return found
    if (found := _metadata_of_splits(tree, seen, columns)) is not None:
        return found
    arrays = [name for name in inside.files if suffix(name) == ".npz"]
    alone = not inside.folders and not any(is_image(name) for name in inside.files)
    if isinstance(tree, DiskTree) and len(arrays) == 1 and alone:
        return read_npz(tree.where / arrays[0], seen)
    return None


def _tables(tree: Tree, tables: list[str], seen: Seen, columns: Mapping[str, str] | None) -> Samples | None:
    """The samples that the tables in a folder list, or None when its folders say more than they do.

    `metadata.csv` first, then tables named after splits, then the only one. A table that lists no files beside class
    folders is a note; one beside loose images must be right, so its error is shown.
    """
    named = [name for name in tables if _is_metadata(name)]
    by_split = {name: split for name in tables if (split := split_of(name.rpartition(".")[0])) is not None}
    folders = tree.listing().folders
    if len(named) == 1 and (columns or not folders or understands(tree, named[0])):
        return read_table(tree, named[0], seen, columns=columns)
    if by_split and Split.TRAIN in by_split.values() and all(understands(tree, name) for name in by_split):
        return _join_tables([(tree, name, split) for name, split in by_split.items()], seen, columns)
    usable = [name for name in tables if columns or understands(tree, name)]
    if len(usable) == 1:
        others = [name for name in tables if name not in usable]
        if others:
            seen.note(say("tables_ignored", names=listing(others)))
        return read_table(tree, usable[0], seen, columns=columns)
    if len(usable) > 1:
        raise DataError("EY-D028", path=tree.where, names=listing(usable, most=10))
    if len(tables) == 1 and not folders:
        return read_table(tree, tables[0], seen, columns=columns)
    seen.note(say("tables_ignored", names=listing(tables)))
    return None


def _tells(name: str) -> bool:
    """Whether a file beside archives says more than they do."""
    return is_image(name) or is_idx(name) or suffix(name) in {*TABLE_SUFFIXES, ".npz", SUFFIX}


def _is_metadata(name: str) -> bool:
    return name.rpartition(".")[0].lower() == "metadata"


def _metadata_of_splits(tree: Tree, seen: Seen, columns: Mapping[str, str] | None) -> Samples | None:
    """train/metadata.csv, test/metadata.csv: a table in the folder of each split, as Hugging Face keeps them."""
    parts: list[tuple[Tree, str, Split]] = []
    for folder in tree.listing().folders:
        split = split_of(folder)
        if split is not None:
            below = tree.below(folder)
            tables = [name for name in below.listing().files if _is_metadata(name) and suffix(name) in TABLE_SUFFIXES]
            parts += [(below, name, split) for name in tables[:1] if columns or understands(below, name)]
    return _join_tables(parts, seen, columns) if Split.TRAIN in {split for _, _, split in parts} else None


def _join_tables(tables: list[tuple[Tree, str, Split]], seen: Seen, columns: Mapping[str, str] | None) -> Samples:
    """train.csv, val.csv, test.csv: one table a split."""
    samples: Samples | None = None
    for tree, name, split in sorted(tables, key=lambda table: table[2]):
        part = read_table(tree, name, seen, columns=columns, whole=split)
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


def _is_pickle(path: Path) -> bool:
    """Whether a file begins like a pickle of protocol 2 or later, or is an .npy that holds one."""
    with path.open("rb") as file:
        head = file.read(256)
    if head.startswith(b"\x93NUMPY"):
        return b"'|O'" in head
    return len(head) >= 2 and head[0] == 0x80 and 2 <= head[1] <= 5
