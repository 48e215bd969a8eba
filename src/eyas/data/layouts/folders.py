"""Folders: split folders of class folders, class folders, and flat folders whose file names hold the labels."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from eyas.data.layouts.assemble import CLASS_FILE, from_files
from eyas.data.layouts.names import PICKLE_SUFFIXES, listing, nfc, split_of, suffix
from eyas.data.layouts.scan import Folder, Seen
from eyas.data.layouts.tree import Tree, is_file
from eyas.data.samples import Samples, Split
from eyas.errors import DataError
from eyas.errors.messages import say


def read_folder(tree: Tree, seen: Seen, *, label_from: str | None, exclude: frozenset[str] = frozenset()) -> Samples:
    """What a folder of images holds; the most telling layout that fits. Raises EY-D003 and EY-D006 to EY-D013."""
    whole = tree.scan(seen, exclude=exclude)
    if not whole.any():
        for name in tree.listing().files:
            if suffix(name) in PICKLE_SUFFIXES:
                raise pickled(tree.where, name)
        raise DataError("EY-D003", path=tree.where, left_out="; ".join(seen.notes()) or "-")
    if label_from is not None:
        return _from_names(tree, whole, seen, label_from)
    top = _unwrap(whole, seen)
    parts = _split_folders(top)
    if parts and any(_has_classes(folder) for folder, _ in parts):
        return _split_layout(tree, top, parts, seen)
    classes = [folder for folder in top.folders if folder.any()]
    if parts and len(parts) == len(classes):  # train/*.jpg: "train" and "test" are no classes
        raise _flat(tree.where, [name for folder, _ in parts for name in folder.walk()])
    if classes:
        return _class_layout(tree, top, seen)
    raise _flat(tree.where, list(top.walk()))


def _unwrap(tree: Folder, seen: Seen) -> Folder:
    """The folder itself, or the only one inside it: archives often unpack into one more folder."""
    while (
        not tree.images
        and len(tree.folders) == 1
        and _has_classes(tree.folders[0])
        and not split_of(tree.folders[0].last)
    ):
        tree = tree.folders[0]
        seen.note(say("went_into", folder=listing([tree.name])))
    return tree


def _split_folders(top: Folder) -> list[tuple[Folder, Split]]:
    """The folders whose names are names of splits and that hold images."""
    found = [(folder, split_of(folder.last)) for folder in top.folders]
    return [(folder, split) for folder, split in found if split is not None and folder.any()]


def _has_classes(folder: Folder) -> bool:
    return any(inner.any() for inner in folder.folders)


def _split_layout(tree: Tree, top: Folder, parts: list[tuple[Folder, Split]], seen: Seen) -> Samples:
    names: list[str] = []
    labels: list[str] = []
    splits: list[Split] = []
    used: list[str] = []
    for folder, split in parts:
        if not _has_classes(folder):
            seen.note(say("part_without_labels", folder=listing([folder.name]), n=len(folder.images)))
            continue
        used.append(folder.last)
        _note_loose(folder, seen)
        for name, label in _class_files(folder, seen):
            names.append(name)
            labels.append(label)
            splits.append(split)
    _note_loose(top, seen)
    others = [f.last for f in top.folders if split_of(f.last) is None and f.any()]
    if others:
        seen.note(say("folders_beside_splits", folders=listing(others), splits=listing(used)))
    if len({split for _, split in parts}) < len(parts):
        seen.note(say("splits_named_twice", folders=listing(used)))
    places = [top.name, *(folder.name for folder, _ in parts)]
    classes_in = next((place for place in places if is_file(tree, posixpath.join(place, CLASS_FILE))), top.name)
    return from_files(
        tree, names, labels, splits, layout=say("layout_splits", splits=listing(used)), seen=seen, classes_in=classes_in
    )


def _class_layout(tree: Tree, top: Folder, seen: Seen) -> Samples:
    _note_loose(top, seen)
    like_splits = [folder.last for folder in top.folders if split_of(folder.last) and folder.any()]
    if like_splits:
        seen.note(say("splits_read_as_classes", folders=listing(like_splits)))
    names: list[str] = []
    labels: list[str] = []
    for name, label in _class_files(top, seen):
        names.append(name)
        labels.append(label)
    layout = say("layout_classes")
    none = [Split.NONE] * len(names)
    return from_files(tree, names, labels, none, layout=layout, seen=seen, classes_in=top.name)


def _class_files(folder: Folder, seen: Seen) -> list[tuple[str, str]]:
    """(name, class) of every image in the class folders of `folder`; deeper folders belong to their class."""
    out: list[tuple[str, str]] = []
    empty: list[str] = []
    written: dict[str, str] = {}
    for inner in folder.folders:
        label = nfc(inner.last)
        before = len(out)
        out += [(name, label) for name in inner.walk()]
        if len(out) == before:
            empty.append(inner.name)
        elif written.setdefault(label, inner.last) != inner.last:
            seen.note(say("classes_written_twice", name=label))
        if any(deeper.any() for deeper in inner.folders):
            seen.note(say("deeper_folders"))
    if empty:
        seen.note(say("empty_classes", n=len(empty), examples=listing(empty)))
    return out


def _note_loose(folder: Folder, seen: Seen) -> None:
    if folder.images:
        seen.unlabelled += [f"{folder.name}/{name}" if folder.name else name for name in folder.images]
        seen.note(
            say(
                "loose_images", n=len(folder.images), folder=folder.name or ".", examples=listing(folder.images, most=3)
            )
        )


def _from_names(tree: Tree, whole: Folder, seen: Seen, label_from: str) -> Samples:
    """Labels by `--label-from`: `parent`, or a regular expression whose one group is the label."""
    find = None if label_from == "parent" else compile_label(label_from)
    parts = {folder.name: split for folder, split in _split_folders(whole)}
    names: list[str] = []
    labels: list[str] = []
    splits: list[Split] = []
    missed: list[str] = []
    for name in whole.walk():
        folder, _, last = name.rpartition("/")
        if find is None:
            label = folder.rpartition("/")[2]
        else:
            hit = find.search(name if "/" in label_from else last)
            label = (hit.group(1) or "").strip() if hit else ""
        if not label:
            missed.append(name)
            continue
        names.append(name)
        labels.append(nfc(label))
        splits.append(parts.get(name.partition("/")[0], Split.NONE))
    if len(missed) > len(names):
        raise DataError(
            "EY-D013", pattern=label_from, n=len(missed), total=len(missed) + len(names), examples=listing(missed)
        )
    if missed:
        seen.unlabelled += missed
        seen.note(say("names_without_label", n=len(missed), examples=listing(missed, most=3)))
    layout = say("layout_parent") if find is None else say("layout_names", pattern=label_from)
    return from_files(tree, names, labels, splits, layout=layout, seen=seen)


def compile_label(pattern: str) -> re.Pattern[str]:
    """The compiled `--label-from`; EY-D011 when it is no regular expression, EY-D012 without exactly one group."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise DataError("EY-D011", pattern=pattern, reason=error) from error
    if compiled.groups != 1:
        raise DataError("EY-D012", pattern=pattern, n=compiled.groups)
    return compiled


