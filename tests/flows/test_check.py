"""`eyas check` on real files: each finding where it was planted, nothing changed, the second time from the cache."""

import csv
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyas.data.audit import Finding
from eyas.data.worker import FAULT
from eyas.errors import DataError, UsageError
from eyas.evaluation import predictions as stored
from eyas.evaluation.predictions import Predictions
from eyas.flows.check import Checked, Question, check, fix_list, page
from eyas.training import run as runs

RNG = np.random.default_rng(3)


def photo(size=(48, 40), colour=None) -> Image.Image:
    coarse = Image.fromarray(RNG.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC) if colour is None else Image.new("RGB", size, colour)


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        photo().save(root / name)


def classes(root: Path, n: int = 8, parts=("",), kind: str = "png") -> Path:
    for part in parts:
        put(root, *(f"{part}{c}/{i}.{kind}" for c in ("cat", "dog") for i in range(n)))
    return root


def checked(tmp_path: Path, root: Path, **how) -> Checked:
    return check(Question(str(root), **how), cache=tmp_path / "cache", workers=1)


def names(one: Checked, code: str) -> list[str]:
    return [name for f in one.findings if f.code == code for name, _ in f.cases(one.samples)]


def codes(one: Checked) -> set[str]:
    return {f.code for f in one.findings}


def contents(root: Path) -> dict[str, tuple[str, int]]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(p): (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns) for p in files}


# ---- what is found ---------------------------------------------------------------------------------------------------


def test_sound_photos_are_ok_and_nothing_is_changed(tmp_path):
    root = classes(tmp_path / "photos")
    before = contents(root)
    one = checked(tmp_path, root)
    assert one.ok
    assert codes(one) == {"C02"}, "eight of a class give one for val"
    assert contents(root) == before


def test_broken_files_are_found_beside_sound_ones(tmp_path):
    root = classes(tmp_path / "photos")
    (root / "cat" / "0.png").write_bytes(b"")
    (root / "cat" / "1.png").write_text("<html>")
    (root / "dog" / "2.png").write_bytes((root / "dog" / "2.png").read_bytes()[:200])
    (root / "dog" / "notes.txt").write_text("not a picture, and no one thinks so")
    one = checked(tmp_path, root)
    assert not one.ok
    assert {code: names(one, code) for code in codes(one) if code[0] == "E"} == {
        "E01": ["cat/0.png"],
        "E02": ["cat/1.png"],
        "E03": ["dog/2.png"],
    }
    assert one.usable == 13


