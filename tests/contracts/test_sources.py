"""The contract of a layout: every way of keeping the same labelled images gives the same samples.

A new layout joins by adding a function to LAYOUTS that writes the corpus below its way. All of them hold the same
images: `corpus()` is a list of (class, file name, split).
"""

import gzip
import json
import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyas.data.samples import ArraySource, FileSource, Split
from eyas.data.source import find

CLASSES = ("cat", "dog 2", "dog 10", "猫咪 B")
PER_CLASS = 4


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("EYAS_LANG", "en")


SEED = {"order": 7}
"""Of the order in which the corpus is written; a test changes it."""


def pixels(label, number):
    rng = np.random.default_rng(100 * label + number)
    return rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)


def corpus():
    """(class, number, split), in an order that is neither sorted nor grouped."""
    items = [
        (label, number, Split.TEST if number == 3 else Split.VAL if number == 2 else Split.TRAIN)
        for label in range(len(CLASSES))
        for number in range(PER_CLASS)
    ]
    random.Random(SEED["order"]).shuffle(items)
    return items


def file_name(number):
    return f"photo {number * 5} 图.{'PNG' if number % 2 else 'png'}"


def save(path, label, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels(label, number)).save(path, "PNG")


def litter(root):
    """What operating systems, archivers and people leave behind."""
    for name in (".DS_Store", "Thumbs.db", "LICENSE", "notes.txt", "__MACOSX/cat/._photo.png", ".hidden/x.png"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no image")


def class_folders(root):
    for label, number, _ in corpus():
        save(root / CLASSES[label] / file_name(number), label, number)
    litter(root)
    return {"data": root}


def split_folders(root):
    names = {Split.TRAIN: "Training", Split.VAL: "valid", Split.TEST: "测试集"}
    for label, number, split in corpus():
        save(root / names[split] / CLASSES[label] / file_name(number), label, number)
    litter(root)
    return {"data": root}


def _table_rows(root):
    for label, number, split in corpus():
        name = f"pictures here/{label}-{file_name(number)}"
        save(root / name, label, number)
        yield name, CLASSES[label], {Split.TRAIN: "train", Split.VAL: "dev", Split.TEST: "test"}[split]


def csv_file(root):
    rows = [f"{path},{label},{split}" for path, label, split in _table_rows(root)]
    (root / "labels.csv").write_text("\n".join(["path,label,split", *rows]) + "\n", "utf-8")
    return {"data": root / "labels.csv"}


def csv_folder(root):
    litter(root)
    csv_file(root)
    return {"data": root}


def csv_gb18030(root):
    rows = [f"{path};{label};{split}" for path, label, split in _table_rows(root)]
    (root / "标签.csv").write_bytes("\r\n".join(["图片;类别;划分", *rows]).encode("gb18030"))
    return {"data": root / "标签.csv"}


def tsv_bom(root):
    rows = [f"{path}\t{label}\t{split}" for path, label, split in _table_rows(root)]
    (root / "labels.tsv").write_bytes(b"\xef\xbb\xbf" + "\n".join(["file_name\tclass\tsubset", *rows]).encode())
    return {"data": root / "labels.tsv"}


def jsonl_file(root):
    lines = [json.dumps({"file_name": p, "label": c, "split": s}) for p, c, s in _table_rows(root)]
    (root / "metadata.jsonl").write_text("\n".join(lines), "utf-8")
    return {"data": root}


def labels_in_names(root):
    for label, number, _ in corpus():
        save(root / f"{CLASSES[label]}_{number * 5}.png", label, number)
    litter(root)
    return {"data": root, "label_from": r"^(.+)_\d+\."}


def idx_files(root):
    for part, wanted in (("train", Split.TRAIN), ("val", Split.VAL), ("t10k", Split.TEST)):
        items = sorted(item for item in corpus() if item[2] is wanted)
        images = np.stack([pixels(label, number)[..., 0] for label, number, _ in items])
        head = struct.pack(">4BIII", 0, 0, 8, 3, *images.shape)
        (root / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + images.tobytes()))
        labels = struct.pack(">4BI", 0, 0, 8, 1, len(items)) + bytes(item[0] for item in items)
        (root / f"{part}-labels-idx1-ubyte").write_bytes(labels)
    (root / "classes.txt").write_text("\n".join(CLASSES), "utf-8")
    return {"data": root}


def npz_file(root):
    arrays = {"classes": np.array(CLASSES)}
    for part, wanted in (("train", Split.TRAIN), ("val", Split.VAL), ("test", Split.TEST)):
        items = sorted(item for item in corpus() if item[2] is wanted)
        arrays[f"x_{part}"] = np.stack([pixels(label, number) for label, number, _ in items])
        arrays[f"y_{part}"] = np.array([[item[0]] for item in items])
    np.savez(root / "data.npz", **arrays)
    return {"data": root / "data.npz"}


