"""Whatever the disk answers to any single call of a save, a whole checkpoint is there, old or new, and nothing is torn.

The kernel's answers are played by strace's system call injection on a real process, as SQLite's tests do with their own
file layer (https://www.sqlite.org/testing.html). Where strace may not run, this says so and skips.
"""

import itertools
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from save_once import tensors

from eyas.training import checkpoint

SCRIPT = Path(__file__).with_name("save_once.py")
CALLS = ("openat", "write", "fsync", "rename", "mkdir", "close")
ANSWERS = (
    *(f"error={name}" for name in ("ENOSPC", "EIO", "EDQUOT", "EROFS", "EINTR")),
    "signal=SIGKILL",
    "retval=100",  # a kernel that says it wrote and did not
)


def can_inject(folder):
    if shutil.which("strace") is None:
        return "strace is not installed"
    probe = ["strace", "-e", "trace=mkdir", "-e", "inject=mkdir:error=ENOSPC", "mkdir", str(folder / "probe")]
    done = subprocess.run(probe, capture_output=True, check=False)
    return "" if done.returncode == 1 and b"INJECTED" in done.stderr else "strace may not inject here"


def save(folder, step, *strace):
    """Runs one save in a process of its own; (did it acknowledge, what strace saw)."""
    log = folder.parent / "strace.log"
    tracer = ["strace", "-f", "-qq", "-o", str(log), *strace] if strace else []
    command = [*tracer, sys.executable, "-B", str(SCRIPT), str(folder), str(step)]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    return "saved" in done.stdout, log.read_text(errors="replace") if strace else ""


def intact(folder, at_least):
    """The newest whole checkpoint, which must be one of ours with its very numbers, and not older than promised."""
    found = checkpoint.newest(folder).newest
    assert found is not None
    assert found.step >= at_least
    assert found.state == {"step": found.step}
    for stem, named in tensors(found.step).items():
        assert all(np.array_equal(found.tensors[stem][name], array) for name, array in named.items())


def calls_of_a_save(folder):
    """call -> the first and the last number (from 1) that it has in a process that saves, our files only."""
    _, log = save(folder, 1, "-e", "trace=" + ",".join(CALLS))
    numbers = {}
    for call in CALLS:
        lines = [line for line in log.splitlines() if f" {call}(" in line]
        first = (
            next(i for i, line in enumerate(lines) if call in ("fsync", "rename", "mkdir") or "EXCL" in line)
            if (call not in ("write", "close"))
            else 0
        )
        numbers[call] = range(max(1, first), len(lines) + 1)
    return numbers


def cases(folder):
    numbers = calls_of_a_save(folder)
    for call, answer in itertools.product(CALLS, ANSWERS):
        if answer.startswith("retval") and call != "write":
            continue
        own = list(numbers[call])
        for number in own[-16:]:  # what comes before is Python reading its modules
            yield call, number, answer


def check(tmp_path, chosen):
    start = tmp_path / "start"
    assert save(start, 2)[0]
    assert save(start, 4)[0]
    acknowledged = 0
    for call, number, answer in chosen:
        folder = tmp_path / "run"
        shutil.copytree(start, folder)
        done, _ = save(folder, 6, "-e", f"trace={call}", "-e", f"inject={call}:{answer}:when={number}")
        acknowledged += done
        print(call, number, answer)  # shown when what follows fails
        intact(folder, 6 if done else 4)
        checkpoint.sweep(folder)
        assert save(folder, 8)[0], "no manual step is needed afterwards"
        intact(folder, 8)
        shutil.rmtree(folder)
    return acknowledged


def test_a_save_that_meets_some_refusals_of_the_disk(tmp_path):
    if why := can_inject(tmp_path):
        pytest.skip(why)
    chance = random.Random(int(os.environ.get("EYAS_TEST_SEED", "1")))
    check(tmp_path, chance.sample(list(cases(tmp_path / "count")), 10))


@pytest.mark.slow
def test_a_save_that_meets_every_refusal_of_the_disk(tmp_path):
    if why := can_inject(tmp_path):
        pytest.skip(why)
    chosen = list(cases(tmp_path / "count"))
    acknowledged = check(tmp_path, chosen)
    print(f"{len(chosen)} faults, {acknowledged} saves acknowledged nevertheless")
    assert 0 < acknowledged < len(chosen)


def test_a_full_disk_keeps_the_old_checkpoint_and_training_may_go_on(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.name != "posix"
        or subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("no small file system can be mounted here")
    try:
        folder = disk / "run"
        for step in range(2, 40, 2):
            done, _ = save(folder, step)
            if step == 4:
                (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - 20_000))
            if step <= 4:
                assert done
            elif step < 20:
                assert not done
                intact(folder, 4)
                assert not [p for p in folder.iterdir() if p.name.startswith(".tmp")]
            elif step == 20:
                (disk / "filler").unlink()
            else:
                assert done
        intact(folder, 38)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
