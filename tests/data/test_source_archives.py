import bz2
import gzip
import io
import lzma
import os
import random
import struct
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

from eyas.artifact.preprocess import Fit
from eyas.data import packing as packs
from eyas.data.layouts.archive import open_archive
from eyas.data.layouts.members import Limits, safe_name
from eyas.data.layouts.scan import Seen
from eyas.data.places import Changed
from eyas.data.samples import ContainerSource, Split
from eyas.data.source import find, look
from eyas.errors import DataError


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("EYAS_LANG", "en")
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "cache"))


def png(number=0, side=8):
    out = io.BytesIO()
    rng = np.random.default_rng(number)
    Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


def bmp(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "BMP")
    return out.getvalue()


PHOTOS = {f"{label}/{number}.png": png(10 * at + number) for at, label in enumerate("ab") for number in range(3)}


def make_zip(path, members=None, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in (PHOTOS if members is None else members).items():
            archive.writestr(name, data)
    return path


def entry(name, data=b"", **values):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in values.items():
        setattr(info, key, value)
    return info, io.BytesIO(data)


def make_tar(path, entries=None, mode="w", format=tarfile.PAX_FORMAT):
    with tarfile.open(path, mode, format=format) as archive:
        for info, data in [entry(*item) for item in PHOTOS.items()] if entries is None else entries:
            archive.addfile(info, data)
    return path


def refused(code, data, **limits):
    def attempt():
        return open_archive(data, Seen(), limits=Limits(**limits)) if limits else look(data)

    with pytest.raises(DataError) as info:
        attempt()
    assert info.value.code == code, info.value
    return info.value.text("en")


def names(samples):
    return [samples.source.name(row) for row in range(len(samples))]


def contents(samples):
    return {samples.source.name(row): samples.source.read(row) for row in range(len(samples))}


# ---- what is read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_pack_of_an_archive_holds_the_same_pixels_as_of_its_folder(tmp_path, method):
    for name, data in PHOTOS.items():
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_bytes(data)
    rows = np.arange(len(PHOTOS))
    built = [
        packs.build(look(data), rows, program=Fit(None, 3), cache=tmp_path / "c", workers=1)
        for data in (tmp_path / "photos", make_zip(tmp_path / "photos.zip", method=method))
    ]
    assert not any(pack.bad for pack in built)
    assert (built[0].uniform == built[1].uniform).all()
    assert (built[0].hashes == built[1].hashes).all()


def test_an_archive_that_changes_after_it_was_listed_is_never_read_at_old_places(tmp_path):
    samples = look(make_zip(tmp_path / "x.zip", method=zipfile.ZIP_STORED))
    make_zip(tmp_path / "x.zip", dict(reversed(PHOTOS.items())), zipfile.ZIP_STORED)
    os.utime(tmp_path / "x.zip", ns=(1, 1))
    with pytest.raises(OSError, match=r"[Ss]tale"):
        samples.source.read(0)
    with pytest.raises(DataError) as info:
        packs.build(samples, np.arange(len(samples)), program=Fit(None, 3), cache=tmp_path / "c", workers=1)
    assert info.value.code == "EY-D141"
    assert issubclass(Changed, Exception)


def test_nothing_of_an_archive_is_written_beside_it(tmp_path):
    box = tmp_path / "box"
    box.mkdir()
    make_zip(box / "x.zip")
    make_tar(box / "y.tar.gz", mode="w:gz")
    look(box / "x.zip")
    look(box / "y.tar.gz")
    assert sorted(path.name for path in box.iterdir()) == ["x.zip", "y.tar.gz"]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_and_chinese_names_are_read_from_every_kind_of_tar(tmp_path, format):
    long = "a/" + "长名字" * 15 + "x" * 40 + ".png" if format != tarfile.USTAR_FORMAT else "a/猫.png"
    wanted = {long: png(1), "b/2.png": png(2), f"b/{'d' * 60}/{'e' * 60}.png": png(3)}
    found = contents(look(make_tar(tmp_path / "x.tar", [entry(*item) for item in wanted.items()], format=format)))
    assert found == wanted


@pytest.mark.parametrize("raw", ["utf-8", "gb18030"])
def test_names_without_the_flag_for_utf8_are_read_as_they_were_meant(tmp_path, raw):
    path = tmp_path / "x.zip"
    make_zip(path, {"CCCCCC/1.png": png(1), "b/2.png": png(2)})
    name = "猫咪".encode(raw)
    path.write_bytes(path.read_bytes().replace(b"CCCCCC", name.ljust(6, b"_")))
    samples = look(path)
    assert ("猫咪" if raw == "utf-8" else "猫咪__") in samples.classes
    assert any(raw.upper() in note for note in samples.notes)
    tar = make_tar(tmp_path / "x.tar", [entry("CCCCCC/1.png", png(1)), entry("b/2.png", png(2))], format=0)
    info = tarfile.TarInfo("CCCCCC/1.png")
    info.size = len(png(1))
    block = bytearray(tar.read_bytes()[:512])
    block[:6] = name.ljust(6, b"_")
    block[148:156] = b"        "
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    tar.write_bytes(bytes(block) + tar.read_bytes()[512:])
    assert ("猫咪" if raw == "utf-8" else "猫咪__") in look(tar).classes


def test_backslashes_of_windows_are_folders(tmp_path):
    assert look(make_zip(tmp_path / "x.zip", {"a\\1.png": png(), "b\\2.png": png()})).classes == ("a", "b")


def test_of_two_files_of_one_name_the_last_counts_and_it_is_said(tmp_path):
    twice = [entry("a/1.png", png(1)), entry("b/2.png", png(2)), entry("./a//1.png", png(3))]
    samples = look(make_tar(tmp_path / "x.tar", twice))
    assert contents(samples)["a/1.png"] == png(3)
    assert any("twice" in note for note in samples.notes)


def test_a_zip_behind_other_bytes_and_with_64_bit_sizes_is_read(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in PHOTOS.items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(data)
    path.write_bytes(b"#!/bin/sh\n" * 50 + path.read_bytes())
    assert contents(look(path)) == PHOTOS


def test_a_tar_whose_last_file_is_a_zip_is_a_tar(tmp_path):
    inner = make_zip(tmp_path / "x.zip", {"c/1.png": png()}).read_bytes()
    entries = [*(entry(*item) for item in PHOTOS.items()), entry("inner.zip", inner)]
    assert look(make_tar(tmp_path / "y.tar", entries)).classes == ("a", "b")


def test_an_archive_goes_by_its_content_and_not_by_its_suffix(tmp_path):
    assert contents(look(make_zip(tmp_path / "x.tar"))) == PHOTOS
    assert contents(look(make_tar(tmp_path / "x.zip"))) == PHOTOS
    assert contents(look(make_tar(tmp_path / "y.tar", mode="w:gz"))) == PHOTOS


def test_several_archives_in_a_folder_are_folders(tmp_path):
    for label in ("n01", "n02"):
        make_tar(tmp_path / f"{label}.tar", [entry(f"{label}_{n}.png", png(n)) for n in range(2)])
    samples = find(tmp_path)
    assert samples.classes == ("n01", "n02")
    assert names(samples)[:2] == ["n01/n01_0.png", "n01/n01_1.png"]
    assert any("n02.tar" in note for note in samples.notes)


def test_an_archive_beside_class_folders_is_left_out(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(png())
    make_zip(tmp_path / "copy.zip")
    assert len(look(tmp_path)) == 2


def test_a_table_in_an_archive_may_lead_upwards_but_not_out(tmp_path):
    inside = {"set/lists/labels.csv": b"path,label\n../images/1.png,a\n../images/2.png,b\n"}
    inside |= {"set/images/1.png": png(1), "set/images/2.png": png(2)}
    made = make_zip(tmp_path / "x.zip", inside)
    assert look(made, label_from="parent").classes == ("images",)
    flat = {"labels.csv": b"path,label\n../outside.png,a\n1.png,b\n", "1.png": png(1)}
    (tmp_path / "outside.png").write_bytes(png())
    assert "outside.png" in refused("EY-D022", make_zip(tmp_path / "y.zip", flat))


def test_classes_txt_and_label_from_work_inside_an_archive(tmp_path):
    made = make_zip(tmp_path / "x.zip", PHOTOS | {"classes.txt": b"b\na\n"})
    assert look(made).classes == ("b", "a")
    flat = make_zip(
        tmp_path / "y.zip", {"cat_1.png": png(), "cat_2.png": png(), "dog_1.png": png(), "dog_2.png": png()}
    )
    assert f"eyas train {flat} --label-from" in refused("EY-D006", flat)
    assert find(flat, label_from=r"^(.+)_\d+\.").classes == ("cat", "dog")


def test_pickled_batches_in_an_archive_are_refused_with_the_conversion(tmp_path):
    batches = [entry(f"cifar-10-batches-py/{name}", b"\x80\x02") for name in ("data_batch_1", "test_batch")]
    assert "pickle.load" in refused("EY-D008", make_tar(tmp_path / "cifar.tar.gz", batches, "w:gz"))


def test_a_damaged_picture_in_an_archive_costs_that_picture_and_its_pack_is_kept(tmp_path):
    path = tmp_path / "x.zip"
    grey = bmp(np.random.default_rng(0).integers(0, 99, (400, 400), dtype=np.uint8))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=0) as archive:
        for name, data in (PHOTOS | {"a/grey.bmp": grey}).items():
            archive.writestr(name, data)
    data = bytearray(path.read_bytes())
    begins = data.index(b"a/grey.bmp") + 10
    data[begins + 80_000 : begins + 160_000] = bytes(80_000)  # the head of a block in it is now wrong
    path.write_bytes(data)
    samples = look(path)
    row = names(samples).index("a/grey.bmp")
    assert 50_000 < len(samples.source.read(row)) < len(grey)
    rows = np.arange(len(samples))
    first, second = (
        packs.build(samples, rows, program=Fit(None, 3), cache=tmp_path / "c", workers=1) for _ in range(2)
    )
    assert list(first.bad) == [row]
    assert (first.built, second.built) == (True, False)


# ---- compressed tars ---------------------------------------------------------------------------------------------

PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("end", PACK)
def test_a_compressed_tar_is_unpacked_once_and_read_in_place(tmp_path, end):
    plain = make_tar(tmp_path / "x.tar").read_bytes()
    path = tmp_path / f"x.tar{end}"
    path.write_bytes(PACK[end](plain))
    samples = look(path)
    assert contents(samples) == PHOTOS
    assert isinstance(samples.source, ContainerSource)
    (held,) = samples.source.files
    assert held.parent == tmp_path / "cache" / "unpacked"
    assert held.read_bytes() == plain
    before = held.stat().st_mtime_ns
    assert (look(path).source.stat() == samples.source.stat()).all()
    assert held.stat().st_mtime_ns == before
    assert not list(held.parent.glob("*.partial"))
    path.write_bytes(PACK[end](plain) + b"")
    os.utime(path, ns=(5, 5))
    assert look(path).source.files != samples.source.files


@pytest.mark.parametrize("end", PACK)
def test_several_compressed_streams_after_one_another_are_one_tar(tmp_path, end):
    plain = make_tar(tmp_path / "x.tar").read_bytes()
    path = tmp_path / f"x.tar{end}"
    path.write_bytes(b"".join(PACK[end](plain[at : at + 3000]) for at in range(0, len(plain), 3000)))
    assert contents(look(path)) == PHOTOS


@pytest.mark.parametrize("end", PACK)
def test_a_damaged_compressed_tar_is_refused_and_leaves_nothing(tmp_path, end):
    rng = np.random.default_rng(0).integers(0, 256, 300_000, dtype=np.uint8).tobytes()
    plain = make_tar(tmp_path / "x.tar", [entry("a/1.png", rng), entry("b/2.png", png())]).read_bytes()
    good = PACK[end](plain)
    path = tmp_path / f"x.tar{end}"
    middle = len(good) // 2
    for data in (good[:-30], good[:middle], good[:middle] + bytes([good[middle] ^ 255]) + good[middle + 1 :], good[:4]):
        path.write_bytes(data)
        refused("EY-D074", path)
    path.write_bytes(PACK[end](b"no tar at all" * 100))
    refused("EY-D074", path)
    assert [p.suffix for p in (tmp_path / "cache" / "unpacked").iterdir() if p.suffix != ".lock"] == []


@pytest.mark.parametrize("end", PACK)
def test_a_tar_that_unpacks_a_thousandfold_is_refused_before_it_fills_the_disk(tmp_path, end):
    big = tmp_path / f"x.tar{end}"
    with tarfile.open(big, f"w:{end[1:]}") as archive:
        archive.addfile(*entry("a/1.bmp", bytes(64 << 20)))
    assert ":1" in refused("EY-D076", big)
    assert not [p for p in (tmp_path / "cache" / "unpacked").iterdir() if p.suffix != ".lock"]


def test_a_cache_that_cannot_be_written_is_said(tmp_path, monkeypatch):
    from eyas.errors import StorageError

    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "file"))
    with pytest.raises(StorageError) as info:
        look(make_tar(tmp_path / "x.tar.gz", mode="w:gz"))
    assert info.value.code == "EY-S102"


