"""Samples from names and labels: one ordered list of class names, one root, the same rows in any listing order."""

from __future__ import annotations

import itertools
import os
import posixpath
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyas.data.layouts.names import listing, natural, nearest, nfc
from eyas.data.layouts.scan import Seen
from eyas.data.layouts.tree import Tree, is_file
from eyas.data.samples import ArraySource, ByteSource, ContainerSource, FileSource, JoinedSource, Samples, Source, Split
from eyas.errors import DataError
from eyas.errors.messages import say

CLASS_FILE = "classes.txt"


def class_list(found: set[str], tree: Tree, seen: Seen, *, file: str = CLASS_FILE) -> tuple[str, ...]:
    """The classes in their order: natural, or as `file` (`classes.txt`) in the tree says."""
    listed = read_classes(tree, file)
    if listed is None:
        _note_colliding(found, seen)
        return tuple(sorted(found, key=natural))
    strangers = sorted(found - set(listed), key=natural)
    if strangers:
        raise DataError(
            "EY-D051",
            path=tree.path(file),
            classes=listing(strangers),
            allowed=listing(listed, most=20),
            near=_or_dash(nearest(strangers[0], listed)),
        )
    absent = [name for name in listed if name not in found]
    if absent:
        seen.note(say("classes_without_images", n=len(absent), examples=listing(absent)))
    seen.note(say("classes_from_file", path=file, n=len(listed)))
    return tuple(listed)


def read_classes(tree: Tree, file: str = CLASS_FILE) -> list[str] | None:
    """The lines of `classes.txt` in form NFC, or None when there is none; a name given twice is EY-D050."""
    if not is_file(tree, file):
        return None
    path = tree.path(file)
    lines = [nfc(line.strip()) for line in decode_text(tree.read(file), path)[0].splitlines()]
    names = [line for line in lines if line]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError("EY-D050", path=path, classes=listing(twice))
    return names or None