def test_half_a_jpeg_is_found_where_pillows_verify_finds_nothing(tmp_path):
    root = classes(tmp_path / "photos", kind="jpg")
    path = root / "cat" / "3.jpg"
    photo((400, 300)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with Image.open(path) as image:
        image.verify()
    assert names(checked(tmp_path, root), "E03") == ["cat/3.jpg"]


def test_what_the_decoder_does_beyond_decoding_is_noticed(tmp_path):
    root = classes(tmp_path / "photos")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo().save(root / "cat" / "turned.jpg", exif=exif)
    Image.fromarray(RNG.integers(0, 65536, (40, 40), dtype=np.uint16)).save(root / "cat" / "deep.png")
    photo().convert("CMYK").save(root / "cat" / "print.jpg")
    photo().convert("RGBA").save(root / "cat" / "glass.png")
    photo().save(root / "cat" / "film.gif", save_all=True, append_images=[photo(), photo()])
    photo((400, 10)).save(root / "cat" / "strip.png")
    photo(colour="red").save(root / "cat" / "red.jpg")
    photo().save(root / "cat" / "really.png", "JPEG")
    with (root / "cat" / "0.png").open("ab") as file:
        file.write(b"and a film")
    one = checked(tmp_path, root)
    assert one.ok
    assert {code: names(one, code) for code in sorted(codes(one)) if code[0] == "W"} == {
        "W01": ["cat/really.png"],
        "W02": ["cat/turned.jpg"],
        "W03": ["cat/deep.png"],
        "W05": ["cat/print.jpg"],
        "W06": ["cat/glass.png"],
        "W07": ["cat/film.gif"],
        "W08": ["cat/strip.png"],
        "W09": ["cat/0.png"],
        "W10": ["cat/red.jpg"],
    }


@pytest.mark.parametrize("kind", ["tiff", "avif"])
def test_an_opt_in_format_is_refused_with_the_way_to_allow_it(tmp_path, kind):
    root = classes(tmp_path / "photos")
    photo().save(root / "cat" / f"x.{kind}")
    one = checked(tmp_path, root)
    assert names(one, "E07") == [f"cat/x.{kind}"]
    assert f"--allow {kind}" in next(f for f in one.findings if f.code == "E07").details[0]
    again = checked(tmp_path, root, allow="tiff,avif")
    assert again.ok
    assert again.usable == 17


def test_a_floating_point_tiff_is_noticed(tmp_path):
    root = classes(tmp_path / "photos")
    Image.fromarray(RNG.random((40, 40), dtype=np.float32)).save(root / "cat" / "f.tif")
    assert names(checked(tmp_path, root, allow="tiff"), "W04") == ["cat/f.tif"]


def test_duplicates_leaks_and_contradictions_are_found_and_mending_them_is_proposed(tmp_path):
    root = classes(tmp_path / "photos", parts=("train/", "val/"))
    original = (root / "train/cat/0.png").read_bytes()
    (root / "train/cat/copy.png").write_bytes(original)
    (root / "train/dog/same.png").write_bytes((root / "train/cat/1.png").read_bytes())
    (root / "val/cat/leak.png").write_bytes((root / "train/cat/2.png").read_bytes())
    with Image.open(root / "train/dog/3.png") as image:
        image.resize((96, 80)).save(root / "val/dog/near.jpg", quality=80)
    one = checked(tmp_path, root)
    assert names(one, "L01") == ["train/cat/copy.png"]
    assert names(one, "L02") == ["train/cat/1.png", "train/dog/same.png"]
    assert names(one, "L03") == ["val/cat/leak.png"]
    assert names(one, "L04") == ["val/dog/near.jpg"]
    rows = list(csv.DictReader(io.StringIO(fix_list(one).decode())))
    assert {(row["path"], row["code"], row["action"]) for row in rows} == {
        ("train/cat/0.png", "L01", "keep"),
        ("train/cat/copy.png", "L01", "remove"),
        ("train/cat/1.png", "L02", "relabel"),
        ("train/dog/same.png", "L02", "relabel"),
        ("train/cat/2.png", "L03", "remove"),
        ("val/cat/leak.png", "L03", "keep"),
        ("train/dog/3.png", "L04", "remove"),
        ("val/dog/near.jpg", "L04", "keep"),
    }


def test_images_without_a_label_links_to_nowhere_and_hidden_files_are_named(tmp_path):
    root = classes(tmp_path / "photos")
    put(root, "loose.png")
    (root / "cat" / ".hidden.png").write_bytes(b"x")
    (root / "cat" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    one = checked(tmp_path, root)
    assert names(one, "E09") == ["loose.png"]
    assert names(one, "E08") == ["cat/gone.jpg"]
    assert names(one, "C05") == ["cat/.hidden.png"]
    assert b"loose.png,E09,relabel," in fix_list(one)


def test_arrays_can_be_checked(tmp_path):
    images = RNG.integers(0, 256, (40, 12, 12), dtype=np.uint8)
    images[3], images[7] = images[0], 9
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(40) % 2)
    one = checked(tmp_path, tmp_path / "set.npz")
    assert names(one, "L02") == ["000000", "000003"]
    assert names(one, "W10") == ["000007"]


def test_an_archive_is_checked_like_the_folder_in_it(tmp_path):
    import shutil

    root = classes(tmp_path / "in" / "photos")
    (root / "cat" / "0.png").write_bytes(b"")
    shutil.make_archive(str(tmp_path / "photos"), "zip", tmp_path / "in")
    one = checked(tmp_path, tmp_path / "photos.zip")
    assert [name.rpartition("photos/")[2] for name in names(one, "E01")] == ["cat/0.png"]


# ---- what training would refuse --------------------------------------------------------------------------------------


def test_what_train_would_refuse_is_not_ok(tmp_path):
    put(tmp_path / "one", "cat/1.png", "cat/2.png")
    one = checked(tmp_path, tmp_path / "one")
    assert [error.code for error in one.refused] == ["EY-D004"]
    root = classes(tmp_path / "photos", parts=("train/", "val/"))
    put(root, "val/owl/1.png")
    two = checked(tmp_path, root)
    assert [error.code for error in two.refused] == ["EY-D005"]
    assert names(two, "C04") == ["owl"]
    (root / "val/owl/1.png").unlink()
    (root / "val/cat/1.png").write_bytes(b"")
    assert [error.code for error in checked(tmp_path, root).refused] == ["EY-D200"]
    for path in (tmp_path / "photos/train/cat").iterdir():
        path.write_bytes(b"")
    assert [error.code for error in checked(tmp_path, root).refused] == ["EY-D200", "EY-D201"]


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="EY-D003"):
        checked(tmp_path, tmp_path / "empty")