# ---- what is refused ---------------------------------------------------------------------------------------------


def test_damaged_archives_are_refused(tmp_path):
    good = make_zip(tmp_path / "x.zip").read_bytes()
    tar = make_tar(tmp_path / "y.tar", format=tarfile.USTAR_FORMAT).read_bytes()
    flipped = tar[:700] + b"\xff" * 40 + tar[740:]  # inside the first picture: nobody can tell but its decoder
    for data in (
        b"",
        b"PK",
        b"PK\3\4" + b"x" * 600,
        good[:-30],
        good[:200],
        b"x" * 600,
        tar[:600],
        tar[:512] + tar[:900],
    ):
        for name in ("z.zip", "z.tar"):
            (tmp_path / name).write_bytes(data)
            refused("EY-D074", tmp_path / name)
    (tmp_path / "z.tar").write_bytes(flipped)
    assert len(look(tmp_path / "z.tar")) == 6
    at = tar.index(b"a/1.png")
    (tmp_path / "z.tar").write_bytes(tar[:at] + b"X" + tar[at + 1 :])  # a header whose checksum is wrong
    assert str(at) in refused("EY-D074", tmp_path / "z.tar")
    moved = bytearray(good)
    directory = good.index(b"PK\1\2")
    struct.pack_into("<I", moved, directory + 42, 7)  # where the first file begins
    (tmp_path / "z.zip").write_bytes(moved)
    refused("EY-D074", tmp_path / "z.zip")


