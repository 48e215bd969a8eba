"""Parquet as Hugging Face keeps images: a column of image bytes, a column of labels, a file or more for each split.

Only the labels are read here; the bytes of an image are read where they lie (`data.parquet`). Needs pyarrow: the extra
`parquet`.

Format: https://huggingface.co/docs/hub/datasets-image#parquet-format
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

import numpy as np
from numpy.typing import NDArray

from eyas.data import parquet
from eyas.data.layouts.assemble import class_list
from eyas.data.layouts.names import listing, natural_path, nfc, split_in
from eyas.data.layouts.scan import Seen
from eyas.data.layouts.table import COLUMNS, numbers_to_names
from eyas.data.layouts.tree import DiskTree, Tree
from eyas.data.samples import CELL, ContainerSource, Samples, Split
from eyas.errors import DataError
from eyas.errors.messages import say

SUFFIX = ".parquet"


@final
@dataclass(frozen=True)
class Shape:
    """What the columns of one file mean; `classes` are the names of a ClassLabel."""

    image: str
    label: str
    classes: tuple[str, ...] | None
    others: tuple[str, ...]


def parquet_files(tree: DiskTree) -> list[str]:
    """Names of the Parquet files of a data set: at the top, in `data/`, or in folders named after splits."""
    inside = tree.listing()
    found = [name for name in inside.files if name.lower().endswith(SUFFIX)]
    for folder in inside.folders:
        if folder.lower() == "data" or split_in(folder) is not None:
            files = tree.listing(folder).files
            found += [f"{folder}/{name}" for name in files if name.lower().endswith(SUFFIX)]
    return sorted(found, key=natural_path)


def read_parquet(where: Path, names: Sequence[str], seen: Seen, *, columns: Mapping[str, str] | None = None) -> Samples:
    """The samples of some files below `where`; their names say the split.

    Raises EY-D082 (damaged), EY-D083 (no such columns), EY-D084 (files of two sets), EY-D085 (paths instead of bytes),
    EY-D045 (labels beyond the names), EY-M001 without pyarrow.
    """
    pq = parquet.module()
    first: Shape | None = None
    at: list[NDArray[np.int64]] = []
    stats: list[tuple[int, int, int]] = []
    labels: list[str] = []
    splits: list[NDArray[np.uint8]] = []
    rows: list[str] = []
    for number, name in enumerate(names):
        path = where / name
        now = path.stat()
        stats.append((now.st_size, now.st_mtime_ns, now.st_ino))
        try:
            with pq.ParquetFile(path) as file:
                shape = _shape(path, file.schema_arrow, columns)
                if first is None:
                    first = shape
                elif (shape.image, shape.label, shape.classes) != (first.image, first.label, first.classes):
                    got, allowed = (f"{s.image}, {s.label}, {listing(s.classes or ['-'])}" for s in (shape, first))
                    raise DataError("EY-D084", path=path, got=got, allowed=allowed, first=names[0])
                _refuse_paths(path, file, shape)
                values = file.read(columns=[shape.label], use_threads=False).column(0).to_pylist()
                groups = [file.metadata.row_group(g).num_rows for g in range(file.metadata.num_row_groups)]
        except (ValueError, OSError) as error:  # pyarrow's own errors are ValueErrors
            raise DataError("EY-D082", path=path, reason=error) from error
        texts = [_text(value, shape.classes, path) for value in values]
        kept = np.flatnonzero([text is not None for text in texts])
        for row in range(len(texts)):
            if texts[row] is None:
                seen.leave_out("no_label", f"{name}/{row}")
                seen.unlabelled.append(f"{name}/{row}")
        where_in = np.zeros((len(texts), 5), np.int64)
        where_in[:, 0], where_in[:, 1] = number, CELL
        where_in[:, 2] = np.repeat(np.arange(len(groups)), groups)
        where_in[:, 3] = np.concatenate([np.zeros(0, np.int64), *(np.arange(n) for n in groups)])
        at.append(where_in[kept])
        labels += [text for text in texts if text is not None]
        rows += [f"{name}/{row}" for row in kept.tolist()]
        splits.append(np.full(len(kept), split_in(name) or Split.NONE, np.uint8))
    assert first is not None, "there is at least one file"
    if not rows:
        raise DataError("EY-D003", path=where / names[0], left_out="; ".join(seen.notes()) or "-")
    if first.others:
        seen.note(say("parquet_other_labels", used=first.label, others=listing(first.others)))
    classes, numbers = _numbers(labels, first, DiskTree(where), seen)
    return Samples(
        source=ContainerSource(
            tuple(where / name for name in names),
            np.array(stats, np.int64).reshape(-1, 3),
            tuple(rows),
            np.concatenate(at),
            (first.image,) * len(names),
        ),
        classes=classes,
        labels=numbers,
        splits=np.concatenate(splits),
        layout=say("layout_parquet", n=len(names), image=first.image, label=first.label),
        root=where,
    )


def _numbers(labels: list[str], shape: Shape, tree: Tree, seen: Seen) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Classes in the order of the ClassLabel, else as everywhere; and the labels as numbers."""
    if shape.classes is None:
        labels = numbers_to_names(labels, tree, seen)
    classes = shape.classes or class_list(set(labels), tree, seen)
    number = {name: i for i, name in enumerate(classes)}
    return classes, np.fromiter((number[label] for label in labels), np.int32, len(labels))


