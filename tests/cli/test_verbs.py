"""The verbs that work on images and runs, on one small run made by the command itself."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import eyas
from eyas.cli.app import main

COLOURS = {"红色 red": (200, 30, 30), "blue": (30, 30, 200)}


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A folder with photos of two colours."""
    folder = tmp_path_factory.mktemp("home")
    noise = np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(40):
            pixels = np.clip(np.array(colour) + noise.integers(-25, 25, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
    return folder


@pytest.fixture
def call(home, monkeypatch, capfd):
    """Runs `eyas` in that folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(home)
    monkeypatch.setenv("EYAS_CACHE", str(home / "cache"))
    monkeypatch.setenv("EYAS_LANG", "en")

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(list(words))
        out = capfd.readouterr()
        return code, out.out, out.err

    return run


TRAIN = ("train", "photos", "--epochs", "2", "--threads", "1", "--test", "0.2", "--out", "runs/001-photos")


@pytest.fixture
def trained(call) -> dict:
    """The document of the run; the first test trains it, the others are given its result."""
    code, out, _ = call(*TRAIN, "--json")
    assert code == 0
    return json.loads(out)


def test_train_answers_with_one_document_and_says_nothing_else(call, trained):
    assert set(trained) >= {"run", "state", "epochs", "steps", "seconds", "chosen", "val", "test"}
    assert set(trained) >= {"images_per_second", "loader_tax"}
    assert (trained["run"], trained["state"]) == ("runs/001-photos", "done")
    for split in ("val", "test"):
        low, high = trained[split]["interval"]
        assert low <= trained[split]["accuracy"] <= high
    assert call(*TRAIN, "--json")[2] == ""


def test_the_same_command_on_a_finished_run_gives_its_result_again(call, trained):
    code, out, err = call(*TRAIN)
    assert code == 0
    assert "runs/001-photos" in out
    assert "report.html" in out
    assert "\r" not in err
    assert "\x1b" not in err
    assert call(*TRAIN, "-q")[1] == "runs/001-photos\n"


def test_the_run_remembers_where_each_setting_came_from(home, trained):
    written = (home / "runs/001-photos/config.toml").read_text("utf-8")
    (line,) = [line for line in written.splitlines() if line.startswith("epochs")]
    assert line.split() == ["epochs", "=", "2.0", "#", "flag"]


def test_evaluate_gives_the_score_of_the_run_again(call, trained):
    code, out, _ = call("evaluate", "runs/001-photos", "--json")
    document = json.loads(out)
    assert code == 0
    assert document["split"] == "test"
    assert document["accuracy"] == trained["test"]["accuracy"]
    assert set(document) >= {"split", "n", "accuracy", "interval", "top5", "loss", "ece", "per_class"}
    assert float(call("evaluate", "1", "-q", "--split", "val")[1]) == pytest.approx(
        trained["val"]["accuracy"], abs=1e-6
    )
    assert "红色 red" in call("evaluate", "1")[1]


def test_predict_answers_for_each_file_and_ends_with_one_when_some_failed(call, home, trained):
    (home / "broken.jpg").write_bytes(b"no image")
    good = "photos/红色 red/0.png"
    code, out, err = call("predict", "1", good, "broken.jpg", "gone.jpg", "--top", "2", "--json")
    first, second, third = json.loads(out)["predictions"]
    assert (code, err) == (1, "")
    assert first["path"] == good
    assert first["label"] == first["top"][0]["label"]
    assert len(first["top"]) == 2
    assert first["top"][0]["probability"] >= first["top"][1]["probability"]
    assert {"code", "message"} == set(second["error"]) == set(third["error"])
    lines = call("predict", "1", "photos", "--jsonl")[1].splitlines()
    assert len(lines) == 80
    assert all(json.loads(line)["label"] in COLOURS for line in lines)
    assert call("predict", "1", good)[0] == 0


def test_runs_lists_it(call, trained):
    (row,) = json.loads(call("runs", "--json")[1])["runs"]
    assert row["run"] == "runs/001-photos"
    assert "done" in call("runs")[1]


def test_show_writes_a_picture(call, home):
    code, out, _ = call("show", "photos", "--count", "9", "--rotate", "20", "--to", "grid.png", "--json")
    assert (code, json.loads(out)) == (0, {"path": "grid.png", "count": 9})
    with Image.open(home / "grid.png") as picture:
        assert min(picture.size) > 64
    code, _, err = call("show", "photos", "--to", "none/grid.png")
    assert code == 74
    assert "EY-S001" in err


def test_report_writes_the_same_report_again_with_its_pictures(call, home, trained):
    report = home / "runs/001-photos/report.html"
    pictures = report.read_text("utf-8").count("data:image/")
    report.unlink()
    code, out, _ = call("report", "1", "--json")
    assert (code, json.loads(out)["notes"]) == (0, [])
    assert report.read_text("utf-8").count("data:image/") == pictures > 0


def test_a_report_never_shows_other_pictures_than_those_of_its_rows(call, home, trained):
    moved = home / "photos" / "blue" / "3.png"
    kept = moved.read_bytes()
    moved.unlink()
    try:
        code, _, err = call("report", "1")
        assert code == 0
        assert "no longer what the run was trained on" in err
    finally:
        moved.write_bytes(kept)
    (home / "photos").rename(home / "elsewhere")
    try:
        assert "EY-D001" in call("report", "1")[2]
    finally:
        (home / "elsewhere").rename(home / "photos")


def test_python_gives_the_same_answers_as_the_command(call, home, trained):
    classifier = eyas.load("runs/001-photos")
    (answer,) = classifier.predict(["photos/blue/0.png"])
    (told,) = json.loads(call("predict", "1", "photos/blue/0.png", "--json")[1])["predictions"]
    assert (answer.label, answer.probability) == (told["label"], told["probability"])


def test_train_in_python_makes_a_run_and_gives_what_predicts(call, home, tmp_path, monkeypatch):
    shutil.copytree(home / "photos", tmp_path / "photos")
    monkeypatch.chdir(tmp_path)
    classifier = eyas.train("photos", eyas.Settings(epochs=1, threads=1), quiet=True)
    assert classifier.run.path == Path("runs/001-photos")
    assert "# python" in (tmp_path / "runs/001-photos/config.toml").read_text("utf-8")
    assert classifier.predict(["photos/blue/0.png"])[0].label in COLOURS
    with pytest.raises(eyas.EyasError, match="EY-U016"):
        eyas.train("photos", eyas.Settings(lr=-1))
