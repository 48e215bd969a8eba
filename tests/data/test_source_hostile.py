"""What strangers may send: nothing outside of it is read or written, nothing of it is printed raw, nothing hangs.

The command itself is run, in a process of its own; its bytes on stdout and stderr are looked at.
"""

import io
import os
import re
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from eyas.data.source import look

ESCAPE = "\x1b[31m\x1b]0;owned\x07"
EVIL = f"{ESCAPE}\nINJECTED \u202egnp\r\x9b2J\u200b"
SECRET = "SECRET-OUTSIDE-OF-THE-TREE"


def png(number):
    out = io.BytesIO()
    rng = np.random.default_rng(number)
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(out, "PNG")
    return out.getvalue()


GOOD = {f"{label}/{n}.png": png(10 * at + n) for at, label in enumerate(("a", f"b{EVIL}")) for n in range(6)}
GOOD |= {f"a/photo{EVIL}.png": png(50), f"loose{EVIL}.png": png(51), f"notes{EVIL}.txt": b"", f"empty{EVIL}/x.txt": b""}
UPWARDS = ("../up.png", "a/../../up.png", "/abs-eyas-test.png", "..\\up.png", "C:\\up.png", f"../up{EVIL}.png")


@pytest.fixture
def outside(tmp_path):
    """What must not be touched, beside what is given."""
    folder = tmp_path / "outside"
    (folder / "c").mkdir(parents=True)
    (folder / "c" / "1.png").write_bytes(png(90))
    (folder / "labels.csv").write_text(f"{SECRET},{SECRET}\n")
    (folder / "classes.txt").write_text(f"{SECRET}\n")
    return folder


def as_folder(root, outside):
    for name, data in GOOD.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (root / "out").symlink_to(outside, target_is_directory=True)
    (root / "a" / "out.png").symlink_to(outside / "c" / "1.png")
    (root / "labels.csv").symlink_to(outside / "labels.csv")
    (root / "metadata.jsonl").symlink_to("/dev/zero")
    (root / "classes.txt").symlink_to(outside / "classes.txt")
    (root / "train-images-idx3-ubyte").symlink_to(outside / "labels.csv")
    (root / "a" / "round").symlink_to(root, target_is_directory=True)
    (root / "a" / "self").symlink_to("self")
    (root / "a" / "zero.png").symlink_to("/dev/zero")
    for name in (f"a/pipe{EVIL}.png", "pipe.csv", "pipe.parquet", "pipe.zip"):
        os.mkfifo(root / name)
    return root