LAYOUTS = [
    class_folders, split_folders, csv_file, csv_folder, csv_gb18030, tsv_bom, jsonl_file,
    labels_in_names, idx_files, npz_file,
]  # fmt: skip
WITH_SPLITS = [layout for layout in LAYOUTS if layout not in (class_folders, labels_in_names)]


def look_at(samples, row):
    """The pixels of one sample, whatever the source."""
    if isinstance(samples.source, FileSource):
        with Image.open(samples.source.path(row)) as image:
            return np.asarray(image)
    assert isinstance(samples.source, ArraySource)
    return samples.source.images[row]


def content(samples):
    """{pixels: (class, split)}: what the samples say, apart from names and order."""
    return {
        look_at(samples, row).tobytes(): (samples.classes[samples.labels[row]], Split(int(samples.splits[row])))
        for row in range(len(samples))
    }


@pytest.fixture(params=LAYOUTS, ids=lambda layout: layout.__name__)
def layout(request, tmp_path):
    root = tmp_path / "数据 set"
    root.mkdir()
    return request.param, root, request.param(root)


def test_every_image_has_its_label(layout):
    make, _, arguments = layout
    samples = find(**arguments)
    grey = make is idx_files
    wanted = {
        (pixels(label, n)[..., 0] if grey else pixels(label, n)).tobytes(): CLASSES[label] for label, n, _ in corpus()
    }
    assert {data: label for data, (label, _) in content(samples).items()} == wanted
    assert len(samples) == len(wanted)


def test_the_classes_are_in_natural_order(layout):
    assert find(**layout[2]).classes == CLASSES


def test_names_are_unique_and_in_natural_order(layout):
    samples = find(**layout[2])
    names = [samples.source.name(row) for row in range(len(samples))]
    assert len(set(names)) == len(names)
    numbers = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        stem = last.split(" 图")[0].rpartition(" ")
        if stem[2].isdigit():
            numbers.setdefault((folder, stem[0]), []).append(int(stem[2]))
    assert all(found == sorted(found) for found in numbers.values())


def test_splits_are_as_declared(layout):
    make, _, arguments = layout
    found = {}
    for label, split in content(find(**arguments)).values():
        found.setdefault(split, []).append(label)
    if make in WITH_SPLITS:
        assert {split: len(labels) for split, labels in found.items()} == {Split.TRAIN: 8, Split.VAL: 4, Split.TEST: 4}
        assert all(set(labels) == set(CLASSES) for labels in found.values())
    else:
        assert set(found) == {Split.NONE}


def test_nothing_hidden_and_no_litter_gets_in(layout):
    samples = find(**layout[2])
    for row in range(len(samples)):
        assert not any(part.startswith((".", "__MACOSX")) for part in samples.source.name(row).split("/"))


def test_looking_twice_gives_the_same_and_changes_nothing(layout):
    _, root, arguments = layout
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    one, two = find(**arguments), find(**arguments)
    assert [one.source.name(row) for row in range(len(one))] == [two.source.name(row) for row in range(len(two))]
    assert (one.labels == two.labels).all()
    assert (one.splits == two.splits).all()
    assert (one.layout, one.notes) == (two.layout, two.notes)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_the_order_in_which_files_were_made_does_not_matter(layout, tmp_path, monkeypatch):
    make, _, arguments = layout
    first = find(**arguments)
    monkeypatch.setitem(SEED, "order", 8)
    other = tmp_path / "other" / "数据 set"
    other.mkdir(parents=True)
    second = find(**make(other))
    assert [first.source.name(r) for r in range(len(first))] == [second.source.name(r) for r in range(len(second))]
    assert (first.labels == second.labels).all()
    assert content(first) == content(second)


def test_what_was_recognised_is_said(layout):
    samples = find(**layout[2])
    assert samples.layout
    assert all(note.isprintable() for note in (samples.layout, *samples.notes))


def test_paths_may_be_relative_and_links(layout, tmp_path, monkeypatch):
    _, root, arguments = layout
    link = tmp_path / "link"
    link.symlink_to(root, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    plain = find(**arguments)
    through = Path("link") / os.path.relpath(arguments["data"], root)
    linked = find(**{**arguments, "data": str(through)})
    assert content(linked) == content(plain)


@pytest.mark.parametrize("make", [class_folders, labels_in_names], ids=lambda layout: layout.__name__)
def test_a_folder_of_class_folders_joins_as_val(make, tmp_path):
    root = tmp_path / "数据 set"
    for label in (0, 2):
        save(tmp_path / "elsewhere" / CLASSES[label] / "new.png", label, 50)
    samples = find(**make(root), val=str(tmp_path / "elsewhere"))
    rows = samples.rows(Split.VAL)
    assert sorted(samples.classes[samples.labels[row]] for row in rows) == ["cat", "dog 10"]
    for row in rows:
        assert (look_at(samples, row) == pixels(int(samples.labels[row]), 50)).all()
    assert len(content(samples)) == 18
