import json
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_safetensors

from eyas.errors import StorageError
from eyas.training import checkpoint


def arrays(seed=0):
    g = np.random.default_rng(seed)
    return {
        "conv.weight": g.standard_normal((4, 3, 3, 3)).astype(np.float32),
        "steps": np.array(7, np.int64),
        "mask": g.integers(0, 2, (5,)).astype(bool),
        "empty": np.zeros((0, 3), np.float32),
    }


def save(folder, step, *, attempt=0, seed=0):
    name = checkpoint.name_of(step, attempt)
    tensors = {"model": arrays(seed), "optimizer": {"conv.weight/momentum_buffer": arrays(seed + 1)["conv.weight"]}}
    return checkpoint.write(folder, name, tensors, {"step": step}, fingerprints={"data": "abc"})


def same(a, b):
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and np.array_equal(a[k], b[k]) for k in a)


def test_what_is_read_is_what_was_written(tmp_path):
    written = save(tmp_path, 12)
    found = checkpoint.read(written.path)
    assert same(found.tensors["model"], arrays())
    assert (found.step, found.attempt, found.state, found.fingerprints) == (12, 0, {"step": 12}, {"data": "abc"})


def test_our_files_are_safetensors_to_the_library():
    data = b"".join(bytes(piece) for piece in checkpoint.safetensors_parts(arrays(), {"format": "pt"}))
    assert same(load_safetensors(data), arrays())
    assert same(checkpoint.read_safetensors(data), arrays())


def test_channels_last_arrays_are_written_in_logical_order(tmp_path):
    weight = np.arange(24, dtype=np.float32).reshape(2, 2, 3, 2).transpose(0, 3, 1, 2)
    checkpoint.write(tmp_path, checkpoint.name_of(0, 0), {"model": {"w": weight}}, {}, fingerprints={})
    found = checkpoint.newest(tmp_path).newest
    assert found is not None
    assert np.array_equal(found.tensors["model"]["w"], weight)


def test_newest_is_by_attempt_then_step(tmp_path):
    for step, attempt in ((5, 0), (30, 0), (12, 1), (8, 1)):
        save(tmp_path, step, attempt=attempt)
    found = checkpoint.newest(tmp_path).newest
    assert found is not None
    assert (found.step, found.attempt) == (12, 1)


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_any_flipped_bit_or_lost_tail_is_found_and_the_older_one_taken(tmp_path_factory, where, bit, cut):
    folder = tmp_path_factory.mktemp("c")
    save(folder, 1)
    newer = save(folder, 2).path
    files = sorted(newer.iterdir())
    total = sum(f.stat().st_size for f in files)
    offset = int(where * total)
    for file in files:
        size = file.stat().st_size
        if offset < size:
            break
        offset -= size
    data = bytearray(file.read_bytes())
    if cut:
        data = data[:offset]
    else:
        data[offset] ^= 1 << bit
    file.write_bytes(data)
    search = checkpoint.newest(folder)
    assert search.newest is not None
    if search.newest.step == 2:  # the flip hit white space of the manifest: what it says is unchanged
        assert file.name == checkpoint.MANIFEST
        assert same(search.newest.tensors["model"], arrays())
    else:
        assert [name for name, _ in search.damaged] == [newer.name]


def test_too_little_space_is_said_before_a_byte_is_written(tmp_path, monkeypatch):
    save(tmp_path, 1)
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr(checkpoint.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(StorageError, match="EY-S201"):
        save(tmp_path, 2)
    assert [p.name for p in checkpoint.listed(tmp_path)] == [checkpoint.name_of(1, 0)]


def test_a_refusing_disk_leaves_nothing_of_the_new_and_all_of_the_old(tmp_path):
    """A real limit on file size: the kernel refuses the write in the middle of a file."""
    code = f"""
import resource, signal, numpy as np
from pathlib import Path
from eyas.training import checkpoint
folder = Path({str(tmp_path)!r})
big = {{"model": {{"w": np.ones(100_000, np.float32)}}}}
checkpoint.write(folder, checkpoint.name_of(1, 0), big, {{}}, fingerprints={{}})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    checkpoint.write(folder, checkpoint.name_of(2, 0), big, {{}}, fingerprints={{}})
except OSError as error:
    print(type(error).__name__, error.errno)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "OSError" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint.name_of(1, 0)]
    assert checkpoint.newest(tmp_path).newest is not None


def test_prune_keeps_two_and_the_named(tmp_path):
    for step in range(6):
        save(tmp_path, step)
    checkpoint.prune(tmp_path, {checkpoint.name_of(1, 0)})
    assert sorted(p.name for p in tmp_path.iterdir()) == [checkpoint.name_of(s, 0) for s in (1, 4, 5)]


def test_keeping_one_is_refused(tmp_path):
    with pytest.raises(AssertionError):
        checkpoint.prune(tmp_path, set(), last=1)


def test_sweep_removes_what_dead_writers_left(tmp_path):
    save(tmp_path, 3)
    (tmp_path / ".tmp-step-1").mkdir()
    (tmp_path / ".trash-step-1").mkdir()
    assert len(checkpoint.sweep(tmp_path)) == 2
    assert [p.name for p in tmp_path.iterdir()] == [checkpoint.name_of(3, 0)]


def test_a_newer_format_is_named_not_guessed(tmp_path):
    path = save(tmp_path, 1).path
    manifest = json.loads((path / checkpoint.MANIFEST).read_text())
    (path / checkpoint.MANIFEST).write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(ValueError, match="format 99"):
        checkpoint.read(path)


def test_writing_does_not_import_torch():
    code = "import eyas.training.checkpoint, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0


def test_saving_a_step_again_does_not_touch_what_is_whole(tmp_path):
    first = save(tmp_path, 3)
    before = first.path.stat().st_ino
    save(tmp_path, 3)
    assert first.path.stat().st_ino == before
    (first.path / "state.json").write_text("{}")
    save(tmp_path, 3)
    assert checkpoint.read(first.path).state == {"step": 3}
