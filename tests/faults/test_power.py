"""After a power cut at any moment no acknowledged checkpoint and no acknowledged decision is lost."""

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from power import Recorder, lay_out, promised, survivors

from eyas.training import checkpoint, run

STATES = int(os.environ.get("EYAS_POWER_STATES", "1500"))
FOLDER = Path("/dev/shm") if Path("/dev/shm").is_dir() else None


def tensors(step):
    made = np.random.default_rng(step)
    return {
        "model": {"a": made.normal(size=(3, 4)).astype(np.float32), "b": made.integers(0, 9, 5)},
        "optimizer": {"a/momentum": made.normal(size=(3, 4)).astype(np.float32)},
    }


def life(root, mark):
    """A short life of a run: made, decided, saved four times, pruned, ended. `mark` what each part has promised."""
    made = run.create(None, root, "photos", {"intent": {"lr": 0.1}, "status": "running"})
    mark(("run", "running"))
    made.decide({"name": "steps", "value": 8})
    mark(("decision", 8))
    for step in (0, 2, 4, 6):
        name = checkpoint.name_of(step, 0)
        checkpoint.write(made.checkpoints, name, tensors(step), {"step": step}, fingerprints={"f": 1})
        mark(("checkpoint", step))
        checkpoint.prune(made.checkpoints, {checkpoint.name_of(2, 0)})
    made.decide({"name": "steps", "value": 9})
    mark(("decision", 9))
    checkpoint.write(made.checkpoints, "chosen", {"model": tensors(6)["model"]}, {"step": 6}, fingerprints={"f": 1})
    mark(("chosen", 6))
    made.write(status="done")
    mark(("run", "done"))


def lost(root, promises):
    """What was promised and is not there, or is wrong; empty when nothing is."""
    found = run.list_runs(root)
    if not promises:
        return []
    if len(found) != 1:
        return [f"{len(found)} runs"]
    wrong = []
    here = found[0]
    if here.document["intent"] != {"lr": 0.1}:
        wrong.append("intent")
    if ("run", "done") in promises and here.status != "done":
        wrong.append("status")
    decided = [d["value"] for d in here.decisions()]
    wrong += [f"decision {v}" for kind, v in promises if kind == "decision" and v not in decided]
    search = checkpoint.newest(here.checkpoints)
    steps = [v for kind, v in promises if kind == "checkpoint"]
    if steps and (search.newest is None or search.newest.step < max(steps)):
        wrong.append(f"checkpoint {max(steps)}")
    if search.newest is not None:
        expected = tensors(search.newest.step)
        for stem, named in search.newest.tensors.items():
            wrong += [f"{stem} {n}" for n, a in named.items() if not np.array_equal(a, expected[stem][n])]
        if search.newest.state != {"step": search.newest.step}:
            wrong.append("state")
    if ("chosen", 6) in promises:
        checkpoint.read(here.checkpoints / "chosen")
    checkpoint.sweep(here.checkpoints)
    return wrong


def losses(tmp_path, count, *, seed=0):
    """(number of distinct trees, the first losses) over `count` power cuts in a life."""
    root = tmp_path / "runs"
    tmp_path.mkdir(exist_ok=True)
    recorder = Recorder(tmp_path)
    with recorder:
        life(root, recorder.mark)
    seen, found = set(), []
    after = (FOLDER or tmp_path) / f"eyas-power-{os.getpid()}"
    try:
        for end, tree in survivors(recorder, count, seed):
            key = hash((tuple(promised(recorder.trace, end)), repr(tree)))
            if key in seen:
                continue
            seen.add(key)
            after.mkdir()
            lay_out(tree, after)
            try:
                wrong = lost(after / "runs", promised(recorder.trace, end))
            except ValueError as error:
                wrong = [str(error)]
            if wrong:
                found.append((end, wrong))
            shutil.rmtree(after)
    finally:
        shutil.rmtree(after, ignore_errors=True)
    return len(seen), found


def test_a_power_cut_at_any_moment_loses_nothing_that_was_acknowledged(tmp_path, capsys):
    distinct, found = losses(tmp_path / "life", STATES, seed=random.randrange(2**32))
    with capsys.disabled():
        print(f"[{distinct} distinct states]", end=" ")
    assert not found, found[:5]
    assert distinct > STATES / 10


@pytest.mark.parametrize("forgotten", ["files", "folders"])
def test_the_simulation_finds_a_forgotten_fsync(tmp_path, monkeypatch, forgotten):
    really = os.fsync

    def fsync(handle):
        is_folder = os.path.isdir(f"/proc/self/fd/{handle}")
        if is_folder != (forgotten == "folders"):
            really(handle)

    monkeypatch.setattr(checkpoint.os, "fsync", fsync)
    recorder_fsync = Recorder.fsync

    def noted(self, handle):
        if os.path.isdir(f"/proc/self/fd/{handle}") != (forgotten == "folders"):
            recorder_fsync(self, handle)

    monkeypatch.setattr(Recorder, "fsync", noted)
    _, found = losses(tmp_path / "life", 400)
    assert found
