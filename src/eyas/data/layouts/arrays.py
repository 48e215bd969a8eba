"""Raw pixels: IDX files (MNIST and its many children) and .npz archives. Nothing in them is ever unpickled."""

from __future__ import annotations

import gzip
import hashlib
import math
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, final

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from eyas.data.layouts.assemble import read_classes
from eyas.data.layouts.names import is_hidden, listing, natural, nfc, split_of
from eyas.data.layouts.scan import Seen
from eyas.data.layouts.tree import DiskTree
from eyas.data.samples import ArraySource, Samples, Split
from eyas.errors import DataError
from eyas.errors.messages import say

_IDX_NAME = re.compile(r"^(.*?)[-_.]?(images|labels)[-_.]idx([0-9])[-_.]ubyte(\.gz)?$", re.IGNORECASE)


@final
@dataclass(frozen=True)
class Part:
    """The images and labels of one split, before they are joined: uint8 (n, h, w[, c]) and class names or numbers."""

    split: Split
    images: NDArray[np.uint8]
    labels: NDArray[np.generic]
    where: str


# ---- IDX ------------------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True)
class IdxSet:
    """The files of one set: split -> (images, labels)."""

    files: tuple[tuple[Split, Path, Path], ...]


def is_idx(name: str) -> bool:
    """Whether a file is named like an IDX file."""
    return _IDX_NAME.match(name) is not None


def find_idx(folder: Path, *, of: str | None = None, without: Collection[str] = ()) -> IdxSet | None:
    """The set of IDX files in `folder` (the one that the file `of` belongs to), or None when there is none.

    `without` are names that do not count.
    Raises EY-D032 for images without labels and EY-D033 when there are several sets to choose from.
    """
    found: dict[str, dict[Split, dict[str, Path]]] = {}
    for path in sorted(folder.iterdir(), key=lambda p: natural(p.name), reverse=True):
        hit = _IDX_NAME.match(path.name)
        if hit is None or is_hidden(path.name) or path.name in without or not path.is_file():
            continue
        stem, kind = hit[1], hit[2].lower()
        title, _, last = re.sub(r"[_.]", "-", stem).rpartition("-")
        split = Split.TEST if last.lower() == "t10k" else split_of(last)
        if split is None:
            title, split = stem, Split.NONE
        # sorted backwards, so that a file beats its own .gz
        found.setdefault(title, {}).setdefault(split, {})[kind] = path
    if of is not None:
        found = {
            t: parts
            for t, parts in found.items()
            if any(of == p.name for kinds in parts.values() for p in kinds.values())
        }
    if not found:
        return None
    if len(found) > 1:
        raise DataError("EY-D033", path=folder, names=listing(sorted(found), most=10))
    files: list[tuple[Split, Path, Path]] = []
    for split, kinds in sorted(found.popitem()[1].items()):
        if "images" not in kinds or "labels" not in kinds:
            there = next(iter(kinds.values()))
            other = "labels" if "images" in kinds else "images"
            wanted = re.sub(
                r"idx[0-9]", "idx1" if other == "labels" else "idx3", there.name.replace(next(iter(kinds)), other)
            )
            raise DataError("EY-D032", path=there, wanted=wanted)
        files.append((split, kinds["images"], kinds["labels"]))
    return IdxSet(tuple(files))


def read_idx_set(found: IdxSet, seen: Seen, *, classes: tuple[str, ...] | None = None) -> Samples:
    """The samples of an IDX set; classes are `classes`, else `classes.txt` beside the files, else the numbers."""
    parts: list[Part] = []
    for split, image_file, label_file in found.files:
        images = read_idx(image_file, dimensions=(3, 4))
        labels = read_idx(label_file, dimensions=(1,))
        if len(images) != len(labels):
            raise DataError("EY-D031", images=image_file, n=len(images), labels=label_file, k=len(labels))
        if images.ndim == 4 and images.shape[3] not in (1, 3):
            raise DataError(
                "EY-D042",
                path=image_file,
                name="images",
                got=images.shape,
                allowed="(n, h, w), (n, h, w, 1|3)",
                hint="-",
            )
        parts.append(Part(split, images, labels, image_file.name))
    folder = found.files[0][1].parent
    names = ", ".join(part.where for part in parts)
    return _to_samples(parts, folder, seen, layout=say("layout_idx", names=names), classes=classes or _listed(folder))


