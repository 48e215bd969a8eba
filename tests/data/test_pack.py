import errno
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyas
from eyas.artifact.decode import decode
from eyas.artifact.preprocess import Fit, Preprocess
from eyas.data import worker
from eyas.data.pack import HEADER_BYTES, channel_sums, find, probe
from eyas.data.packing import COLUMNS_BYTES, build
from eyas.data.samples import ArraySource, FileSource, Samples
from eyas.data.worker import RECORD
from eyas.errors import DataError, InternalError, StorageError

SAME = [(16, 16)]
MANY = [(16, 20), (30, 11), (7, 40)]
AS_IS = Fit(short_side=None, channels=3)
GREY8 = Preprocess(8, 8, 1, "short-side", 8, (0.5,), (0.25,))


def write(root, n=12, sizes=SAME, prefix=""):
    rng = np.random.default_rng(n)
    root.mkdir(exist_ok=True, parents=True)
    for i in range(n):
        pixels = rng.integers(0, 256, (*sizes[i % len(sizes)], 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{prefix}{i:03d}{('.png', '.jpg')[i % 2]}")
    return samples(root)


def samples(root):
    names = tuple(sorted(path.name for path in root.iterdir()))
    n = len(names)
    return Samples(FileSource(root, names), ("a",), np.zeros(n, np.int32), np.zeros(n, np.uint8), "flat", root)


def packed(found, cache, **options):
    options = {"program": AS_IS, "workers": 2, **options}
    rows = options.pop("rows", np.arange(len(found)))
    return build(found, rows, cache=cache, **options)


def right(pack, found, program=AS_IS):
    """Every image is what the program makes of its file, and everything beside it agrees."""
    for slot, row in enumerate(pack.rows.tolist()):
        if row in pack.bad:
            assert pack.hashes[slot].sum() == 0
            continue
        data = found.source.read(row)
        assert (pack.image(row) == program.from_bytes(data)).all()
        assert pack.image(row).shape[:2] == tuple(pack.sizes[slot])
        assert tuple(pack.shapes[slot]) == decode(data).shape[:2]
        assert pack.hashes[slot].tobytes() == hashlib.blake2b(data, digest_size=16).digest()
        assert pack.crc[slot] == zlib.crc32(pack.image(row).tobytes())
    pack.verify()


def tree(root):
    return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in root.iterdir()}


# --- what is in it


@pytest.mark.parametrize("sizes", [SAME, MANY], ids=["same", "many"])
@pytest.mark.parametrize("program", [AS_IS, GREY8, Fit(short_side=9, channels=1)], ids=["as-is", "grey", "fit"])
def test_a_pack_holds_what_the_program_makes_of_every_file(tmp_path, sizes, program):
    found = write(tmp_path / "photos", sizes=sizes)
    before = tree(tmp_path / "photos")
    pack = packed(found, tmp_path / "cache", program=program)
    assert pack.built
    assert (pack.uniform is not None) == (sizes is SAME or program is GREY8)
    assert pack.channels == program.channels
    right(pack, found, program)
    assert tree(tmp_path / "photos") == before
    again = packed(found, tmp_path / "cache", program=program)
    assert not again.built
    assert again.address == pack.address
    right(again, found, program)


def test_the_images_are_a_plain_npy(tmp_path):
    found = write(tmp_path / "photos")
    pack = packed(found, tmp_path / "cache")
    images = np.load(pack.folder / "images.npy", mmap_mode="r")
    assert images.shape == (12, 16, 16, 3)
    assert (images == pack.uniform).all()
    columns = {f"{name}.npy" for name in ("shapes", "crc", "hashes", "likeness", "formats", "notes")}
    names = {"images.npy", "bad.json", "pack.json"} | columns
    assert {p.name for p in pack.folder.iterdir()} == names
    assert {p.suffix for p in (tmp_path / "cache/packs").iterdir()} == {"", ".lock"}


def test_images_that_differ_from_the_first_ones_make_a_flat_pack(tmp_path):
    # Only the last file has another shape, and it is not among those that are looked at first.
    found = write(tmp_path / "photos", n=40)
    Image.new("RGB", (9, 5), "red").save(tmp_path / "photos/029.jpg")
    found = samples(tmp_path / "photos")
    pack = packed(found, tmp_path / "cache")
    assert pack.uniform is None
    assert pack.image(29).shape == (5, 9, 3)
    right(pack, found)


def test_a_pack_of_some_rows_is_asked_by_their_numbers(tmp_path):
    found = write(tmp_path / "photos", sizes=MANY)
    rows = np.array([1, 4, 5, 11])
    pack = packed(found, tmp_path / "cache", rows=rows)
    assert pack.n == 4
    assert pack.slots(np.array([11, 4])).tolist() == [3, 1]
    right(pack, found)
    with pytest.raises(AssertionError, match="not in the pack"):
        pack.slots(np.array([2]))


def test_progress_counts_up_to_all(tmp_path):
    seen = []
    packed(write(tmp_path / "photos"), tmp_path / "cache", progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (0, 12)
    assert seen[-1] == (12, 12)
    assert seen == sorted(seen)


def test_strange_names_are_packed_too(tmp_path):
    found = write(tmp_path / "照片 of\nthings", n=4, prefix="a b'\"\x1b[31m ü")
    right(packed(found, tmp_path / "cache"), found)


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are not text exist on Linux only")
def test_names_that_are_not_text_are_packed_too(tmp_path):
    write(tmp_path / "photos", n=2)
    os.rename(tmp_path / "photos/000.png", os.fsencode(tmp_path / "photos") + b"/\xff\xfe.png")
    found = samples(tmp_path / "photos")
    pack = packed(found, tmp_path / "cache")
    assert not pack.bad
    right(pack, found)


def test_files_that_cannot_be_used_are_coded_and_cost_only_themselves(tmp_path):
    photos = tmp_path / "photos"
    write(photos)
    (photos / "001.jpg").write_bytes(b"")
    (photos / "004.png").write_text("hello")
    whole = (photos / "007.jpg").read_bytes()
    (photos / "007.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "008.png").unlink()
    (photos / "008.png").symlink_to(photos / "gone.png")
    found = samples(photos)
    pack = packed(found, tmp_path / "cache")
    assert {row: code for row, (code, _) in pack.bad.items()} == {1: "E01", 4: "E02", 7: "E03", 8: "E08"}
    assert pack.good.tolist() == [0, 2, 3, 5, 6, 9, 10, 11]
    assert pack.uniform is not None
    assert not pack.uniform[1].any()
    right(pack, found)
    right(packed(found, tmp_path / "cache"), found)


def test_nothing_but_broken_files_is_a_pack_too(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for i in range(3):
        (photos / f"{i}.jpg").write_bytes(b"no")
    pack = packed(samples(photos), tmp_path / "cache")
    assert len(pack.bad) == 3
    assert not len(pack.good)
    pack.verify()


def test_no_rows_are_an_empty_pack(tmp_path):
    pack = packed(write(tmp_path / "photos", n=2), tmp_path / "cache", rows=np.zeros(0, np.int64))
    assert pack.n == 0
    assert pack.slots(np.zeros(0, np.int64)).tolist() == []


@pytest.mark.parametrize("sizes", [SAME, MANY], ids=["same", "many"])
def test_several_workers_make_the_same_pack(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr("eyas.data.packing.WORTH_S", 1e-9)
    found = write(tmp_path / "photos", n=50, sizes=sizes)
    pack = packed(found, tmp_path / "cache", workers=3)
    right(pack, found)
    assert pack.n == 50


# --- one address for one set of inputs


def test_the_address_follows_names_files_and_program(tmp_path):
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    found = write(photos)
    addresses = [packed(found, cache).address]
    addresses.append(packed(found, cache, program=GREY8).address)
    addresses.append(packed(found, cache, rows=np.arange(11)).address)
    os.utime(photos / "003.jpg", ns=(1, 1))
    addresses.append(packed(found, cache).address)
    (photos / "005.jpg").rename(photos / "005b.jpg")
    addresses.append(packed(samples(photos), cache).address)
    assert len(set(addresses)) == 5
    # Scaling in the model is not about pixels: the same pack.
    other = Preprocess(8, 8, 1, "short-side", 8, (0.1,), (0.9,))
    os.utime(photos / "003.jpg", ns=(1, 1))
    found = samples(photos)
    assert packed(found, cache, program=GREY8).address == packed(found, cache, program=other).address


def test_a_file_that_can_be_read_again_is_packed_again(tmp_path):
    photos = tmp_path / "photos"
    found = write(photos, n=6)
    pack = packed(found, tmp_path / "cache")
    # As the pack would be, had this file been unreadable for a moment (root reads everything, whatever its mode).
    (pack.folder / "bad.json").write_text(json.dumps({"2": ["E08", "Input/output error"]}))
    meta = json.loads((pack.folder / "pack.json").read_text())
    meta["files"]["bad.json"] = (pack.folder / "bad.json").stat().st_size
    (pack.folder / "pack.json").write_text(json.dumps(meta))
    assert 2 in find(pack.folder, pack.rows).bad
    again = packed(found, tmp_path / "cache")
    assert again.built
    assert not again.bad


@pytest.mark.parametrize("name", ["images.npy", "crc.npy", "pack.json", "bad.json"])
def test_a_pack_with_a_file_missing_or_cut_is_built_again(tmp_path, name):
    found = write(tmp_path / "photos", n=4)
    folder = packed(found, tmp_path / "cache").folder
    with (folder / name).open("r+b") as file:
        file.truncate((folder / name).stat().st_size // 2)
    again = packed(found, tmp_path / "cache")
    assert again.built
    right(again, found)
    (folder / name).unlink()
    right(packed(found, tmp_path / "cache"), found)


def test_lost_bytes_are_found_by_verify(tmp_path):
    pack = packed(write(tmp_path / "photos", n=4), tmp_path / "cache")
    with (pack.folder / "images.npy").open("r+b") as file:
        file.seek(HEADER_BYTES + 1000)
        byte = file.read(1)[0]
        file.seek(HEADER_BYTES + 1000)
        file.write(bytes([byte ^ 16]))
    with pytest.raises(StorageError, match="1 of 4") as caught:
        pack.verify()
    assert caught.value.code == "EY-S103"


# --- crashes, hangs and kills


@pytest.mark.parametrize("sizes", [SAME, MANY], ids=["same", "many"])
def test_a_crash_and_a_hang_of_the_decoder_cost_exactly_these_images(tmp_path, monkeypatch, sizes):
    monkeypatch.setattr("eyas.data.packing.WORTH_S", 1e-9)  # two workers, however little there is to do
    monkeypatch.setenv("EYAS_FAULT_DECODE", "crash:013;hang:006.png")
    found = write(tmp_path / "photos", n=20, sizes=sizes)
    pack = packed(found, tmp_path / "cache", timeout_s=1.0)
    assert pack.bad == {13: ("E05", "the decoder died of SIGSEGV"), 6: ("E05", "no answer for 1 s")}
    monkeypatch.delenv("EYAS_FAULT_DECODE")
    right(pack, found)


KILLED = """
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    sys.path.insert(0, {tests!r})
    from test_pack import packed, samples
    def progress(done, total):
        if done >= {after}:
            os.kill(os.getpid(), signal.SIGKILL)
    packed(samples(Path({photos!r})), Path({cache!r}), progress=progress)
"""


def start(code):
    home = str(Path(eyas.__file__).parents[1])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([home, os.environ.get("PYTHONPATH", "")])}
    return subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], env=env)


@pytest.mark.parametrize(("sizes", "kills"), [(SAME, (0, 9, 40)), (MANY, (25,))], ids=["same", "many"])
def test_a_killed_build_is_absent_and_goes_on_to_the_same_pack(tmp_path, sizes, kills):
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    found = write(photos, n=40, sizes=sizes)
    partial = None
    for after in kills:
        code = KILLED.format(tests=str(Path(__file__).parent), photos=str(photos), cache=str(cache), after=after)
        assert start(code).wait() == -signal.SIGKILL
        (partial,) = cache.glob("packs/*.partial")
        assert find(partial.with_suffix(""), np.arange(40)) is None
    # The disk lost a byte of a finished image meanwhile, and the last report was torn.
    with (partial / "images.npy").open("r+b") as file:
        file.seek(HEADER_BYTES + 5)
        file.write(b"\xaa\xbb\xcc")
    with (partial / "journal").open("ab") as file:
        file.write(b"EYJ1torn")
    seen = []
    pack = packed(found, cache, progress=lambda done, total: seen.append(done))
    assert kills[-1] - 1 <= seen[0] < 40  # it went on; what was damaged is done again
    right(pack, found)
    fresh = packed(found, tmp_path / "other")
    for slot in range(40):
        assert (pack.at(slot) == fresh.at(slot)).all()
    assert not list(cache.glob("packs/*.partial"))


def test_two_builders_at_once_build_it_once(tmp_path):
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    found = write(photos, n=30)
    code = f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_pack import packed, samples
        print(packed(samples(Path({str(photos)!r})), Path({str(cache)!r})).built)
        sys.exit(0)
    """
    others = [start(code) for _ in range(2)]
    mine = packed(found, cache)
    assert [other.wait() for other in others] == [0, 0]
    right(mine, found)
    assert len([p for p in (cache / "packs").iterdir() if p.is_dir()]) == 1


def test_workers_end_with_their_builder(tmp_path, monkeypatch):
    # The worker hangs for good; when its builder is killed it must go, and with it the lock.
    monkeypatch.setenv("EYAS_FAULT_DECODE", "hang:025")
    photos, cache = tmp_path / "photos", tmp_path / "cache"
    found = write(photos, n=40)
    code = KILLED.format(tests=str(Path(__file__).parent), photos=str(photos), cache=str(cache), after=10)
    assert start(code).wait() == -signal.SIGKILL
    monkeypatch.delenv("EYAS_FAULT_DECODE")
    right(packed(found, cache), found)


# --- what can go wrong


def test_a_file_that_changes_while_it_is_packed_stops_the_build(tmp_path, monkeypatch):
    found = write(tmp_path / "photos")
    stat = FileSource.stat

    def early(self):
        listed = stat(self)
        (tmp_path / "photos/004.png").write_bytes(b"something else")
        return listed

    monkeypatch.setattr(FileSource, "stat", early)
    with pytest.raises(DataError, match="004") as caught:
        packed(found, tmp_path / "cache")
    assert caught.value.code == "EY-D141"


def test_too_little_space_names_the_bytes_and_leaves_nothing(tmp_path, monkeypatch):
    found = write(tmp_path / "photos")
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5_000))
    with pytest.raises(StorageError, match="5,000 bytes") as caught:
        packed(found, tmp_path / "cache")
    assert caught.value.code == "EY-S100"
    assert f"{12 * (16 * 16 * 3 + RECORD.itemsize) + COLUMNS_BYTES:,} bytes" in str(caught.value)
    assert not list((tmp_path / "cache/packs").glob("*.partial"))


def test_more_than_the_limit_is_refused(tmp_path):
    with pytest.raises(StorageError, match="1,000 bytes") as caught:
        packed(write(tmp_path / "photos"), tmp_path / "cache", limit_bytes=1000)
    assert caught.value.code == "EY-S101"
    assert not list((tmp_path / "cache/packs").glob("*.partial"))


def test_a_cache_that_cannot_be_written_says_what_to_do(tmp_path):
    found = write(tmp_path / "photos")
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="EYAS_CACHE") as caught:
        packed(found, tmp_path / "cache")
    assert caught.value.code == "EY-S102"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
def test_a_disk_that_fills_up_meanwhile_is_an_error_of_storage(tmp_path, monkeypatch):
    found = write(tmp_path / "photos")
    opened = subprocess.Popen

    def full(*args, **options):  # the disk fills up between the look and the work
        (data,) = (tmp_path / "cache/packs").glob("*.partial/images.npy")
        data.unlink()
        data.symlink_to("/dev/full")
        return opened(*args, **options)

    monkeypatch.setattr(subprocess, "Popen", full)
    with pytest.raises(StorageError, match="No space left") as caught:
        packed(found, tmp_path / "cache")
    assert caught.value.code == "EY-S104"
    assert not list((tmp_path / "cache/packs").glob("*.partial"))


def test_workers_that_do_not_start_are_reported_with_their_last_words(tmp_path, monkeypatch):
    found = write(tmp_path / "photos", n=2)
    (tmp_path / "PIL").mkdir()
    (tmp_path / "PIL/__init__.py").write_text("raise ImportError('Pillow is broken here')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(InternalError, match="Pillow is broken here"):
        packed(found, tmp_path / "cache")


def test_a_module_in_the_current_folder_is_not_imported_by_workers(tmp_path, monkeypatch):
    found = write(tmp_path / "photos", n=2)
    (tmp_path / "numpy.py").write_text("raise SystemExit('wrong numpy')")
    monkeypatch.chdir(tmp_path)
    assert not packed(found, tmp_path / "cache").bad


def test_a_transient_read_error_is_tried_again(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"bytes")
    stat = path.stat()
    listed = (stat.st_size, stat.st_mtime_ns, stat.st_ino)
    opened, calls = os.open, []

    def shaky(name, flags, *rest):
        calls.append(name)
        if len(calls) < 3:
            raise OSError(errno.EIO, "Input/output error")
        return opened(name, flags, *rest)

    monkeypatch.setattr(os, "open", shaky)
    assert worker.read(str(path), listed) == b"bytes"
    assert len(calls) == 3
    calls.clear()
    monkeypatch.setattr(os, "open", lambda *a: shaky(calls.clear() or a[0], a[1]))
    assert worker.decoded(AS_IS, str(path), listed) == ("E08", "Input/output error")


def test_a_worker_needs_no_torch():
    code = "import sys, eyas.data.worker, eyas.data.stream, eyas.data.prefetch; sys.exit('torch' in sys.modules)"
    assert start(code).wait() == 0


# --- arrays, sums and shapes


@pytest.mark.parametrize("shape", [(9, 14, 14), (9, 14, 14, 1), (9, 14, 14, 3)])
@pytest.mark.parametrize("side", [14, 7])
@pytest.mark.parametrize("channels", [1, 3])
def test_arrays_go_through_the_same_program_and_stay_in_memory(tmp_path, shape, side, channels):
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = Samples(ArraySource(pixels, "id"), ("a",), np.zeros(9, np.int32), np.zeros(9, np.uint8), "npz")
    program = Preprocess(
        side, side, channels, "none" if side == 14 else "short-side", side, (0.0,) * channels, (1.0,) * channels
    )
    for rows in (np.arange(9), np.array([2, 3, 8])):
        pack = packed(found, tmp_path / "cache", program=program, rows=rows)
        for row in rows.tolist():
            assert (pack.image(row) == program.apply(pixels[row])).all()
        assert len({h.tobytes() for h in pack.hashes}) == len(rows)
        assert not pack.uniform.flags.writeable
        pack.verify()
    assert not (tmp_path / "cache").exists()
    other = Samples(ArraySource(pixels, "id2"), ("a",), found.labels, found.splits, "npz")
    assert packed(other, tmp_path / "cache", program=program, rows=rows).address != pack.address


def test_arrays_that_need_nothing_are_not_copied(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (9, 14, 14), np.uint8)
    found = Samples(ArraySource(pixels, "id"), ("a",), np.zeros(9, np.int32), np.zeros(9, np.uint8), "npz")
    pack = packed(found, tmp_path / "cache", program=Fit(short_side=None, channels=1))
    assert np.shares_memory(pack.uniform, pixels)
    assert pixels.flags.writeable


@pytest.mark.parametrize("sizes", [SAME, MANY], ids=["same", "many"])
def test_channel_sums_are_exact(tmp_path, sizes):
    found = write(tmp_path / "photos", n=9, sizes=sizes)
    pack = packed(found, tmp_path / "cache")
    rows = np.array([1, 2, 5, 8])
    sums, squares, count = channel_sums(pack, rows)
    pixels = np.concatenate([pack.image(row).reshape(-1, 3) for row in rows.tolist()]).astype(object)
    assert sums.tolist() == pixels.sum(axis=0).tolist()
    assert squares.tolist() == (pixels**2).sum(axis=0).tolist()
    assert count == len(pixels)
    assert sums.dtype == squares.dtype == np.uint64


def test_channel_sums_do_not_overflow(tmp_path):
    pixels = np.full((70_000, 4, 4), 255, np.uint8)
    found = Samples(ArraySource(pixels, "w"), ("a",), np.zeros(70_000, np.int32), np.zeros(70_000, np.uint8), "npz")
    pack = packed(found, tmp_path, program=Fit(short_side=None, channels=1))
    sums, squares, count = channel_sums(pack, np.arange(70_000))
    assert (sums[0], squares[0], count) == (count * 255, count * 65025, 1_120_000)


def test_probing_reads_upright_shapes_of_some_files(tmp_path):
    found = write(tmp_path / "photos", n=20, sizes=[(16, 20)])
    exif = Image.Exif()
    exif[274] = 6
    buffer = io.BytesIO()
    Image.new("RGB", (20, 16)).save(buffer, "JPEG", exif=exif)
    (tmp_path / "photos/001.jpg").write_bytes(buffer.getvalue())
    (tmp_path / "photos/002.png").write_bytes(b"broken")
    shapes = probe(found, np.arange(20))
    assert shapes.tolist() == [[16, 20], [20, 16]] + [[16, 20]] * 17
    assert len(probe(found, np.arange(20), limit=5)) == 5
    assert probe(found, np.zeros(0, np.int64)).shape == (0, 2)
    pixels = Samples(
        ArraySource(np.zeros((9, 3, 4), np.uint8), "x"), ("a",), np.zeros(9, np.int32), np.zeros(9, np.uint8), ""
    )
    assert probe(pixels, np.arange(9), 4).tolist() == [[3, 4]] * 4
