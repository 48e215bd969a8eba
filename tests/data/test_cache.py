import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyas.artifact.preprocess import Fit
from eyas.data import cache, pack
from eyas.data.packing import build
from eyas.data.samples import FileSource, Samples
from eyas.errors import StorageError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there an open file cannot be removed anyway")
AS_IS = Fit(short_side=None, channels=3)


def photos(root, n=6, side=200, seed=0):
    rng = np.random.default_rng(seed)
    root.mkdir(parents=True)
    for i in range(n):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(root / f"{i}.png")
    names = tuple(f"{i}.png" for i in range(n))
    return Samples(FileSource(root, names), ("a",), np.zeros(n, np.int32), np.zeros(n, np.uint8), "flat", root)


def packed(samples, where, **options):
    return build(samples, np.arange(len(samples)), program=AS_IS, cache=where, workers=1, **options)


def three(tmp_path):
    """Three packs that nobody uses, used last in this order; their addresses."""
    addresses = []
    for age, name in ((300, "old"), (200, "middle"), (100, "new")):
        made = packed(photos(tmp_path / name, seed=age), tmp_path / "cache")
        addresses.append(made.address)
        then = time.time() - age
        os.utime(made.folder / "pack.json", (then, then))
    return addresses


def there(tmp_path):
    return {entry.address for entry in cache.entries(tmp_path / "cache")}


def test_entries_say_what_of_how_large_and_when(tmp_path):
    old, middle, new = three(tmp_path)
    found = cache.entries(tmp_path / "cache")
    assert [entry.address for entry in found] == [old, middle, new]
    assert [entry.source for entry in found] == [str(tmp_path / name) for name in ("old", "middle", "new")]
    assert all(entry.n == 6 and entry.whole and entry.bytes > 6 * 200 * 200 * 3 for entry in found)
    assert cache.entries(tmp_path / "nowhere") == []


def test_using_a_pack_makes_it_the_newest(tmp_path):
    old, _, _ = three(tmp_path)
    packed(samples_of(tmp_path / "old"), tmp_path / "cache")
    assert cache.entries(tmp_path / "cache")[-1].address == old


def samples_of(root):
    names = tuple(sorted(path.name for path in root.iterdir()))
    n = len(names)
    return Samples(FileSource(root, names), ("a",), np.zeros(n, np.int32), np.zeros(n, np.uint8), "flat", root)


def test_the_least_recently_used_go_first_and_no_more_than_needed(tmp_path):
    old, middle, new = three(tmp_path)
    each = cache.entries(tmp_path / "cache")[0].bytes
    made = packed(photos(tmp_path / "next", seed=9), tmp_path / "cache", limit_bytes=int(3.5 * each))
    assert there(tmp_path) == {middle, new, made.address}
    assert old not in {path.name for path in (tmp_path / "cache/packs").iterdir()}


def test_a_pack_in_use_is_never_removed(tmp_path):
    three(tmp_path)
    used = packed(samples_of(tmp_path / "old"), tmp_path / "cache")
    then = time.time() - 1000
    os.utime(used.folder / "pack.json", (then, then))
    entry = cache.entries(tmp_path / "cache")[0]
    assert entry.address == used.address
    assert cache.in_use(entry)
    assert not cache.remove(entry)
    each = entry.bytes
    made = packed(photos(tmp_path / "next", seed=9), tmp_path / "cache", limit_bytes=int(2.5 * each))
    assert there(tmp_path) == {used.address, made.address}
    used.verify()
    del used
    (entry,) = [e for e in cache.entries(tmp_path / "cache") if e.address == entry.address]
    assert not cache.in_use(entry)
    assert cache.remove(entry)


def test_a_pack_in_use_by_another_process_is_never_removed(tmp_path):
    three(tmp_path)
    entry = cache.entries(tmp_path / "cache")[0]
    holder = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        import numpy as np
        from eyas.data import pack
        held = pack.find(Path({str(entry.folder)!r}), np.arange(6))
        print("held", flush=True)
        sys.stdin.read()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        assert cache.in_use(entry)
        assert not cache.remove(entry)
        process.kill()
    assert cache.remove(entry)  # the lock went with the process


def test_one_that_is_being_built_is_never_removed(tmp_path):
    packs = cache.packs_in(tmp_path / "cache")
    (packs / "aa.partial").mkdir(parents=True)
    (packs / "aa.partial/images.npy").write_bytes(b"0" * 100)
    (entry,) = cache.entries(tmp_path / "cache")
    with cache.building(packs / "aa.lock"):
        assert cache.in_use(entry)
        assert not cache.remove(entry)
    assert cache.remove(entry)
    assert list(packs.iterdir()) == []