def decode_text(data: bytes, path: Path) -> tuple[str, str]:
    """The text of a file and the name of its encoding: UTF-8 (BOM or not), UTF-16 with BOM, else GB18030."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ("utf-16",)
    else:
        encodings = ("utf-8-sig", "gb18030")
    for encoding in encodings:
        try:
            return data.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise DataError("EY-D026", path=path)


def from_files(
    tree: Tree,
    names: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[Split] | NDArray[np.uint8],
    *,
    layout: str,
    seen: Seen,
    classes_in: str = "",
) -> Samples:
    """Samples of image files; `labels` are class names, listed in the folder `classes_in`. Rows stay in their order."""
    file = posixpath.join(classes_in, CLASS_FILE)
    classes = class_list(set(labels), tree, seen, file=file)
    number = {name: i for i, name in enumerate(classes)}
    return Samples(
        source=tree.source(names),
        classes=classes,
        labels=np.fromiter((number[label] for label in labels), np.int32, len(labels)),
        splits=np.asarray(splits, np.uint8),
        layout=layout,
        root=tree.where,
    )


def match(samples: Samples, classes: tuple[str, ...], *, what: str) -> Samples:
    """`samples` with labels that count in `classes`, matched by name; a class that is not there is EY-D005."""
    number = {name: i for i, name in enumerate(classes)}
    used = samples.counts() > 0
    for name, there in zip(samples.classes, used, strict=True):
        if there and name not in number:
            raise DataError(
                "EY-D005",
                name=name,
                what=what,
                near=_or_dash(nearest(name, classes)),
                classes=listing(classes, most=20),
            )
    table = np.array([number.get(name, -1) for name in samples.classes], np.int32)
    return replace(samples, classes=classes, labels=table[samples.labels])


def join(base: Samples, more: Samples, split: Split, *, what: str) -> Samples:
    """`base` followed by `more` as its `split`; classes are matched by name, files get one common root."""
    more = match(more, base.classes, what=what)
    left, right = base.source, more.source
    if isinstance(left, FileSource) and isinstance(right, FileSource):
        source = _one_root(left, right)
        root = source.root
    elif isinstance(left, ByteSource) and isinstance(right, ByteSource):
        source = _one_list(left, right, what)
        root = base.root
    elif isinstance(left, ArraySource) and isinstance(right, ArraySource):
        if left.images.shape[1:] != right.images.shape[1:]:
            raise DataError("EY-D063", what=what, got=right.images.shape[1:], allowed=left.images.shape[1:])
        source = ArraySource(np.concatenate([left.images, right.images]), f"{left.identity}+{right.identity}")
        root = base.root
    else:
        raise DataError("EY-D062", what=what, got=more.layout, allowed=base.layout)
    groups = None
    if base.groups is not None or more.groups is not None:
        groups = np.concatenate([np.full(len(s), -1, np.int64) if s.groups is None else s.groups for s in (base, more)])
    weights = None
    if base.weights is not None or more.weights is not None:
        weights = np.concatenate(
            [np.ones(len(s), np.float32) if s.weights is None else s.weights for s in (base, more)]
        )
    return Samples(
        source=source,
        classes=base.classes,
        labels=np.concatenate([base.labels, more.labels]),
        splits=np.concatenate([base.splits, np.full(len(more), split, np.uint8)]),
        layout=say("layout_joined", base=base.layout, what=what, more=more.layout),
        root=root,
        groups=groups,
        weights=weights,
        notes=(*base.notes, *(say("note_of", what=what, note=note) for note in more.notes)),
        unlabelled=(*base.unlabelled, *more.unlabelled),
        left_out=(*base.left_out, *more.left_out),
    )


def take(samples: Samples, rows: NDArray[np.int64]) -> Samples:
    """Only the given rows, in that order."""
    return replace(
        samples,
        source=_taken(samples.source, rows),
        labels=samples.labels[rows],
        splits=samples.splits[rows],
        groups=None if samples.groups is None else samples.groups[rows],
        weights=None if samples.weights is None else samples.weights[rows],
    )


def _taken(source: Source, rows: NDArray[np.int64]) -> Source:
    """Only those rows, ascending where the source is joined of several."""
    match source:
        case FileSource():
            return FileSource(source.root, tuple(source.names[row] for row in rows))
        case ContainerSource():
            return replace(source, names=tuple(source.names[row] for row in rows), at=source.at[rows])
        case JoinedSource():
            parts = [
                _taken(part, rows[(rows >= start) & (rows < end)] - start)
                for part, (start, end) in zip(source.parts, itertools.pairwise(source.starts), strict=True)
            ]
            return JoinedSource(tuple(part for part in parts if isinstance(part, ByteSource)), source.prefixes)
        case ArraySource():
            return ArraySource(source.images[rows], f"{source.identity}:{len(rows)}")
        case _:
            raise AssertionError(source)


def _one_list(left: ByteSource, right: ByteSource, what: str) -> ByteSource:
    """Both after one another. Names of the second get the name of the split before them, unless all lie in one tree."""
    if isinstance(left, ContainerSource) and isinstance(right, ContainerSource) and left.files == right.files:
        return replace(left, names=(*left.names, *right.names), at=np.concatenate([left.at, right.at]))
    before = set(map(left.name, range(len(left))))
    prefix = f"{what}/"
    while any(prefix + right.name(row) in before for row in range(len(right))):
        prefix = f"{what}-{prefix}"
    if isinstance(left, JoinedSource):
        return JoinedSource((*left.parts, right), (*left.prefixes, prefix))
    return JoinedSource((left, right), ("", prefix))


def _one_root(left: FileSource, right: FileSource) -> FileSource:
    if left.root == right.root:
        return FileSource(left.root, (*left.names, *right.names))
    try:
        root = Path(os.path.commonpath([left.root, right.root]))
    except ValueError:  # two drives of Windows have nothing in common: absolute names, which `root / name` understands
        return FileSource(left.root, (*left.names, *((right.root / name).as_posix() for name in right.names)))
    names: list[str] = []
    for source in (left, right):
        prefix = source.root.relative_to(root).as_posix()
        names += source.names if prefix == "." else [f"{prefix}/{name}" for name in source.names]
    return FileSource(root, tuple(names))


def _or_dash(names: list[str]) -> str:
    return names[0] if names else "-"


def _note_colliding(found: set[str], seen: Seen) -> None:
    """Notes classes that differ in case only: on another system, or for a reader, they are one."""
    folded: dict[str, list[str]] = {}
    for name in found:
        folded.setdefault(name.casefold(), []).append(name)
    for names in folded.values():
        if len(names) > 1:
            seen.note(say("classes_differ_in_case", names=listing(sorted(names))))
