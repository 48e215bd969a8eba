"""The whole road as a user walks it: odd but real input, trained, scored, predicted, extended, asked again."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

CLASSES = {"红色 圆": (200, 60, 50), "绿色": (60, 170, 70), "蓝色": (50, 80, 190)}


def eyas(folder, *words, code=0, **more):
    env = os.environ | {"EYAS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "EYAS_LANG": "en"} | more
    done = subprocess.run([sys.executable, "-m", "eyas", *words], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """A CSV with Chinese class names, paths with spaces, one grey image, one with transparency, one broken."""
    folder = tmp_path_factory.mktemp("river")
    (folder / "my photos").mkdir()
    g = np.random.default_rng(0)
    rows = []
    for name, colour in CLASSES.items():
        for i in range(24):
            pixels = np.clip(g.normal(colour, 30, (40 + i, 48, 3)), 0, 255).astype(np.uint8)
            path = f"my photos/{name} {i}.jpg"
            Image.fromarray(pixels).save(folder / path)
            rows.append((path, name))
    Image.fromarray(g.integers(0, 256, (50, 60), dtype=np.uint8)).save(folder / "my photos/grey one.png")
    rows.append(("my photos/grey one.png", "绿色"))
    rgba = np.dstack([np.full((44, 44, 3), (50, 80, 190), np.uint8), np.full((44, 44), 128, np.uint8)])
    Image.fromarray(rgba).save(folder / "my photos/through.png")
    rows.append(("my photos/through.png", "蓝色"))
    whole = (folder / rows[0][0]).read_bytes()
    (folder / "my photos/broken.jpg").write_bytes(whole[: len(whole) // 2])
    rows.append(("my photos/broken.jpg", "红色 圆"))
    with (folder / "标签.csv").open("w", encoding="gb18030", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["图片", "标签"])
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="module")
def trained(table):
    done = eyas(table, "train", "标签.csv", "--epochs", "3", "--out", "the run", "--json")
    return json.loads(done.stdout)


def test_a_table_with_chinese_names_spaces_grey_alpha_and_a_broken_file_is_trained(table, trained):
    assert trained["state"] == "done"
    assert trained["val"]["n"] > 0
    run = json.loads((table / "the run/run.json").read_text("utf-8"))
    assert run["data"]["classes"] == sorted(CLASSES, key=run["data"]["classes"].index)
    assert [f["code"] for f in run["data"]["findings"] if f["code"].startswith("E")] == ["E03"]
    lines = (table / "the run/splits.csv").read_text("utf-8").splitlines()
    names = {row["path"]: row for row in csv.DictReader(lines)}
    assert names["my photos/through.png"]["label"] == "蓝色"
    assert names["my photos/broken.jpg"]["split"] == "none"


def test_the_report_is_one_file_with_all_names_and_no_network(table, trained):
    html = (table / "the run/report.html").read_text("utf-8")
    assert all(name in html for name in CLASSES)
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html


def test_predictions_say_what_is_on_a_picture_and_go_on_past_a_broken_one(table, trained):
    done = eyas(table, "predict", "the run", "my photos/蓝色 3.jpg", "my photos/broken.jpg", "--json", code=1)
    good, bad = json.loads(done.stdout)["predictions"]
    assert good["label"] in CLASSES
    assert 0 <= good["probability"] <= 1
    assert bad["error"]["code"] == "E03"


def test_evaluate_gives_the_stored_score_again(table, trained):
    again = json.loads(eyas(table, "evaluate", "the run", "--json").stdout)
    assert again["split"] == "val"
    assert again["accuracy"] == trained["val"]["accuracy"]
    assert again["interval"] == trained["val"]["interval"]


def test_the_same_command_on_a_finished_run_prints_its_result(table, trained):
    done = eyas(table, "train", "标签.csv", "--epochs", "3", "--out", "the run", "--json")
    assert json.loads(done.stdout)["chosen"] == trained["chosen"]
    assert json.loads(done.stdout)["seconds"] == trained["seconds"]


def test_another_intent_in_the_same_folder_is_refused_by_name(table, trained):
    done = eyas(table, "train", "标签.csv", "--epochs", "3", "--lr", "0.3", "--out", "the run", code=2)
    assert "EY-U101" in done.stderr
    assert "recipe.optimizer.lr" in done.stderr


def test_a_finished_run_can_be_extended(table, trained):
    eyas(table, "train", "标签.csv", "--epochs", "1", "--out", "short")
    done = eyas(table, "train", "标签.csv", "--epochs", "2", "--out", "short", "--extend", "--json")
    assert json.loads(done.stdout)["epochs"] >= 2
    refused = eyas(table, "train", "标签.csv", "--epochs", "1", "--out", "short", "--extend", code=2)
    assert "EY-U103" in refused.stderr


def test_runs_are_numbered_fresh_starts_a_new_one_and_a_folder_of_others_is_left_alone(table):
    words = ("train", "标签.csv", "--epochs", "1", "--val", "none", "-q")
    first = eyas(table, *words).stdout.strip()
    second = eyas(table, *words, "--fresh").stdout.strip()
    assert (first, second) == ("runs/001-标签.csv", "runs/002-标签.csv")
    refused = eyas(table, *words, "--out", "my photos", code=2)
    assert "EY-U102" in refused.stderr
    assert "001-" in eyas(table, "runs").stdout


def test_damaged_checkpoints_are_named_and_the_older_one_is_taken(table):
    words = ("train", "标签.csv", "--epochs", "2", "--out", "damaged")
    eyas(table, *words)
    run = json.loads((table / "damaged/run.json").read_text("utf-8"))
    (table / "damaged/run.json").write_text(json.dumps(run | {"status": "running"}), "utf-8")
    newest = max((table / "damaged/checkpoints").glob("step-*"))
    weights = newest / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    done = eyas(table, *words)
    assert newest.name in done.stderr
    assert "does not match its checksum" in done.stderr


def test_a_folder_that_cannot_be_written_is_said_before_training(table):
    (table / "a file").write_text("x")
    done = eyas(table, "train", "标签.csv", "--epochs", "1", "--out", "a file/run", code=74)
    assert "EY-S203" in done.stderr


def test_a_full_disk_drops_checkpoints_says_so_and_stops_after_three(table):
    """A real limit: no file may grow past 60 kB, so weights cannot be written while logs can."""
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000));"
        "from eyas.cli.app import main; sys.exit(main(sys.argv[1:]))"
    )
    env = os.environ | {"EYAS_CACHE": str(table / "cache"), "OMP_NUM_THREADS": "1", "EYAS_LANG": "en"}
    words = ["train", "标签.csv", "--epochs", "6", "--out", "full", "--seed", "9"]
    eyas(table, *words[:-2], "--out", "warm", "--epochs", "1")  # the pack is there already
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=table, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 74, done.stderr
    assert "EY-S202" in done.stderr
    assert not list((table / "full/checkpoints").glob("*tmp*"))


def test_messages_come_in_chinese_when_asked(table):
    done = eyas(table, "train", "nowhere", code=2, EYAS_LANG="zh")
    assert "错误" in done.stderr
