"""Faults in numbers: how many power cuts and damaged bytes a checkpoint was put through, and what was lost.

    ./scripts/faults                 both
    ./scripts/faults power [STATES]  simulated power cuts at every operation of a run's life (tests/faults/power.py)
    ./scripts/faults flips [FLIPS]   bits flipped, and a tenth as many truncations, anywhere in a checkpoint

Nothing lost is the only good result, and what is lost is listed in the result file.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests/faults"))

from save_once import tensors
from test_power import losses

from eyas.training import checkpoint
from paired import environment, keep


def power(states: int) -> dict[str, Any]:
    """Power cuts: distinct trees that were looked at, and what of the acknowledged was lost in any of them."""
    cuts, distinct, lost, seed = 0, 0, [], 0
    with tempfile.TemporaryDirectory() as folder:
        while cuts < states:
            count = min(20_000, states - cuts)
            found, missing = losses(Path(folder) / f"life-{seed}", count, seed=seed)
            cuts, distinct, seed = cuts + count, distinct + found, seed + 1
            lost += missing
            print(f"power: {cuts:,} cuts, {distinct:,} distinct within their life, {len(lost)} losses", file=sys.stderr)
    return {"fault": "power cut", "n": cuts, "distinct": distinct, "lost": lost}


def flips(count: int) -> dict[str, Any]:
    """Damage to the newest of two checkpoints: it must be found, and the one before it taken."""
    chance = random.Random(0)
    missed: list[str] = []
    harmless = 0
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        home = Path(folder)
        for step in (2, 4):
            checkpoint.write(home, checkpoint.name_of(step, 0), tensors(step), {"step": step}, fingerprints={"f": 1})
        newest = home / checkpoint.name_of(4, 0)
        files = sorted(newest.iterdir())
        weights = [path.stat().st_size for path in files]
        whole = {path: path.read_bytes() for path in files}
        for i in range(count + count // 10):
            # Half of them by size, half by file: a small file is as easily hit by a bad sector as a large one.
            path = chance.choices(files, weights)[0] if i % 2 else chance.choice(files)
            data = bytearray(whole[path])
            at = chance.randrange(len(data))
            if i < count:
                data[at] ^= 1 << chance.randrange(8)
            else:
                del data[at:]
            path.write_bytes(data)
            found = checkpoint.newest(home).newest
            if found is None or found.step != 2:
                if found is not None and _equal(found):
                    harmless += 1  # white space of the manifest: what it says is unchanged, and so are the tensors
                else:
                    missed.append(f"{path.name} at {at} {'bit' if i < count else 'cut'}")
            path.write_bytes(whole[path])
        assert _equal(checkpoint.read(newest))
    return {"fault": "bit flip", "n": count, "truncations": count // 10, "harmless": harmless, "lost": missed}


def _equal(found: checkpoint.Loaded) -> bool:
    expected = tensors(4)
    return found.step == 4 and all(
        (array == expected[stem][name]).all() for stem, named in found.tensors.items() for name, array in named.items()
    )


def main(words: list[str]) -> int:
    """Runs what is asked for and keeps the result."""
    known = {"power": (power, 100_000), "flips": (flips, 10_000)}
    which = words[:1] or list(known)
    lost = 0
    for name in which:
        run, standard = known[name]
        begun = time.monotonic()
        told = run(int(words[1]) if len(words) > 1 else standard)
        lost += len(told["lost"])
        path = keep("faults", environment() | told | {"seconds": round(time.monotonic() - begun, 1)})
        print(f"{told['fault']}: n = {told['n']:,}, lost {len(told['lost'])} ({path})")
    return min(lost, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