def test_an_encrypted_archive_is_refused(tmp_path):
    path = make_zip(tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\1\2")
    data[at + 8] |= 1
    path.write_bytes(data)
    assert "a/0.png" in refused("EY-D075", path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_compression_are_refused_by_number(tmp_path, method):
    assert f"method {method}" in refused("EY-D077", make_zip(tmp_path / "x.zip", method=method))


def test_a_bomb_in_a_zip_is_refused_with_its_name_and_ratio(tmp_path):
    text = refused("EY-D076", make_zip(tmp_path / "x.zip", PHOTOS | {"a/bomb.bmp": bytes(20 << 20)}))
    assert "a/bomb.bmp" in text
    assert "250:1" in text


def test_members_that_share_their_bytes_are_refused(tmp_path):
    """As in "A better zip bomb" (Fifield, 2019): each of many names leads to the same data."""
    path = make_zip(tmp_path / "x.zip", {"a/0.png": bytes(15 << 20)})
    data = path.read_bytes()
    at, end = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    one = data[at:end]
    many = b"".join(one.replace(b"a/0.png", f"a/{n}.png".encode()) for n in range(10))
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, 10, 10, len(many))
    path.write_bytes(data[:at] + many + tail)
    refused("EY-D076", path)


def test_limits_on_number_and_size_hold_for_zip_and_tar(tmp_path):
    for made in (make_zip(tmp_path / "x.zip"), make_tar(tmp_path / "x.tar")):
        assert len(open_archive(made, Seen(), limits=Limits(members=6)).names) == 6
        assert "5" in refused("EY-D076", made, members=5)
        refused("EY-D076", made, member_bytes=100)
        refused("EY-D076", made, total_bytes=1000)


def test_a_tar_that_leads_backwards_or_never_ends_is_refused(tmp_path):
    def header(name, size, kind=b"0"):
        info = tarfile.TarInfo(name)
        info.type = kind
        block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
        block[124:136] = size
        block[148:156] = b"        "
        block[148:156] = f"{sum(block):06o}\0 ".encode()
        return bytes(block)

    minus = (-512).to_bytes(12, "big", signed=True)
    huge = b"\x80" + (1 << 60).to_bytes(11, "big")
    for size in (minus, huge):
        for kind in (b"0", b"x", b"L", b"g", b"S", b"9"):
            (tmp_path / "x.tar").write_bytes(header("a/1.png", size, kind) + bytes(2048))
            refused("EY-D074", tmp_path / "x.tar")
    record = b"20 size=-1000000000\n"
    pax = header("p", b"%011o\0" % len(record), b"x") + record.ljust(512, b"\0")
    (tmp_path / "x.tar").write_bytes(pax + header("a/1.png", b"%011o\0" % 4) + bytes(2048))
    refused("EY-D074", tmp_path / "x.tar")
    chain = (header("p", b"%011o\0" % 0, b"x")) * 20_000  # headers of headers: no recursion
    (tmp_path / "x.tar").write_bytes(chain + bytes(1024))
    refused("EY-D003", tmp_path / "x.tar")


def test_only_regular_files_under_safe_names_get_in(tmp_path):
    bad = [
        entry("../up.png", png()), entry("/abs.png", png()), entry("a/../../up.png", png()), entry("C:\\x.png", png()),
        entry("C:/x.png", png()), entry("..\\up.png", png()),
    ]  # fmt: skip
    special = [
        entry("a/link.png", type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        entry("a/hard.png", type=tarfile.LNKTYPE, linkname="../../etc/passwd"),
        entry("a/null.png", type=tarfile.CHRTYPE, devmajor=1, devminor=5),
        entry("a/pipe.png", type=tarfile.FIFOTYPE),
        entry("a/disk.png", type=tarfile.BLKTYPE),
    ]
    good = [entry(*item) for item in PHOTOS.items()]
    samples = look(make_tar(tmp_path / "x.tar", [*bad, *special, *good]))
    assert contents(samples) == PHOTOS
    assert any("6 files of the archive left out" in note for note in samples.notes)
    assert any("5 entries that are not regular files" in note for note in samples.notes)
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
        for name in ("../up.png", "/abs.png", "C:\\x.png", "..\\up.png"):
            archive.writestr(name, png())
        for item in PHOTOS.items():
            archive.writestr(*item)
    samples = look(tmp_path / "x.zip")
    assert contents(samples) == PHOTOS
    assert any("4 files of the archive left out" in note for note in samples.notes)


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a/b.png", "a/b.png"), ("./a/./b.png", "a/b.png"), ("a//b.png", "a/b.png"), ("a..b/..c.png", "a..b/..c.png"),
        ("/a", None), ("//a", None), ("..", None), ("a/..", None), ("a/../b", None), ("\\a", None),
        ("\\\\host\\a", None),
        ("d:a", None), ("", None), (".", None), ("a\0b", None), ("x" * 5000, None), ("a\nb.png", "a\nb.png"),
    ],
)  # fmt: skip
def test_names_are_relative_and_plain(name, safe):
    assert safe_name(name) == safe


