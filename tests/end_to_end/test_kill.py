"""Ten kills at random moments: the same command ends with the same bits as the run that was not killed."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

KILLS = 10
COMMAND = [
    *("train", "fashion-sample", "--model", "fashion-cnn", "--epochs", "8", "--batch-size", "64", "--ema", "0.05"),
    *("--mixup", "0.2", "--pad-crop", "2", "--erase", "0.2", "--parts", "2", "--threads", "1", "--save-every", "0.2"),
]


def start(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "eyas", *COMMAND, "--out", "run", "--json"]
    env = os.environ | {"EYAS_CACHE": str(folder.parent / "cache"), "OMP_NUM_THREADS": "1"}
    with (folder / "stderr.txt").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=log)


def weights(folder: Path) -> str:
    found = hashlib.sha256()
    for path in sorted((folder / "run" / "checkpoints" / "chosen").glob("*.safetensors")):
        found.update(path.read_bytes())
    return found.hexdigest()


def last_checkpoint(folder: Path) -> dict[str, str]:
    """SHA-256 of weights, moments and average of the last step."""
    last = max(p for p in (folder / "run" / "checkpoints").iterdir() if p.name.startswith("step-"))
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in last.glob("*.safetensors")}


@pytest.mark.slow
def test_killed_ten_times_and_resumed_is_bit_for_bit_the_run_that_was_not(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    begun = time.monotonic()
    process = start(whole)
    while not list((whole / "run" / "checkpoints").glob("step-*")):
        assert process.poll() is None, (whole / "stderr.txt").read_text()
        time.sleep(0.01)
    ready = time.monotonic() - begun
    assert process.wait() == 0

    seed = int(os.environ.get("EYAS_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"EYAS_TEST_SEED={seed}")
    moments = random.Random(seed)
    for _ in range(KILLS):
        process = start(killed)
        # From the start of the process until some way into training: imports, packing, the first save, steps, saves.
        time.sleep(moments.uniform(0.2 * ready, ready + 0.6))
        assert process.poll() is None, "the run ended before it could be killed: make it longer"
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert start(killed).wait() == 0, (killed / "stderr.txt").read_text()
    assert json.loads((killed / "run/run.json").read_text())["resumes"], "no kill hit the training"
    assert weights(whole) == weights(killed)
    assert last_checkpoint(whole) == last_checkpoint(killed)
    assert (whole / "run/metrics.csv").read_bytes() == (killed / "run/metrics.csv").read_bytes()
    a, b = (json.loads((f / "run/run.json").read_text()) for f in (whole, killed))
    assert a["result"]["test"] == b["result"]["test"]
    assert all(r["promise"] == "bitwise" for r in b["resumes"])
