"""The contract of a layout: every way of keeping the same labelled images gives the same samples.

A new layout joins by adding a function to LAYOUTS that writes the corpus below its way. All of them hold the same
images: `corpus()` is a list of (class, file name, split).
"""

import gzip
import hashlib
import io
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyas.data.layouts.assemble import take
from eyas.data.samples import ArraySource, ByteSource, Split
from eyas.data.source import find, look

CLASSES = ("cat", "dog 2", "dog 10", "猫咪 B")
PER_CLASS = 4


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("EYAS_LANG", "en")
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "cache"))


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


def encoded(label, number):
    """The bytes of one image file."""
    out = io.BytesIO()
    Image.fromarray(pixels(label, number)).save(out, "PNG")
    return out.getvalue()


def save(path, label, number):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(label, number))


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


def metadata_of_splits(root):
    """As Hugging Face keeps folders of images: a table in the folder of each split."""
    rows = {}
    for label, number, split in corpus():
        folder = {Split.TRAIN: "train", Split.VAL: "validation", Split.TEST: "test"}[split]
        name = f"{label}-{file_name(number)}"
        save(root / folder / name, label, number)
        rows.setdefault(folder, []).append(f"{name},{CLASSES[label]}")
    for folder, lines in rows.items():
        (root / folder / "metadata.csv").write_text("\n".join(["file_name,label", *lines]), "utf-8")
    return {"data": root}


def splits_in_paths(root):
    """One table above the folders of the splits, which only its paths name."""
    lines = []
    for label, number, split in corpus():
        folder = {Split.TRAIN: "train", Split.VAL: "validation", Split.TEST: "test"}[split]
        name = f"{folder}/{label}-{file_name(number)}"
        save(root / name, label, number)
        lines.append(json.dumps({"file_name": name, "label": CLASSES[label]}))
    (root / "metadata.jsonl").write_text("\n".join(lines), "utf-8")
    return {"data": root}


def _loose(root, make):
    """A layout written beside `root`, to be put into an archive: (folder, names of its files in no order)."""
    folder = root.parent / "loose"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    arguments = make(folder)
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    random.Random(SEED["order"]).shuffle(names)
    return folder, names, {key: value for key, value in arguments.items() if key != "data"}


def zipped(make, method):
    def layout(root):
        folder, names, more = _loose(root, make)
        with zipfile.ZipFile(root / "photos.zip", "w", method) as archive:
            for name in names:
                archive.write(folder / name, name)
        return {"data": root / "photos.zip", **more}

    layout.__name__ = f"{make.__name__}_in_{'stored' if method == zipfile.ZIP_STORED else 'deflated'}_zip"
    return layout


def tarred(make, mode, end, before=""):
    def layout(root):
        folder, names, more = _loose(root, make)
        with tarfile.open(root / f"photos{end}", mode) as archive:
            for name in names:
                archive.add(folder / name, f"{before}{name}")
        return {"data": root / f"photos{end}", **more}

    layout.__name__ = f"{make.__name__}_in{end}"
    return layout


def zips_of_splits(root):
    """train.zip, val.zip and test.zip beside one another."""
    for name, wanted in (("train", Split.TRAIN), ("val", Split.VAL), ("test", Split.TEST)):
        with zipfile.ZipFile(root / f"{name}.zip", "w") as archive:
            for label, number, split in corpus():
                if split is wanted:
                    archive.writestr(f"{CLASSES[label]}/{file_name(number)}", encoded(label, number))
    return {"data": root}