# ---- shards ------------------------------------------------------------------------------------------------------


def shard(path, samples):
    entries = [entry(f"{key}.{end}", data) for key, ends in samples.items() for end, data in ends.items()]
    return make_tar(path, entries)


def test_labels_of_shards_come_from_cls_then_txt_then_json(tmp_path):
    made = {
        "1": {"png": png(1), "cls": b"cat\n", "json": b'{"label": "dog"}'},
        "2": {"png": png(2), "txt": b"dog", "json": b'{"label": "cat"}'},
        "3": {"png": png(3), "json": b'{"label": null, "class": "owl", "caption": "x"}'},
        "4": {"json": b'{"label": "a label before its picture"}', "png": png(4)},
        "5": {"png": png(5)},
        "6": {"png": png(6), "json": b"no json"},
        "7": {"png": png(7), "cls": b""},
        "8.a": {"png": png(8), "seg.png": png(9)},
    }
    samples = look(shard(tmp_path / "x.tar", made))
    labels = dict(zip(names(samples), [samples.classes[label] for label in samples.labels], strict=True))
    assert labels == {"x.tar/1.png": "cat", "x.tar/2.png": "dog", "x.tar/3.png": "owl"} | {
        "x.tar/4.png": "a label before its picture"
    }
    assert any("3 images without a label" in note for note in samples.notes)


