"""`eyas check` as a person and as a script meet it."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyas.cli.app import main


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """Runs `eyas` in a folder of its own; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EYAS_LANG", "en")

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(list(words))
        out = capfd.readouterr()
        return code, out.out, out.err

    return run


@pytest.fixture
def photos(tmp_path) -> Path:
    """A folder of two classes with one file of no bytes, whose name would colour a terminal."""
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / "photos" / name / f"{i}.png")
    (tmp_path / "photos" / "cat" / "a\x1b[31m\nb.png").write_bytes(b"")
    return tmp_path / "photos"


def test_the_table_names_codes_counts_and_examples_and_prints_nothing_raw(call, photos):
    code, out, err = call("check", "photos")
    assert code == 1
    assert out.startswith("E01        1  zero bytes\n              cat/a\\x1b[31m\\nb.png: the file is empty\n")
    assert "C02        2  too few images of a class to validate on" in out
    assert out.endswith("there is something to mend (E or L), or to decide\n")
    assert "9 images (8 usable), 2 classes" in err
    assert "\x1b" not in out + err
    code, out, _ = call("check", "photos", "--lang", "zh")
    assert out.startswith("E01        1  零字节\n")


def test_sound_images_end_with_zero(call, photos):
    next(path for path in (photos / "cat").iterdir() if path.stat().st_size == 0).unlink()
    code, out, _ = call("check", "photos")
    assert (code, out.splitlines()[-1]) == (0, "nothing stands in the way of training")
    assert call("check", "photos", "--quiet")[:2] == (0, "C02 2\n")


def test_json_is_one_document_and_jsonl_a_line_for_each_case(call, photos):
    code, out, err = call("check", "photos", "--json")
    document = json.loads(out)
    assert (code, err) == (1, "")
    assert (document["images"], document["classes"], document["ok"]) == (9, ["cat", "dog"], False)
    assert [(f["code"], f["count"]) for f in document["findings"]] == [("E01", 1), ("C02", 2)]
    code, out, _ = call("check", "photos", "--jsonl", "--quiet")
    lines = [json.loads(line) for line in out.splitlines()]
    assert code == 1
    assert lines[0] == {"path": "cat/a\x1b[31m\nb.png", "code": "E01", "message": "zero bytes: the file is empty"}
    assert [line["code"] for line in lines] == ["E01", "C02", "C02"]


def test_a_page_and_a_list_are_written_where_they_are_wanted(call, photos, tmp_path):
    call("check", "photos", "--html", "out/check.html", "--fix-list", "out/fix.csv", "--quiet")
    assert (tmp_path / "out/check.html").read_text("utf-8").startswith("<!doctype html>")
    with (tmp_path / "out/fix.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["code"], row["action"]) == ("E01", "remove")
    assert row["path"] == "cat/a\\x1b[31m\\x0ab.png"


def test_a_page_that_cannot_be_written_is_a_storage_error(call, photos, tmp_path):
    (tmp_path / "taken").write_text("a file")
    code, _, err = call("check", "photos", "--html", "taken/check.html")
    assert code == 74
    assert "EY-S001" in err


def test_a_choice_that_is_none_is_told(call, photos):
    code, _, err = call("check", "photos", "--allow", "heic")
    assert code == 2
    assert "EY-U017" in err
    assert "tiff,avif" in err


def test_help_says_which_codes_there_are(call):
    for lang in ("en", "zh"):
        code, out, _ = call("check", "--help", "--lang", lang)
        assert code == 0
        assert all(word in out for word in ("E01-E09", "W01-W10", "L01-L05", "C01-C05"))
        assert all(word in out for word in ("--fix-list", "--html", "--jsonl", "--allow", "--run"))
        assert "--help-all" not in out, "there is no more to tell"
