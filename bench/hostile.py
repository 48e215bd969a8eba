"""Broken and hostile files by the thousand: does each get its code, does anything crash or hang, is a file changed?

    ./scripts/fuzz                 # 1,000 of each of the 32 kinds of tests/corpus_hostile.py: about half an hour
    ./scripts/fuzz --each 50       # fewer
    ./scripts/fuzz --seed 7        # others; the seed is kept with the result

One kind after the other, each through `eyas check` as a whole: scan, worker processes, findings. A code counts as right
when it is exactly the one that the kind is listed with. The claim: at least 99.5 % of each kind, none accepted in
silence, no file changed.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from paired import environment, keep

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import corpus_hostile as corpus
from eyas.data.worker import FAULT
from eyas.errors import EyasError
from eyas.flows.check import Question, check

ENOUGH = 0.995
HANG_S = 0.5  # how long a hanging decoder is waited for, where it is known to hang


def digest(folder: Path) -> str:
    """Of the names and contents of everything below."""
    found = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        held = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found.update(str(path.relative_to(folder)).encode() + b"\0" + hashlib.sha256(held).digest())
    return found.hexdigest()


def one(kind: str, n: int, seed: int) -> dict[str, Any]:
    """One kind, `n` files of it."""
    code = corpus.KINDS[kind][0]
    with tempfile.TemporaryDirectory(prefix="eyas-hostile-") as home:
        root, cache = Path(home) / "photos", Path(home) / "cache"
        corpus.write(root / kind, kind, n, seed=seed)
        corpus.write_sound(root / "sound", 10, seed=seed)
        before = digest(root)
        begun = time.perf_counter()
        timeout_s = HANG_S if kind == "decoder_hang" else 60.0
        got: collections.Counter[str] = collections.Counter()
        try:
            checked = check(Question(str(root)), cache=cache, workers=2, timeout_s=timeout_s)
        except EyasError as error:  # there is nothing to check but sound files: links that lead nowhere are no samples
            got[error.code] = n
        else:
            for finding in checked.findings:
                if finding.code[0] == "E":
                    got[finding.code] += finding.count
                    assert all(not name.startswith("sound/") for name, _ in finding.cases(checked.samples))
        seconds = time.perf_counter() - begun
        return {
            "code": code,
            "n": n,
            "right": got[code],
            "got": dict(got),
            "accepted": n - sum(got.values()),
            "unchanged": digest(root) == before,
            "seconds": round(seconds, 2),
        }


def main() -> None:
    """Run, keep, and end with 1 when the claim does not hold."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--each", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", default=list(corpus.KINDS))
    told = parser.parse_args()
    os.environ[FAULT] = corpus.FAULTS
    kinds: dict[str, dict[str, Any]] = {}
    for kind in told.kinds:
        kinds[kind] = one(kind, told.each, told.seed)
        print(kind, kinds[kind], flush=True)
    right, n = (sum(found[key] for found in kinds.values()) for key in ("right", "n"))
    holds = all(found["right"] >= ENOUGH * found["n"] and found["unchanged"] for found in kinds.values())
    told_all = {"seed": told.seed, "each": told.each, "n": n, "right": right, "holds": holds, "kinds": kinds}
    print(f"{right} of {n} right; {'holds' if holds else 'DOES NOT HOLD'}")
    print(keep("fuzz-hostile", environment() | told_all))
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