def test_numbers_in_shards_get_the_names_beside_them_or_stay_numbers(tmp_path):
    made = {str(n): {"png": png(n), "cls": str(n % 3).encode()} for n in range(12)}
    shard(tmp_path / "train-0.tar", made)
    assert look(tmp_path).classes == ("0", "1", "2")
    (tmp_path / "labels.txt").write_text("x\ny\nz\n")
    samples = look(tmp_path)
    assert samples.classes == ("x", "y", "z")
    assert samples.labels.tolist() == [n % 3 for n in range(12)]
    assert (samples.splits == Split.TRAIN).all()
    assert any("labels.txt" in note for note in samples.notes)


def test_shards_without_labels_are_read_as_folders_and_of_a_pattern_refused(tmp_path):
    for name in ("train-0.tar", "train-1.tar"):
        shard(tmp_path / name, {"1": {"png": png(1)}, "2": {"png": png(2), "cls": b""}})
    refused("EY-D081", tmp_path / "train-{0..1}.tar")
    assert "train-2.tar" in refused("EY-D080", tmp_path / "train-{0..2}.tar")
    (tmp_path / "x-0.7z").write_bytes(b"")
    refused("EY-D009", tmp_path / "x-{0..0}.7z")


def test_a_pattern_names_val_too(tmp_path):
    for number, part in enumerate(("train", "held")):
        for half in range(2):
            made = {str(n): {"png": png(10 * n + number), "cls": str(n % 2).encode()} for n in range(half, 8, 2)}
            made["x"] = {"png": png(99), "cls": str(1 - half).encode()}
            shard(tmp_path / f"{part}-{half}.tar", made)
    samples = find(str(tmp_path / "train-{0..1}.tar"), val=str(tmp_path / "held-{0..1}.tar"))
    assert len(samples.rows(Split.VAL)) == len(samples.rows(Split.TRAIN)) == 10
    assert names(samples)[-1].startswith("val/held-1.tar/")


