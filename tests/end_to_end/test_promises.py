"""The promises of the README that are not about kills (those are in test_kill.py): one small run, watched."""

import csv
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WATCH = """
import os, sys

def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto", "pickle.find_class"):
        with open(os.environ["WATCHED"], "a") as file:
            file.write(f"{event} {args}\\n")

sys.addaudithook(watch)
"""
TRAIN = ("train", "photos", "--epochs", "2", "--threads", "1", "--model-arg", "width=8", "--json")


def make(folder: Path, *, swapped: bool = False) -> Path:
    """photos/train|val|test of two colours, JPEG of mixed shapes and orientations; `swapped`: test has wrong labels."""
    noise = np.random.default_rng(0)
    for part, n in (("train", 40), ("val", 16), ("test", 10)):
        for name, colour in (("red", (200, 60, 30)), ("blue", (30, 60, 200))):
            shown = {"red": "blue", "blue": "red"}[name] if swapped and part == "test" else name
            where = folder / "photos" / part / shown
            where.mkdir(parents=True)
            for i in range(n):
                shape = (40 + 4 * (i % 5), 44 + 4 * (i % 3), 3)
                pixels = np.clip(np.array(colour) + noise.integers(-60, 60, shape), 0, 255).astype(np.uint8)
                exif = Image.Exif()
                exif[0x0112] = 1 + i % 8
                Image.fromarray(pixels).save(where / f"{name}{i}.jpg", exif=exif)
    return folder


def contents(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        path.relative_to(folder).as_posix(): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def eyas(folder: Path, *words: str) -> dict:
    """Runs a command whose every Python process is watched; gives its document."""
    (folder / "watch").mkdir(exist_ok=True)
    (folder / "watch" / "sitecustomize.py").write_text(WATCH)
    paths = [str(folder / "watch"), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {
        "EYAS_CACHE": str(folder / "cache"), "EYAS_LANG": "en", "WATCHED": str(folder / "watched.txt"),
        "PYTHONPATH": os.pathsep.join(paths),
    }  # fmt: skip
    done = subprocess.run([sys.executable, "-m", "eyas", *words], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def before(home) -> dict:
    return contents(home / "photos")


@pytest.fixture(scope="module")
def trained(home, before) -> dict:
    return eyas(home, *TRAIN, "--out", "run")


@pytest.fixture(scope="module")
def predicted(home, trained) -> dict:
    return eyas(home, "predict", "run", "photos/test", "--json")


def test_the_watch_sees_what_it_watches_for(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(WATCH)
    code = (
        "import pickle, pathlib, socket\n"
        "pickle.loads(pickle.dumps(pathlib.PurePosixPath('a')))\n"
        "socket.getaddrinfo('127.0.0.1', 1)\n"
    )
    env = os.environ | {"PYTHONPATH": str(tmp_path), "WATCHED": str(tmp_path / "seen")}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    seen = (tmp_path / "seen").read_text()
    assert "pickle.find_class" in seen
    assert "socket.getaddrinfo" in seen


def test_no_surprises_nothing_is_asked_of_the_network_and_no_photo_is_changed(home, before, trained, predicted):
    seen = home / "watched.txt"
    assert not seen.exists() or "socket" not in seen.read_text()
    assert contents(home / "photos") == before


def test_it_does_not_lie_every_score_has_an_interval_around_it(trained):
    for split in ("val", "test"):
        low, high = trained[split]["interval"]
        assert 0 <= low <= trained[split]["accuracy"] <= high <= 1
        assert low < high
        assert all(len(one["interval"]) == 2 for one in trained[split]["per_class"])


def test_it_does_not_lie_what_test_says_changes_nothing_but_the_score_of_test(home, trained, tmp_path):
    make(tmp_path, swapped=True)
    other = eyas(tmp_path, *TRAIN, "--out", "run")
    assert other["chosen"] == trained["chosen"]
    assert other["val"] == trained["val"]
    assert other["test"]["accuracy"] == pytest.approx(1 - trained["test"]["accuracy"])
    weights = [folder / "run/checkpoints/chosen/model.safetensors" for folder in (home, tmp_path)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_it_does_not_lie_a_predicted_photo_gets_the_score_it_had_in_the_run(home, predicted):
    with (home / "run/predictions.test.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["path"]: row for row in csv.DictReader(file)}
    answers = {Path(one["path"]).relative_to("photos").as_posix(): one for one in predicted["predictions"]}
    assert set(answers) == set(rows)
    for path, row in rows.items():
        assert answers[path]["label"] == row["predicted"]
        assert answers[path]["probability"] == pytest.approx(float(row["probability"]), abs=1e-5)


def test_no_pickle_what_is_saved_has_checksums_and_loading_it_runs_no_code(home, trained, predicted):
    seen = home / "watched.txt"
    assert not seen.exists() or "pickle" not in seen.read_text()
    kinds = {path.suffix for path in (home / "run").rglob("*") if path.is_file() and path.suffix}
    assert kinds <= {".json", ".jsonl", ".csv", ".npy", ".toml", ".txt", ".png", ".html", ".safetensors"}
    for path in (home / "run").rglob("*.npy"):
        np.load(path, allow_pickle=False)
    manifest = json.loads((home / "run/checkpoints/chosen/MANIFEST.json").read_text())
    for name, told in manifest["files"].items():
        data = (home / "run/checkpoints/chosen" / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (told["bytes"], told["sha256"])


def test_near_the_limit_a_run_says_how_fast_it_went_and_what_it_waited_for(home, trained):
    assert trained["images_per_second"] > 0
    assert 0 <= trained["loader_tax"] < 1
    seconds = json.loads((home / "run/run.json").read_text("utf-8"))["result"]["seconds_by"]
    assert {"pack", "train", "wait", "evaluate", "save"} <= set(seconds)
    assert all(value >= 0 for value in seconds.values())