def _text(value: object, classes: tuple[str, ...] | None, path: Path) -> str | None:
    """The name of a label; None for none, which is -1 or null."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if value is None or value == "" or value == -1:
        return None
    if classes is None or isinstance(value, str):
        if classes is not None and value not in classes:
            raise DataError("EY-D045", where=path, got=value, n=len(classes), allowed=listing(classes, most=20))
        return nfc(str(value).strip()) or None
    if not isinstance(value, int) or not 0 <= value < len(classes):
        raise DataError("EY-D045", where=path, got=value, n=len(classes), allowed=listing(classes, most=20))
    return classes[value]


def _shape(path: Path, schema: Any, columns: Mapping[str, str] | None) -> Shape:
    """Which columns hold image and label: what is said, what `datasets` wrote about them, their types, their names."""
    features = _features(schema)
    types = {name: str(schema.field(name).type) for name in schema.names}
    said = dict(columns or {})
    images = [name for name in types if features.get(name, {}).get("_type") == "Image" and _holds_bytes(types[name])]
    images += [
        name for name in types if name not in images and types[name].startswith("struct<") and "bytes: " in types[name]
    ]
    images += [name for name in types if name not in images and types[name] in ("binary", "large_binary")]
    image = said.get("path") or next(iter(images), None)
    if image is None or image not in types or not _holds_bytes(types[image]):
        raise _no_column(path, types, "parquet_image", "struct{bytes, path}, binary")
    coded = [name for name in types if features.get(name, {}).get("_type") == "ClassLabel"]
    usual = [name for word in COLUMNS["label"] for name in types if name.casefold() == word]
    fitting = [name for name in dict.fromkeys([*coded, *usual]) if name != image and _is_label(types[name])]
    fitting.sort(key=lambda name: (name not in coded, name not in usual))
    label = said.get("label") or next(iter(fitting), None)
    if label is None or label not in types or not _is_label(types[label]):
        raise _no_column(path, types, "parquet_label", listing(COLUMNS["label"], most=40))
    names = features.get(label, {}).get("names")
    classes = tuple(nfc(str(name)) for name in cast(list[object], names)) if isinstance(names, list) else None
    if classes is not None and len(set(classes)) < len(classes):
        twice = sorted({name for name in classes if classes.count(name) > 1})
        raise DataError("EY-D050", path=path, classes=listing(twice))
    return Shape(image, label, classes or None, tuple(name for name in fitting if name != label))


def _no_column(path: Path, types: Mapping[str, str], role: str, allowed: str) -> DataError:
    columns = listing([f"{name} ({kind[:40]})" for name, kind in types.items()], most=20)
    return DataError("EY-D083", path=path, role=say(role), columns=columns, allowed=allowed)


def _holds_bytes(kind: str) -> bool:
    return kind in ("binary", "large_binary") or (kind.startswith("struct<") and "bytes: " in kind)


def _is_label(kind: str) -> bool:
    return (
        "int" in kind.split("<")[0] or kind in ("string", "large_string") or kind.startswith("dictionary<values=string")
    )


def _features(schema: Any) -> dict[str, dict[str, object]]:
    """What the library `datasets` wrote about the columns, which is JSON in the metadata of the schema."""
    try:
        known: Any = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        found: Any = known["info"]["features"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    items = cast(dict[str, object], found).items()
    return {name: cast(dict[str, object], value) for name, value in items if isinstance(value, dict)}


def _refuse_paths(path: Path, file: Any, shape: Shape) -> None:
    """Raises EY-D085 when the statistics say that every image is null."""
    meta = file.metadata
    leaf = f"{shape.image}.bytes"
    nulls = rows = 0
    for group in range(meta.num_row_groups):
        of = meta.row_group(group)
        rows += of.num_rows
        for column in range(of.num_columns):
            held = of.column(column)
            if held.path_in_schema in (leaf, shape.image) and held.statistics is not None:
                nulls += held.statistics.null_count or 0
    if rows and nulls >= rows:
        raise DataError("EY-D085", path=path, column=shape.image)