def test_what_can_never_fit_is_refused_and_nothing_is_removed_in_vain(tmp_path):
    three(tmp_path)
    before = there(tmp_path)
    with pytest.raises(StorageError) as caught:
        packed(photos(tmp_path / "next", seed=9), tmp_path / "cache", limit_bytes=500_000)
    assert caught.value.code == "EY-S101"
    held = [packed(samples_of(tmp_path / name), tmp_path / "cache") for name in ("old", "middle", "new")]
    each = cache.entries(tmp_path / "cache")[0].bytes
    with pytest.raises(StorageError) as caught:
        packed(samples_of(tmp_path / "next"), tmp_path / "cache", limit_bytes=int(3.5 * each))
    assert caught.value.code == "EY-S101"
    assert there(tmp_path) == before
    assert len(held) == 3


def test_a_full_disk_is_emptied_of_old_packs_first(tmp_path, monkeypatch):
    _, middle, new = three(tmp_path)
    usage = shutil.disk_usage(tmp_path)
    each = cache.entries(tmp_path / "cache")[0].bytes
    start = sum(entry.bytes for entry in cache.entries(tmp_path / "cache"))

    def pretended(path):
        """A disk on which only half a pack is free beside what we hold."""
        now = sum(entry.bytes for entry in cache.entries(tmp_path / "cache"))
        return usage._replace(free=cache.SPARE_BYTES + each // 2 + start - now)

    monkeypatch.setattr(shutil, "disk_usage", pretended)
    made = packed(photos(tmp_path / "next", seed=9), tmp_path / "cache")
    assert there(tmp_path) == {middle, new, made.address}


def test_what_a_killed_removal_left_is_swept_up_and_old_halves_too(tmp_path):
    packs = cache.packs_in(tmp_path / "cache")
    for name in ("aa.gone", "bb.partial", "cc.partial"):
        (packs / name).mkdir(parents=True)
        (packs / name / "images.npy").write_bytes(b"0")
    then = time.time() - 2 * cache.ABANDONED_S
    os.utime(packs / "bb.partial/images.npy", (then, then))
    cache.sweep(tmp_path / "cache")
    assert {path.name for path in packs.iterdir()} == {"cc.partial"}


def test_a_removal_that_is_killed_leaves_whole_packs_or_none(tmp_path):
    chance = random.Random(0)
    program = textwrap.dedent(f"""
        from pathlib import Path
        from eyas.data import cache
        print("ready", flush=True)
        for entry in cache.entries(Path({str(tmp_path / "cache")!r})):
            cache.remove(entry)
    """)
    for number in range(3):
        rest = [
            packed(photos(tmp_path / f"{number}-{i}", side=20, seed=i), tmp_path / "cache").address for i in range(4)
        ]
        with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
            process.stdout.readline()
            for _ in range(chance.randrange(20_000)):
                pass
            os.kill(process.pid, signal.SIGKILL)
        for i, address in enumerate(rest):
            found = pack.find(tmp_path / "cache/packs" / address, np.arange(6))
            if found is not None:
                found.verify()
            del found
            again = packed(samples_of(tmp_path / f"{number}-{i}"), tmp_path / "cache")
            again.verify()
    cache.sweep(tmp_path / "cache")
    assert {path.suffix for path in cache.packs_in(tmp_path / "cache").iterdir()} <= {"", ".lock"}


def test_several_sizes_coexist_and_each_is_made_from_the_files(tmp_path):
    samples = photos(tmp_path / "photos", n=3, side=60)
    rows = np.arange(len(samples))
    for side in (48, 24, 12):
        program = Fit(short_side=side, channels=3)
        made = build(samples, rows, program=program, cache=tmp_path / "cache", workers=1)
        for row in rows:
            assert (made.image(row) == program.from_bytes(samples.source.read(row))).all()
    assert len(cache.entries(tmp_path / "cache")) == 3


def test_the_default_limit_is_a_share_of_a_large_disk(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(total=10**13))
    assert cache.default_limit(tmp_path) == 2 * 10**12
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(total=10**10))
    assert cache.default_limit(tmp_path) == cache.DEFAULT_LIMIT_BYTES


def test_a_pack_is_the_same_wherever_it_is_placed(tmp_path):
    for name, sides in (("same", [40]), ("many", [40, 30, 20])):
        root = tmp_path / name
        rng = np.random.default_rng(1)
        root.mkdir()
        for i in range(9):
            side = sides[i % len(sides)]
            Image.fromarray(rng.integers(0, 256, (side, side + 3, 3), np.uint8)).save(root / f"{i}.png")
        made = packed(samples_of(root), tmp_path / "cache")
        for where in ("memory", "mapped", "disk"):
            placed = made.placed(where)
            placed.ask(np.array([8, 0, 3]))
            assert all((placed.at(s) == made.at(s)).all() for s in range(9)), where
            assert not placed.at(0).flags.writeable
            assert (placed.mapping is None) == (where == "memory")
            assert placed.cold == (where == "disk")
    assert Path(made.folder).is_dir()