_PROPOSALS = (
    r"^(.+)_\d+\.",
    r"^(.+)-\d+\.",
    r"^(.+)\.\d+\.",
    r"^(.+) \(\d+\)\.",
    r"^(.+) \d+\.",
    r"^(\D+)\d+\.",
    r"^\d+_(.+)\.",
    r"^\d+-(.+)\.",
    r"^([^_]+)_",
    r"^([^-]+)-",
)


def propose(names: Sequence[str]) -> tuple[str, list[str]] | None:
    """A `--label-from` that makes sense of flat file names, with the classes it gives, or None.

    >>> propose(["cat_1.jpg", "cat_2.jpg", "dog_1.jpg", "dog_2.jpg"])
    ('^(.+)_\\\\d+\\\\.', ['cat', 'dog'])
    """
    for pattern in _PROPOSALS:
        labels: dict[str, int] = {}
        for name in names:
            hit = re.search(pattern, name.rpartition("/")[2])
            if hit is None:
                break
            labels[hit.group(1)] = labels.get(hit.group(1), 0) + 1
        else:  # plain to see: every name fits, there are several classes, and each has several images
            if len(labels) >= 2 and min(labels.values()) >= 2:
                return pattern, sorted(labels)
    return None


def _flat(root: Path, names: list[str]) -> DataError:
    """The error for images whose labels are nowhere; with the exact command when their names tell."""
    proposal = propose(names)
    examples = listing(names, most=3)
    if proposal is None:
        return DataError("EY-D007", path=root, n=len(names), examples=examples)
    pattern, classes = proposal
    command = f"eyas train {shlex.quote(str(root))} --label-from {shlex.quote(pattern)}"
    return DataError(
        "EY-D006", path=root, n=len(names), examples=examples, k=len(classes), classes=listing(classes), command=command
    )


def refuse_pickles(tree: Tree) -> None:
    """Raises EY-D008 for a folder of pickled batches, as CIFAR's "python version" has them."""
    files = set(tree.listing().files)
    batches = [n for n in files if re.fullmatch(r"data_batch_\d+|test_batch|batches\.meta", n)]
    cifar100 = {"train", "test", "meta"} <= files
    if len(batches) >= 2 or cifar100:
        raise pickled(tree.where, listing(sorted(batches or ["train", "test", "meta"])))


def pickled(path: Path, name: str) -> DataError:
    """The error for a pickle, with the conversion that fits its kind."""
    kind = suffix(name.partition(",")[0])
    convert = "convert_torch" if kind in (".pt", ".pth") else "convert_npy" if kind == ".npy" else "convert_pickle"
    return DataError("EY-D008", path=path, name=name, convert=say(convert))