# ---- the cache -------------------------------------------------------------------------------------------------------


def test_the_second_time_no_image_is_decoded(tmp_path, monkeypatch):
    root = classes(tmp_path / "photos", parts=("train/", "val/"))
    first = checked(tmp_path, root)
    monkeypatch.setenv(FAULT, "crash:photos")
    second = checked(tmp_path, root)
    assert second.to_dict() == first.to_dict()
    os.utime(root / "val/cat/0.png", ns=(1, 1))
    assert names(checked(tmp_path, root), "E05") == [f"val/{c}/{i}.png" for c in ("cat", "dog") for i in range(8)]


def test_what_training_has_packed_is_not_decoded_again(tmp_path, monkeypatch):
    from eyas.artifact.preprocess import Fit
    from eyas.data import packing, source

    root = classes(tmp_path / "photos")
    (root / "cat" / "0.png").write_bytes(b"")
    samples = source.look(root)
    program = Fit(short_side=24, channels=3)
    packing.build(samples, np.arange(len(samples)), program=program, cache=tmp_path / "cache", workers=1)
    monkeypatch.setenv(FAULT, "crash:photos")
    one = checked(tmp_path, root)
    assert names(one, "E01") == ["cat/0.png"]
    assert "E05" not in codes(one)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a folder that nobody may write")
def test_a_cache_that_cannot_be_written_does_not_stop_the_check(tmp_path):
    root = classes(tmp_path / "photos")
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert checked(tmp_path, root).ok


# ---- against a run ---------------------------------------------------------------------------------------------------


def trained(tmp_path: Path, root: Path, *, classes=("cat", "dog"), wrong=(), prefix="") -> Path:
    """The folder of a finished run that is sure of every label but those of `wrong`."""
    folder = tmp_path / "runs" / "001-photos"
    folder.mkdir(parents=True)
    listed = [f"{c}/{i}.png" for c in classes for i in range(8)]
    labels = np.array([classes.index(name.partition("/")[0]) for name in listed])
    scores = np.full((len(listed), len(classes)), 0.05, np.float32)
    said = np.where(np.isin(listed, wrong), 1 - labels, labels)
    scores[np.arange(len(listed)), said] = 0.95
    runs.write_json(folder / "run.json", {"schema": runs.SCHEMA, "status": "done", "data": {"classes": list(classes)}})
    seen = Predictions(tuple(prefix + n for n in listed), labels, scores, classes, np.arange(len(listed)))
    stored.write(folder, "val", predictions=seen)
    return folder


def test_a_run_finds_the_label_that_it_contradicts(tmp_path):
    root = classes(tmp_path / "photos")
    run = trained(tmp_path, root, wrong=("cat/3.png",))
    one = checked(tmp_path, root, run=str(run))
    assert names(one, "L05") == ["cat/3.png"]
    assert not one.ok


def test_the_split_of_a_run_is_searched_for_leaks(tmp_path):
    root = classes(tmp_path / "photos")
    (root / "dog" / "copy.png").write_bytes((root / "dog" / "0.png").read_bytes())
    run = trained(tmp_path, root)
    rows = ["path,label,split,group,hash"]
    for path in sorted(root.rglob("*.png")):
        digest = hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
        part = "val" if path.name == "copy.png" else "train"
        rows.append(f"{path.relative_to(root).as_posix()},{path.parent.name},{part},,{digest}")
    (run / "splits.csv").write_text("\n".join(rows) + "\n")
    assert names(checked(tmp_path, root, run=str(run)), "L03") == ["dog/copy.png"]
    assert names(checked(tmp_path, root), "L03") == []


