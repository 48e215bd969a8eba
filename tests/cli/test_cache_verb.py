import json
import os
import time

import numpy as np
import pytest
from PIL import Image

from eyas.artifact.preprocess import Fit
from eyas.cli.app import main
from eyas.data import cache
from eyas.data.packing import build
from eyas.data.samples import FileSource, Samples


def packed(folder, name, seed):
    root = folder / name
    root.mkdir()
    rng = np.random.default_rng(seed)
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (30, 30, 3), np.uint8)).save(root / f"{i}.png")
    samples = Samples(
        FileSource(root, ("0.png", "1.png", "2.png")),
        ("a",),
        np.zeros(3, np.int32),
        np.zeros(3, np.uint8),
        "flat",
        root,
    )
    program = Fit(short_side=20, channels=3)
    return build(samples, np.arange(3), program=program, cache=folder / "cache", workers=1)


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EYAS_LANG", "en")

    def run(*words):
        capfd.readouterr()
        code = main(["cache", *words])
        out = capfd.readouterr()
        return code, out.out, out.err

    return run


def ages(tmp_path, **days):
    """Two packs that nobody uses; the address of each by name."""
    found = {}
    for seed, (name, age) in enumerate(days.items()):
        made = packed(tmp_path, name, seed)
        found[name] = made.address
        then = time.time() - age * 86400
        os.utime(made.folder / "pack.json", (then, then))
    return found


def test_an_empty_cache_is_no_error(call):
    code, out, _ = call()
    assert code == 0
    assert "no packs" in out
    assert json.loads(call("--json")[1])["packs"] == []


def test_the_list_says_what_from_where_how_large_and_last_used(call, tmp_path, monkeypatch):
    ages(tmp_path, old=40, new=0)
    monkeypatch.setenv("EYAS_CACHE_LIMIT", "5GB")
    code, out, _ = call()
    assert code == 0
    assert str(tmp_path / "old") in out
    assert "40 d" in out
    assert "5.0 GB" in out
    document = json.loads(call("--json")[1])
    assert [pack["n"] for pack in document["packs"]] == [3, 3]
    assert document["limit_bytes"] == 5_000_000_000
    assert document["bytes"] == sum(pack["bytes"] for pack in document["packs"])


def test_clear_takes_what_is_old_or_named_or_everything_but_what_is_in_use(call, tmp_path):
    found = ages(tmp_path, old=40, middle=10, new=0)
    assert json.loads(call("clear", "--older", "30d", "--json")[1])["removed"] == [found["old"]]
    assert json.loads(call("clear", found["new"][:8], "--json")[1])["removed"] == [found["new"]]
    used = packed(tmp_path, "used", 7)
    document = json.loads(call("clear", "--json")[1])
    assert document["removed"] == [found["middle"]]
    assert document["kept"] == [used.address]
    used.verify()


def test_verify_removes_a_damaged_pack_and_the_next_use_makes_it_anew(call, tmp_path):
    found = ages(tmp_path, good=0, bad=0)
    path = cache.packs_in(tmp_path / "cache") / found["bad"] / "images.npy"
    with path.open("r+b") as file:
        file.seek(-5, os.SEEK_END)
        file.write(b"\0\1\2\3\4")
    code, out, _ = call("verify", "--json")
    assert code == 1
    document = json.loads(out)
    assert document["good"] == [found["good"]]
    assert [(d["address"], d["images"], d["removed"]) for d in document["damaged"]] == [(found["bad"], 1, True)]
    assert call("verify")[0] == 0
    again = packed_again(tmp_path, "bad")
    assert again.built
    again.verify()


def packed_again(folder, name):
    root = folder / name
    samples = Samples(
        FileSource(root, ("0.png", "1.png", "2.png")),
        ("a",),
        np.zeros(3, np.int32),
        np.zeros(3, np.uint8),
        "flat",
        root,
    )
    return build(samples, np.arange(3), program=Fit(short_side=20, channels=3), cache=folder / "cache", workers=1)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("clear", "--older", "30"), "EY-U142"),
        (("clear", "ffff"), "EY-U143"),
        (("clean",), "EY-U017"),
    ],
)
def test_slips_are_answered_with_what_was_meant(call, tmp_path, words, error):
    ages(tmp_path, some=0)
    code, _, err = call(*words)
    assert code == 2
    assert error in err