def test_a_captioned_archive_of_class_folders_is_not_taken_for_shards(tmp_path):
    entries = [entry(*item) for item in PHOTOS.items()] + [entry("a/1.txt", b"a nice picture")]
    assert look(make_tar(tmp_path / "x.tar", entries)).classes == ("a", "b")


# ---- Parquet -----------------------------------------------------------------------------------------------------

needs_pyarrow = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed (extra `parquet`)")


def table(path, *, group=2, meta=None, **columns):
    import json

    import pyarrow as pa
    import pyarrow.parquet as pq

    made = pa.table(columns)
    if meta is not None:
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": meta}})})
    pq.write_table(made, path, row_group_size=group)
    return path


def images(n, kind="struct"):
    import pyarrow as pa

    if kind == "binary":
        return pa.array([png(i) for i in range(n)], pa.binary())
    struct_type = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    return pa.array([{"bytes": None if kind == "paths" else png(i), "path": f"{i}.png"} for i in range(n)], struct_type)


@needs_pyarrow
@pytest.mark.parametrize("kind", ["struct", "binary"])
@pytest.mark.parametrize("group", [1, 3, 100])
def test_rows_are_read_from_their_row_group(tmp_path, kind, group):
    path = table(tmp_path / "x.parquet", group=group, image=images(7, kind), label=[i % 2 for i in range(7)])
    samples = look(path)
    assert [samples.source.read(row) for row in (6, 0, 3, 3, 5)] == [png(i) for i in (6, 0, 3, 3, 5)]
    assert samples.classes == ("0", "1")
    assert names(samples)[-1] == "x.parquet/6"


