"""Stopped from outside: the work is kept, the exit code says why, the same command goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = ("train", "fashion-sample", "--model", "fashion-cnn", "--threads", "1", "--out", "run")


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    env = os.environ | {"EYAS_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1", "EYAS_LANG": "en"}
    command = [sys.executable, "-m", "eyas", *COMMAND, *more]
    return subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until_it_trains(process: subprocess.Popen[str], folder: Path) -> None:
    log = folder / "run" / "events.jsonl"
    before = log.stat().st_size if log.exists() else 0
    seen = before
    while process.poll() is None:
        now = log.stat().st_size if log.exists() else 0
        if now > seen > 0 or (before == 0 and now > 2000):  # a resume cuts the log back first, then it grows
            return
        seen = min(seen, now) if now else seen
        time.sleep(0.02)
    raise AssertionError(process.stderr.read() if process.stderr else "")


@pytest.mark.parametrize(
    ("number", "code", "status"), [(signal.SIGTERM, 75, "preempted"), (signal.SIGINT, 130, "interrupted")]
)
def test_a_signal_saves_leaves_and_the_same_command_goes_on(tmp_path, number, code, status):
    process = start(tmp_path, "--epochs", "40", "--save-every", "0.1")
    wait_until_it_trains(process, tmp_path)
    process.send_signal(number)
    _, err = process.communicate()
    assert process.returncode == code, err
    assert "the same command goes on" in err
    document = json.loads((tmp_path / "run/run.json").read_text())
    assert document["status"] == status
    again = start(tmp_path, "--epochs", "40", "--save-every", "0.1")
    wait_until_it_trains(again, tmp_path)
    again.send_signal(signal.SIGTERM)
    _, err = again.communicate()
    assert "promise: bitwise" in err


def test_a_second_writer_is_kept_out(tmp_path):
    first = start(tmp_path, "--epochs", "40")
    wait_until_it_trains(first, tmp_path)
    second = start(tmp_path, "--epochs", "40")
    _, err = second.communicate()
    first.kill()
    first.communicate()
    assert second.returncode == 2
    assert "EY-U111" in err
    assert str(first.pid) in err