def test_a_run_about_other_images_is_refused(tmp_path):
    root = classes(tmp_path / "photos")
    run = trained(tmp_path, root, prefix="elsewhere/")
    with pytest.raises(UsageError, match="EY-U132"):
        checked(tmp_path, root, run=str(run))
    stored.files(run, "val")[0].unlink()
    with pytest.raises(UsageError, match="EY-U131"):
        checked(tmp_path, root, run=str(run))
    runs.write_json(run / "run.json", {"schema": runs.SCHEMA, "status": "done", "data": {"classes": ["owl", "cat"]}})
    with pytest.raises(UsageError, match="EY-U130"):
        checked(tmp_path, root, run=str(run))


# ---- the page --------------------------------------------------------------------------------------------------------


def test_the_page_shows_pictures_needs_no_network_and_runs_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("EYAS_LANG", "en")
    root = classes(tmp_path / "photos")
    (root / "cat" / "<script>alert(1)\x1b[31m.png").write_bytes((root / "cat" / "0.png").read_bytes())
    (root / "cat" / "1.png").write_bytes(b"")
    html = page(checked(tmp_path, root), data="photos").decode()
    assert "data:image/png;base64," in html
    assert "<script" not in html
    assert "\x1b" not in html
    assert not re.findall(r"https?://|src=(?!\"data:)", html)
    assert ">E01<" in html
    assert "zero bytes" in html
    monkeypatch.setenv("EYAS_LANG", "zh")
    assert "零字节" in page(checked(tmp_path, root), data="photos").decode()


def test_a_file_that_could_crash_us_is_never_decoded_for_the_page(tmp_path, monkeypatch):
    root = classes(tmp_path / "photos")
    monkeypatch.setenv(FAULT, "crash:cat/0")
    one = checked(tmp_path, root)
    assert names(one, "E05") == ["cat/0.png"]

    def never(data, **how):
        raise AssertionError("decoded")

    monkeypatch.setattr("eyas.flows.check.decode", never)
    errors = tuple(f for f in one.findings if f.code == "E05")
    only = Checked(one.samples, one.examined, errors, one.refused)
    assert "E05" in page(only, data="x").decode()


def test_lines_and_counts_agree(tmp_path):
    root = classes(tmp_path / "photos")
    for i in range(7):
        (root / "cat" / f"{i}.png").write_bytes(b"")
    one = checked(tmp_path, root)
    lines = list(one.lines())
    assert len(lines) == sum(f.count for f in one.findings)
    document = one.to_dict()
    assert document["images"] == 16
    assert document["classes"] == ["cat", "dog"]
    (empty,) = [f for f in document["findings"] if f["code"] == "E01"]
    assert (empty["count"], len(empty["examples"])) == (7, 5)
    assert all(isinstance(f, Finding) for f in one.findings)


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM there")
def test_a_signal_ends_it_and_what_was_examined_is_kept(tmp_path):
    root = classes(tmp_path / "photos")
    environment = {**os.environ, "EYAS_CACHE": str(tmp_path / "cache"), FAULT: "hang:dog/7"}
    command = [sys.executable, "-m", "eyas", "check", str(root)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    journals = (tmp_path / "cache" / "packs").glob
    while process.poll() is None and not any(path.stat().st_size for path in journals("*.partial/journal")):
        pass
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate()
    assert process.returncode == 75, err
    assert "EY-P011" in err
    one = checked(tmp_path, root)
    assert one.usable == 16


def test_check_needs_no_torch(tmp_path):
    root = classes(tmp_path / "photos")
    code = (
        "import sys; sys.modules['torch'] = None; sys.modules['jinja2'] = None\n"
        "from eyas.cli.app import main\n"
        f"sys.exit(main(['check', {str(root)!r}, '--quiet', '--html', {str(tmp_path / 'p.html')!r}]))"
    )
    environment = {**os.environ, "EYAS_CACHE": str(tmp_path / "cache")}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (tmp_path / "p.html").is_file()