@needs_pyarrow
def test_a_pack_of_parquet_is_built_by_workers(tmp_path):
    samples = look(table(tmp_path / "x.parquet", image=images(5), label=list("ababa")))
    pack = packs.build(samples, np.arange(5), program=Fit(None, 3), cache=tmp_path / "c", workers=1)
    assert not pack.bad
    for row in range(5):
        with Image.open(io.BytesIO(png(row))) as image:
            assert (pack.image(row) == np.asarray(image)).all()


@needs_pyarrow
def test_rows_without_label_are_left_out_and_unused_names_kept(tmp_path):
    meta = {"image": {"_type": "Image"}, "fine": {"_type": "ClassLabel", "names": ["x", "y", "z"]}}
    path = table(tmp_path / "test.parquet", meta=meta, image=images(4), fine=[0, -1, 2, None])
    samples = look(path)
    assert samples.classes == ("x", "y", "z")
    assert samples.labels.tolist() == [0, 2]
    assert names(samples) == ["test.parquet/0", "test.parquet/2"]
    assert samples.source.read(1) == png(2)
    assert any("2 images without a label" in note for note in samples.notes)


@needs_pyarrow
def test_columns_may_be_named_and_others_are_said(tmp_path):
    meta = {"fine_label": {"_type": "ClassLabel", "names": ["x", "y"]}}
    meta |= {"coarse_label": {"_type": "ClassLabel", "names": ["p", "q"]}}
    path = table(tmp_path / "x.parquet", meta=meta, img=images(2), fine_label=[0, 1], coarse_label=[1, 0])
    samples = look(path)
    assert samples.classes == ("x", "y")
    assert any("coarse_label" in note for note in samples.notes)
    assert look(path, columns={"label": "coarse_label"}).classes == ("p", "q")