def as_zip(root, outside):
    link = zipfile.ZipInfo("a/link.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(root / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(link, str(outside / "c" / "1.png"))
        for name in UPWARDS:
            archive.writestr(name, png(0))
        for name, data in GOOD.items():
            archive.writestr(name, data)
    return root / "x.zip"


def as_tar(root, outside, mode="w", end=".tar"):
    with tarfile.open(root / f"x{end}", mode) as archive:
        for name, kind, target in (
            ("a/link.png", tarfile.SYMTYPE, str(outside / "c" / "1.png")),
            ("a/hard.png", tarfile.LNKTYPE, str(outside / "c" / "1.png")),
            ("out", tarfile.SYMTYPE, str(outside)),
            ("a/zero.png", tarfile.CHRTYPE, ""),
            ("a/pipe.png", tarfile.FIFOTYPE, ""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, target
            archive.addfile(info)
        for name, data in [("out/1.png", png(0)), *((name, png(0)) for name in UPWARDS), *GOOD.items()]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return root / f"x{end}"


def as_tgz(root, outside):
    return as_tar(root, outside, "w:gz", ".tar.gz")


FORMS = [as_folder, as_zip, as_tar, as_tgz]
SOME = [as_folder, as_tgz, *(pytest.param(form, marks=pytest.mark.slow) for form in (as_zip, as_tar))]


ALL = """
import sys
from eyas.cli.app import main
for data in sys.argv[1:]:
    for lang in ("en", "zh"):
        print(main(["train", data, "--epochs", "1", "--lang", lang]), flush=True)
"""


def everything(folder):
    """{path: (kind, size, time, content)} of all there is, links not followed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        stat = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path)] = (stat.st_mode, stat.st_size, stat.st_mtime_ns, data)
    return found


def run(tmp_path, *words, lang="en"):
    """Exit code and all bytes that the command writes to its two outputs."""
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    environ = {**os.environ, "EYAS_LANG": lang, "EYAS_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "eyas", *map(str, words)], cwd=work, env=environ, capture_output=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def assert_harmless(said):
    text = said.decode("utf-8")  # nothing that is no text either
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text), text
    assert not re.search(r"^\s*INJECTED", text, re.MULTILINE), text
    assert SECRET not in text


@pytest.mark.parametrize("form", SOME, ids=lambda form: form.__name__)
def test_a_hostile_tree_trains_and_nothing_outside_is_read_or_written(form, tmp_path, outside):
    root = tmp_path / "given"
    root.mkdir()
    data = form(root, outside)
    before, beside = everything(outside), sorted(path.name for path in tmp_path.iterdir())
    code, said = run(tmp_path, "train", data, "--epochs", "1", "--size", "32", "--model", "small-net")
    assert code == 0, said.decode()
    assert_harmless(said)
    assert everything(outside) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*beside, "work", "cache"])
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == ["runs"]
    assert not os.path.lexists("/abs-eyas-test.png")
    for lang in ("en", "zh"):
        code, said = run(tmp_path, "runs", lang=lang)
        assert code == 0
        assert_harmless(said)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_what_is_left_out_is_counted(form, tmp_path, outside, monkeypatch):
    monkeypatch.setenv("EYAS_LANG", "en")
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "given"
    root.mkdir()
    samples = look(form(root, outside))
    assert len(samples) == 13 + (form in (as_tar, as_tgz))  # a tar may have a folder of the name of its link
    text = "\n".join(samples.notes)
    assert "not regular files" in text
    assert ("lead out of the folder" if form is as_folder else "6 files of the archive left out") in text
    assert_harmless(text.encode())


def test_errors_about_hostile_names_are_printed_harmlessly(tmp_path, outside):
    """Each of them fails on what has an evil name, or at a file that would be waited for."""
    root = tmp_path / f"given{EVIL}"
    root.mkdir()
    os.mkfifo(root / f"pipe{EVIL}.zip")
    (root / f"text{EVIL}.zip").write_bytes(b"no zip")
    with zipfile.ZipFile(root / f"bomb{EVIL}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"a/{EVIL}.bmp", bytes(20 << 20))
    with zipfile.ZipFile(root / f"flat{EVIL}.zip", "w") as archive:
        for name in (f"cat_1{EVIL}.png", "cat_2.png"):
            archive.writestr(name, png(0))
    with zipfile.ZipFile(root / f"table{EVIL}.zip", "w") as archive:
        archive.writestr("x.csv", f'path,label\n"nowhere{EVIL}.png",a\n')
    with zipfile.ZipFile(root / f"alone{EVIL}.zip", "w") as archive:
        archive.writestr(f"only{EVIL}/1.png", png(0))
    table = root / f"x{EVIL}.csv"
    table.write_text(f'path,label,split\n"nowhere{EVIL}.png",a,"{EVIL}"\n', encoding="utf-8")
    given = [*sorted(root.iterdir()), root, root / f"nothing{EVIL}", f"hf://{EVIL}", root / f"x{EVIL}-{{0..9}}.tar"]
    wanted = {"EY-D002", "EY-D079", "EY-D074", "EY-D076", "EY-D007", "EY-D022", "EY-D004", "EY-D080", "EY-D078"}
    environ = {**os.environ, "EYAS_LANG": "zh", "EYAS_CACHE": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", ALL, *map(str, given)], env=environ, capture_output=True, check=True)
    assert_harmless(done.stdout + done.stderr)
    assert set(re.findall(r"EY-D\d+", done.stderr.decode())) == wanted
    assert done.stdout.split() == [b"2"] * 2 * len(given)
