"""Photos are added, and nothing that was decided about the old ones changes: by the command, as a person types it."""

import csv
import json
import os
import subprocess
import sys

import numpy as np
from PIL import Image


def eyas(folder, *words):
    env = os.environ | {"EYAS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "EYAS_LANG": "en"}
    done = subprocess.run([sys.executable, "-m", "eyas", *words], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def photo(path, seed, *, mirrored=False):
    g = np.random.default_rng(seed)
    picture = Image.fromarray(g.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize((32, 32), Image.Resampling.BICUBIC)
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else picture).save(path)


def splits_of(folder, run):
    with (folder / "runs" / run / "splits.csv").open(newline="", encoding="utf-8") as file:
        return {row["path"]: row for row in csv.DictReader(file)}


def test_old_photos_stay_new_ones_join_their_copies_and_the_holdout_stays_out(tmp_path):
    for number in range(60):
        photo(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png", number)
    first = eyas(tmp_path, "train", "photos", "--epochs", "1", "--holdout", "20%")
    assert "holdout: " in first.stderr
    assert "a little optimistic" in first.stderr
    before = splits_of(tmp_path, "001-photos")
    for number in range(60, 80):
        photo(tmp_path / "photos" / "ab"[number % 2] / f"{number}.png", number)
    for side in ("val", "holdout"):
        name = next(name for name, row in before.items() if row["split"] == side)
        photo(tmp_path / "photos" / name.split("/")[0] / f"{side}.png", int(name[2:-4]), mirrored=True)

    second = eyas(tmp_path, "train", "photos", "--epochs", "1")
    assert "taken over from runs/001-photos/splits.csv" in second.stderr
    after = splits_of(tmp_path, "002-photos")
    assert {name: after[name]["split"] for name in before} == {name: row["split"] for name, row in before.items()}
    for side in ("val", "holdout"):
        (new,) = (row for name, row in after.items() if name.endswith(f"/{side}.png"))
        assert new["split"] == side
        assert new["cluster"]
    run = json.loads((tmp_path / "runs/002-photos/run.json").read_text("utf-8"))
    assert "taken over from" in run["data"]["split"]
    kept = sum(row["split"] == "holdout" for row in after.values())
    answer = json.loads(eyas(tmp_path, "evaluate", "runs/latest", "--split", "holdout", "--json").stdout)
    assert (answer["split"], answer["n"], answer["looks"]) == ("holdout", kept, 1)
    run = json.loads((tmp_path / "runs/002-photos/run.json").read_text("utf-8"))
    assert run["holdout_looks"] == 1