@needs_pyarrow
def test_parquet_that_cannot_be_used_is_refused(tmp_path):
    x = tmp_path / "x.parquet"
    x.write_bytes(b"PAR1 no")
    refused("EY-D082", x)
    assert "image" in refused("EY-D083", table(x, text=["a", "b"], label=[0, 1]))
    assert "img" in refused("EY-D083", table(x, img=images(2), caption=["a", "b"]))
    refused("EY-D085", table(x, image=images(2, "paths"), label=[0, 1]))
    meta = {"label": {"_type": "ClassLabel", "names": ["x", "y"]}}
    refused("EY-D045", table(x, meta=meta, image=images(2), label=[0, 2]))
    refused("EY-D003", table(x, meta=meta, image=images(2), label=[-1, -1]))
    table(tmp_path / "train-0.parquet", image=images(2), label=[0, 1])
    table(tmp_path / "train-1.parquet", image=images(2), other=["a", "b"], target=[0, 1])
    x.unlink()
    refused("EY-D084", tmp_path)


@needs_pyarrow
def test_a_damaged_row_group_costs_its_own_rows(tmp_path):
    samples = look(table(tmp_path / "x.parquet", image=images(6), label=list("ababab")))
    whole = bytearray((tmp_path / "x.parquet").read_bytes())
    at = whole.index(b"\x89PNG", 200)
    whole[at - 40 : at + 40] = b"\xff" * 80
    stat = (tmp_path / "x.parquet").stat()
    (tmp_path / "x.parquet").write_bytes(whole)
    os.utime(tmp_path / "x.parquet", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    good = sum(samples.source.read(row) == png(row) for row in range(6))
    assert 3 <= good < 6


@needs_pyarrow
def test_threads_read_cells_of_different_groups_at_the_same_time(tmp_path):
    samples = look(table(tmp_path / "x.parquet", group=2, image=images(12), label=["a", "b"] * 6))
    rows = [row for _ in range(20) for row in (0, 11, 5, 8, 2)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(samples.source.read, rows)) == [png(row) for row in rows]


def test_parquet_without_pyarrow_says_what_to_install(tmp_path):
    import subprocess
    import sys

    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    (tmp_path / "pyarrow").mkdir()
    (tmp_path / "pyarrow" / "__init__.py").write_text("raise ImportError('not here')")
    done = subprocess.run(
        [sys.executable, "-m", "eyas", "train", "x.parquet"],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, "EYAS_LANG": "en"}, check=False,
    )  # fmt: skip
    assert done.returncode == 69, done.stderr
    assert "pip install 'eyas[parquet]'" in done.stderr


# ---- anything ----------------------------------------------------------------------------------------------------


def mutated(good, rng):
    """A few bytes changed, cut off or put in, mostly where headers are."""
    data = bytearray(good)
    heads = [at for at in range(len(good)) if good[at : at + 2] == b"PK"] or list(range(0, len(good), 512))
    for _ in range(rng.choice((1, 2, 8))):
        what = rng.random()
        near = rng.choice(heads) + rng.randrange(60) if what < 0.5 else rng.randrange(len(data) + 1)
        at = min(near, len(data) - 1)
        if what < 0.8:
            data[at : at + 4] = rng.choice(
                (b"\xff\xff\xff\xff", bytes(4), bytes([rng.randrange(256)]) + data[at + 1 :][:3])
            )
        elif what < 0.9:
            data[at:at] = bytes(rng.randrange(1, 600))
        else:
            data = data[: at + 1]
    return bytes(data)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "parquet"])
def test_a_damaged_container_is_read_or_refused_and_nothing_else(tmp_path, kind):
    path = tmp_path / f"x.{kind}"
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        table(path, image=images(6), label=list("ababab"))
    elif kind == "zip":
        make_zip(path)
    else:
        make_tar(path, mode="w:gz" if kind == "tar.gz" else "w")
    good, rng = path.read_bytes(), random.Random(7)
    codes = set()
    for _ in range(150):
        path.write_bytes(mutated(good, rng))
        try:
            samples = look(path)
            for row in range(len(samples)):
                samples.source.read(row)
            codes.add("read")
        except DataError as error:
            error.text("zh")
            codes.add(error.code)
    assert {"read", "EY-D082" if kind == "parquet" else "EY-D074"} <= codes
