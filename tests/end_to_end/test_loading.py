"""However images reach the training (packed, streamed, any number of threads), the weights are the same."""

import csv
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image


def eyas(folder, *words, code=0, **more):
    env = os.environ | {"EYAS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "EYAS_LANG": "en"} | more
    done = subprocess.run([sys.executable, "-m", "eyas", *words], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Photos of two classes and different sizes, one of them broken, and a table that weighs them."""
    folder = tmp_path_factory.mktemp("loading")
    g = np.random.default_rng(0)
    rows = []
    for name, colour, n in (("red", (200, 60, 50), 36), ("blue", (50, 80, 190), 12)):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(n):
            pixels = np.clip(g.normal(colour, 40, (40 + i, 56, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"photos/{name}/{i}.jpg")
            rows.append((f"photos/{name}/{i}.jpg", name, i % 3))
    path = folder / "photos/red/9.jpg"
    path.write_bytes(path.read_bytes()[:200])
    with (folder / "weighted.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path", "label", "weight"), *rows])
    return folder


def trained(home, name, *words, data="photos", **more):
    done = eyas(
        home,
        "train",
        data,
        "--epochs",
        "2",
        "--batch-size",
        "8",
        "--threads",
        "1",
        "--out",
        name,
        *words,
        "--json",
        **more,
    )
    weights = (home / name / "checkpoints/chosen/model.safetensors").read_bytes()
    run = json.loads((home / name / "run.json").read_text())
    plan = {choice["name"]: choice for choice in run["plan"]}
    return json.loads(done.stdout), hashlib.sha256(weights).hexdigest(), plan, run


@pytest.fixture(scope="module")
def packed(home):
    return trained(home, "packed")


@pytest.mark.parametrize("words", [("--no-pack",), ("--no-pack", "--loader-threads", "0"), ("--loader-threads", "3")])
def test_streamed_or_packed_with_any_number_of_threads_the_weights_are_the_same(home, packed, words):
    answer, weights, plan, _ = trained(home, "run" + "".join(words), *words)
    assert weights == packed[1]
    assert answer["val"] == packed[0]["val"]
    assert plan["images"]["value"] == ("streamed" if "--no-pack" in words else "memory")


def test_a_streamed_run_is_scored_again_without_a_pack(home, packed):
    trained(home, "streamed", "--no-pack", EYAS_CACHE=str(home / "other-cache"))
    assert not list((home / "other-cache").rglob("images.npy"))
    again = json.loads(eyas(home, "evaluate", "streamed", "--split", "val", "--json").stdout)
    assert again["accuracy"] == packed[0]["val"]["accuracy"]


def test_where_the_pack_does_not_fit_it_streams_and_says_so(home, packed):
    _, weights, plan, _ = trained(home, "small", "--cache-limit", "90kB", EYAS_CACHE=str(home / "small-cache"))
    assert weights == packed[1]
    assert plan["images"]["value"] == "streamed"
    assert "do not fit" in plan["images"]["reason"]
    words = ("train", "photos", "--pack", "--cache-limit", "90kB", "--out", "no")
    assert "EY-S101" in eyas(home, *words, code=74, EYAS_CACHE=str(home / "small-cache")).stderr
    assert "EY-U141" in eyas(home, "train", "photos", "--cache-limit", "90", code=2).stderr


def test_every_run_knows_what_its_data_took_and_what_to_do_about_it(home, packed):
    answer, _, _, run = packed
    assert 0 <= answer["loader_tax"] < 1
    assert 0 < answer["augment_tax"] < 1
    assert run["result"]["loader"]["advice"] in ("none", "threads", "augment", "disk")
    page = (home / "packed/report.html").read_text("utf-8")
    assert "augmentation" in page
    _, _, _, streamed = trained(home, "advised", "--no-pack", "--loader-threads", "0")
    assert streamed["result"]["loader"]["advice"] == "pack"
    assert "--no-pack" in (home / "advised/report.html").read_text("utf-8")


def test_without_resized_crops_one_shape_is_packed_and_streams_to_the_same_weights(home):
    words = ("--resized-crop", "0,0", "--pad-crop", "3")
    _, weights, _, run = trained(home, "still", *words)
    assert run["data"]["pack"]["bytes"] == 48 * run["preprocess"]["height"] * run["preprocess"]["width"] * 3
    assert trained(home, "still streamed", *words, "--no-pack")[1] == weights


def test_sampling_is_part_of_what_is_learnt(home, packed):
    _, weights, _, run = trained(home, "balanced", "--sampling", "balanced")
    assert weights != packed[1]
    assert run["recipe"]["sampling"] == "balanced"
    _, _, _, run = trained(home, "weighted", "--sampling", "weighted", data="weighted.csv")
    assert run["recipe"]["sampling"] == "weighted"
    assert "EY-U140" in eyas(home, "train", "photos", "--sampling", "weighted", code=2).stderr
    with (home / "weighted.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    with (home / "zero.csv").open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *([*row[:2], 0] for row in rows[1:])])
    assert "EY-D144" in eyas(home, "train", "zero.csv", "--sampling", "weighted", code=2).stderr