def read_idx(path: Path, *, dimensions: tuple[int, ...]) -> NDArray[np.uint8]:
    """uint8 array of one IDX file, gzip or not; a file that is not exactly what its header says is EY-D030."""
    try:
        with _open(path) as file:
            magic = file.read(4)
            if len(magic) < 4 or magic[:2] != b"\0\0":
                raise DataError("EY-D030", path=path, reason=say("idx_magic", got=magic.hex(" ") or "-"))
            if magic[2] != 8 or magic[3] not in dimensions:
                reason = say("idx_kind", kind=f"0x{magic[2]:02x}", n=magic[3], allowed=" / ".join(map(str, dimensions)))
                raise DataError("EY-D030", path=path, reason=reason)
            header = file.read(4 * magic[3])
            shape = tuple(int(n) for n in np.frombuffer(header[: len(header) // 4 * 4], ">u4"))
            size = math.prod(shape)
            if len(shape) < magic[3] or size > _most_bytes(path):
                raise DataError("EY-D030", path=path, reason=say("idx_short", got=len(header), want=size))
            out = np.empty(shape, np.uint8)
            view = memoryview(out.reshape(-1).data)
            got = 0
            while got < size:
                n = file.readinto(view[got:])  # pyright: ignore[reportAttributeAccessIssue]
                if not n:
                    raise DataError("EY-D030", path=path, reason=say("idx_short", got=got, want=size))
                got += n
            if file.read(1):
                raise DataError("EY-D030", path=path, reason=say("idx_long", want=size))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError("EY-D030", path=path, reason=error) from error
    return out


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if zipped else path.open("rb")  # pyright: ignore[reportReturnType]


def _most_bytes(path: Path) -> int:
    """More than a file of this size can hold (deflate reaches about 1032:1): a header may not make us allocate more."""
    return path.stat().st_size * 1040


# ---- npz ------------------------------------------------------------------------------------------------------------

_IMAGES = frozenset({"x", "image", "images", "img", "imgs", "data", "pixels"})
_LABELS = frozenset({"y", "label", "labels", "target", "targets"})
_CLASSES = ("classes", "class_names", "label_names")


def read_npz(path: Path, seen: Seen) -> Samples:
    """The samples of an .npz: x_train, y_train, x_test, y_test, or images and labels, and the like.

    Raises EY-D040 (damaged, pickled), EY-D041 (no such arrays), EY-D042 (shape), EY-D043 (type), EY-D044 (lengths) and
    EY-D045 (labels beyond the class names).
    """
    try:
        with closing(zipfile.ZipFile(path)) as archive:
            shapes = {info.filename.removesuffix(".npy"): _shape(archive, info, path) for info in archive.infolist()}
        with np.load(path, allow_pickle=False) as arrays:
            return _from_npz(path, list(shapes), lambda name: arrays[name], seen)
    except (zipfile.BadZipFile, EOFError, zlib.error, RuntimeError) as error:
        raise DataError("EY-D040", path=path, reason=error) from error


def _shape(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> tuple[int, ...]:
    """The shape in the header of one member, checked against its size before anything is allocated."""
    try:
        with archive.open(info) as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = read(file)
            begins = file.tell()
    except ValueError as error:
        raise DataError("EY-D040", path=path, reason=f"{info.filename}: {error}") from error
    if dtype.hasobject:
        raise DataError("EY-D040", path=path, reason=say("npz_pickled", name=info.filename))
    # deflate reaches about 1032:1; what claims more is a bomb
    if (
        begins + math.prod(shape) * dtype.itemsize != info.file_size
        or info.file_size > 1040 * info.compress_size + 4096
    ):
        raise DataError("EY-D040", path=path, reason=say("npz_size", name=info.filename, shape=shape))
    return shape


def _from_npz(path: Path, names: list[str], get: Callable[[str], NDArray[np.generic]], seen: Seen) -> Samples:
    found: dict[Split, dict[str, str]] = {}
    for name in names:
        role = _role(name)
        if role is not None:
            found.setdefault(role[1], {}).setdefault(role[0], name)
    pairs = {split: kinds for split, kinds in sorted(found.items()) if len(kinds) == 2}
    if not pairs:
        raise DataError("EY-D041", path=path, names=listing(names, most=12) or "-")
    used = {name for kinds in pairs.values() for name in kinds.values()}
    classes_name = next((name for name in _CLASSES if name in names), None)
    classes = _class_names(path, get(classes_name)) if classes_name else _listed(path.parent)
    others = [name for name in names if name not in used and name != classes_name]
    if others:
        seen.note(say("arrays_ignored", names=listing(others)))
    parts = [_part(path, split, kinds["images"], kinds["labels"], get) for split, kinds in pairs.items()]
    arrays = ", ".join(f"{kinds['images']} + {kinds['labels']}" for kinds in pairs.values())
    return _to_samples(
        parts, path.parent, seen, layout=say("layout_npz", name=path.name, arrays=arrays), classes=classes
    )


def _role(name: str) -> tuple[str, Split] | None:
    """(images or labels, split) of an array called `x_train`, `test_labels`, `images`…, or None."""
    kind, split = None, Split.NONE
    for word in re.split(r"[_\-. ]+", name.lower()):
        named = split_of(word)
        if word in _IMAGES and kind is None:
            kind = "images"
        elif word in _LABELS and kind is None:
            kind = "labels"
        elif named is not None and split is Split.NONE:
            split = named
        else:
            return None
    return None if kind is None else (kind, split)


def _part(
    path: Path, split: Split, images_name: str, labels_name: str, get: Callable[[str], NDArray[np.generic]]
) -> Part:
    images, labels = get(images_name), get(labels_name)
    shape, allowed = images.shape, "(n, h, w), (n, h, w, 1), (n, h, w, 3)"
    if images.ndim not in (3, 4) or (images.ndim == 4 and shape[3] not in (1, 3)) or 0 in shape[1:]:
        channels_first = images.ndim == 4 and shape[1] in (1, 3)
        hint = say("npz_transpose", name=images_name) if channels_first else say("npz_reshape")
        raise DataError("EY-D042", path=path, name=images_name, got=shape, allowed=allowed, hint=hint)
    if images.dtype != np.uint8:
        raise DataError(
            "EY-D043",
            path=path,
            name=images_name,
            got=images.dtype,
            allowed="uint8, 0..255",
            hint=say("npz_to_uint8", name=images_name),
        )
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        hint = say("npz_argmax", name=labels_name) if labels.ndim == 2 else "-"
        raise DataError("EY-D042", path=path, name=labels_name, got=labels.shape, allowed="(n,), (n, 1)", hint=hint)
    if labels.dtype.kind not in "iuUS":
        raise DataError(
            "EY-D043",
            path=path,
            name=labels_name,
            got=labels.dtype,
            allowed="int, str",
            hint=say("npz_to_int", name=labels_name),
        )
    if len(labels) != len(images):
        raise DataError("EY-D044", path=path, images=images_name, n=len(images), labels=labels_name, k=len(labels))
    return Part(split, np.ascontiguousarray(images.astype(np.uint8, copy=False)), labels, f"{path.name}:{images_name}")


def _class_names(path: Path, array: NDArray[np.generic]) -> tuple[str, ...]:
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise DataError(
            "EY-D043", path=path, name="classes", got=f"{array.dtype} {array.shape}", allowed="str (n,)", hint="-"
        )
    return tuple(_text(name) for name in array.tolist())


def _text(name: object) -> str:
    return nfc((name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)).strip())


# ---- both -----------------------------------------------------------------------------------------------------------


def _listed(folder: Path) -> tuple[str, ...] | None:
    listed = read_classes(DiskTree(folder))
    return None if listed is None else tuple(listed)


def _to_samples(
    parts: Sequence[Part], folder: Path, seen: Seen, *, layout: str, classes: tuple[str, ...] | None
) -> Samples:
    """Parts joined; parts without images are left out, parts of another shape are EY-D063."""
    parts = [part for part in parts if len(part.images)]
    if not parts:
        raise DataError("EY-D003", path=folder, left_out="-")
    shape = parts[0].images.shape[1:]
    for part in parts[1:]:
        if part.images.shape[1:] != shape:
            raise DataError("EY-D063", what=part.where, got=part.images.shape[1:], allowed=shape)
    named = [part.labels.dtype.kind in "US" for part in parts]
    if any(named):
        texts = [[_text(label) for label in part.labels.tolist()] for part in parts]
        order = classes or tuple(sorted({label for part in texts for label in part}, key=natural))
        number = {name: i for i, name in enumerate(order)}
        strangers = sorted({label for part in texts for label in part} - set(order))
        if strangers:
            raise DataError(
                "EY-D045", where=parts[0].where, got=listing(strangers), n=len(order), allowed=listing(order, most=20)
            )
        labels = np.array([number[label] for part in texts for label in part], np.int32)
    else:
        values = np.concatenate([part.labels.astype(np.int64) for part in parts])
        if classes is None:
            unique, labels = np.unique(values, return_inverse=True)
            order = tuple(str(value) for value in unique.tolist())
        else:
            order, labels = classes, values
            wrong = np.unique(values[(values < 0) | (values >= len(classes))]).tolist()
            if wrong:
                allowed = f"0..{len(classes) - 1}: {listing(order, most=20)}"
                raise DataError(
                    "EY-D045", where=parts[0].where, got=listing([str(v) for v in wrong]), n=len(order), allowed=allowed
                )
    images = parts[0].images if len(parts) == 1 else np.concatenate([part.images for part in parts])
    return Samples(
        source=ArraySource(images, identity(images, labels)),
        classes=order,
        labels=labels.astype(np.int32),
        splits=np.repeat([int(part.split) for part in parts], [len(part.images) for part in parts]).astype(np.uint8),
        layout=layout,
        root=folder,
    )


def identity(images: NDArray[np.uint8], labels: NDArray[np.generic]) -> str:
    """A hash of shape, pixels and labels: what the data is, wherever its files lie and however they are packed."""
    digest = hashlib.sha256(f"{images.shape} ".encode())
    digest.update(np.ascontiguousarray(images).reshape(-1).data)
    digest.update(np.ascontiguousarray(labels, np.int32).tobytes())
    return digest.hexdigest()