def _shard(path, items, label_of):
    with tarfile.open(path, "w") as archive:
        for label, number in items:
            for end, data in (("png", encoded(label, number)), label_of(label)):
                info = tarfile.TarInfo(f"{label}-photo {number * 5} 图.{end}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))


def shards(root):
    """WebDataset; numbers in .cls, names beside the shards."""
    for name, wanted in (("train", Split.TRAIN), ("val", Split.VAL), ("test", Split.TEST)):
        for half in (0, 1):
            items = [(label, n) for label, n, split in corpus() if split is wanted and label % 2 == half]
            _shard(root / f"{name}-{half:03d}.tar", items, lambda label: ("cls", f"{label}\n".encode()))
    (root / "classnames.txt").write_text("\n".join(CLASSES), "utf-8")
    return {"data": root}


def shards_by_braces(root):
    """The same, named by a pattern; labels are in JSON."""
    for name, wanted in (("train", Split.TRAIN), ("val", Split.VAL), ("test", Split.TEST)):
        items = [(label, n) for label, n, split in corpus() if split is wanted]
        _shard(root / f"{name}-0.tar", items, lambda label: ("json", json.dumps({"label": CLASSES[label]}).encode()))
    return {"data": root / "{train,val,test}-{0..0}.tar"}


def parquet(root, *, named=True):
    """As `datasets` writes it: a struct of bytes and path, a ClassLabel, a file or more for each split."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (root / "data").mkdir()
    feature = {"image": {"_type": "Image"}, "label": {"names": list(CLASSES), "_type": "ClassLabel"}}
    for name, wanted in (("train", Split.TRAIN), ("validation", Split.VAL), ("test", Split.TEST)):
        items = sorted(item for item in corpus() if item[2] is wanted)
        for half in (0, 1):
            rows = items[half::2]
            kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            images = pa.array([{"bytes": encoded(label, n), "path": file_name(n)} for label, n, _ in rows], kind)
            labels = pa.array([label if named else CLASSES[label] for label, _, _ in rows])
            table = pa.table({"image": images, "label": labels})
            if named:
                table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": feature}})})
            pq.write_table(table, root / "data" / f"{name}-{half:05d}-of-00002.parquet", row_group_size=3)
    return {"data": root}


def parquet_of_names(root):
    """The same with labels that are text."""
    return parquet(root, named=False)


NO_SPLITS = [
    class_folders, labels_in_names,
    zipped(class_folders, zipfile.ZIP_STORED), zipped(class_folders, zipfile.ZIP_DEFLATED),
    zipped(labels_in_names, zipfile.ZIP_DEFLATED),
    tarred(class_folders, "w", ".tar", "./"), tarred(class_folders, "w:gz", ".tar.gz", "one folder/"),
]  # fmt: skip
WITH_SPLITS = [
    split_folders, csv_file, csv_folder, csv_gb18030, tsv_bom, jsonl_file, metadata_of_splits, splits_in_paths,
    idx_files, npz_file, shards, shards_by_braces, zips_of_splits,
    zipped(split_folders, zipfile.ZIP_DEFLATED), zipped(csv_folder, zipfile.ZIP_DEFLATED),
    zipped(metadata_of_splits, zipfile.ZIP_STORED), tarred(split_folders, "w:xz", ".tar.xz"),
    tarred(csv_gb18030, "w:bz2", ".tar.bz2"), tarred(jsonl_file, "w", ".tar", "one folder/"),
]  # fmt: skip
if find_spec("pyarrow") is not None:
    WITH_SPLITS += [parquet, parquet_of_names]
LAYOUTS = NO_SPLITS + WITH_SPLITS


def look_at(samples, row):
    """The pixels of one sample, whatever the source."""
    if isinstance(samples.source, ByteSource):
        with Image.open(io.BytesIO(samples.source.read(row))) as image:
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


@pytest.mark.parametrize(
    "make", [class_folders, zipped(class_folders, zipfile.ZIP_DEFLATED), shards], ids=lambda layout: layout.__name__
)
def test_an_archive_joins_as_test_under_names_of_its_own(make, tmp_path):
    root = tmp_path / "数据 set"
    root.mkdir()
    arguments = make(root)
    if make is shards:
        for path in [*root.glob("test-*"), *root.glob("val-*")]:
            path.unlink()
    other = tmp_path / "elsewhere"
    other.mkdir()
    extra = zipped(class_folders, zipfile.ZIP_STORED)(other)["data"]
    alone, samples = look(**arguments), find(**arguments, test=str(extra))
    names = [samples.source.name(row) for row in range(len(samples))]
    assert len(set(names)) == len(names)
    assert names[: len(alone)] == [alone.source.name(row) for row in range(len(alone))]
    for row in samples.rows(Split.TEST):
        assert any((look_at(samples, row) == pixels(int(samples.labels[row]), n)).all() for n in range(PER_CLASS))
    assert len(samples.source.stat()) == len(samples)


READ = """
import hashlib, json, sys
from eyas.data.places import read
for place, stat in json.load(sys.stdin):
    print(hashlib.sha256(read(place, tuple(stat))).hexdigest())
"""


def test_another_process_reads_the_same_bytes_from_places_that_went_through_json(layout):
    samples = find(**layout[2])
    if not isinstance(samples.source, ByteSource):
        pytest.skip("raw pixels are in memory")
    source, n = samples.source, len(samples)
    told = json.dumps([[source.place(row), stat] for row, stat in enumerate(source.stat().tolist())])
    done = subprocess.run([sys.executable, "-c", READ], input=told, capture_output=True, text=True, check=True)
    wanted = {hashlib.sha256(encoded(label, number)).hexdigest() for label, number, _ in corpus()}
    assert done.stdout.split() == [hashlib.sha256(source.read(row)).hexdigest() for row in range(n)]
    assert set(done.stdout.split()) == wanted


def test_a_file_that_was_touched_has_another_stat_or_identity(layout):
    _, root, arguments = layout
    before = find(**arguments).source
    stat = before.stat()
    for path in root.rglob("*"):
        if path.is_file():
            os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))
    after = find(**arguments).source
    if isinstance(before, ByteSource):
        assert (stat != after.stat()).any(axis=1).all()
    else:  # raw pixels are known by their content
        assert before.identity == after.identity


def test_taking_some_rows_keeps_their_bytes_and_names(layout):
    samples = find(**layout[2])
    rows = np.arange(1, len(samples), 3)
    some = take(samples, rows)
    assert [some.source.name(at) for at in range(len(rows))] == [
        str(samples.source.name(row)) if isinstance(samples.source, ByteSource) else f"{at:06d}"
        for at, row in enumerate(rows)
    ]
    assert all((look_at(some, at) == look_at(samples, row)).all() for at, row in enumerate(rows))
