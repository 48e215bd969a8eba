"""1.2 million files: seconds and memory to find their names, sizes and labels, and what a batch of them costs.

    ./scripts/bench scan [--files 1200000] [--folder /dev/shm]

The files are tiny, in 1,000 class folders, made once and deleted in the end. Each scan is a process of its own; the
first begins right after the files were made, so what the system knows of them is in its memory, as it is on a machine
that has just fetched them. The batches are of raw 28 x 28 pixels in memory, the same size for both sets, taken in turn;
what an epoch costs to shuffle is measured apart and spread over its batches.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from eyas.data.augment import Augment
from eyas.data.order import Shuffled
from eyas.data.pack import Pack
from eyas.data.stream import Stream
from paired import AGAIN, Arm, environment, keep, measure, table

CLASSES = 1000
MOST_SECONDS, MOST_BYTES = 60.0, 10**9
SCANS = 5
SIZE, BATCHES, ROUNDS = 128, 40, 40
AUGMENT = Augment(flip="random", pad_crop=2)

SCAN = """
import json, resource, sys, time
begun = time.perf_counter()
from eyas.data.source import find
imported = time.perf_counter()
samples = find(sys.argv[1])
found = time.perf_counter()
stat = samples.source.stat()
ended = time.perf_counter()
assert len(stat) == len(samples) and len(samples.classes) == int(sys.argv[2])
assert len({samples.source.name(row) for row in range(0, len(samples), 1000)}) == -(-len(samples) // 1000)
print(json.dumps({
    "files": len(samples), "bytes": int(stat[:, 0].sum()), "seconds": ended - begun, "import_s": imported - begun,
    "names_and_labels_s": found - imported, "sizes_s": ended - found,
    "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024),
}))
"""


def make(root: Path, files: int) -> float:
    """Writes the files; seconds."""
    begun = time.perf_counter()
    each = -(-files // CLASSES)
    for label in range(CLASSES):
        folder = root / f"n{label:08d}"
        folder.mkdir()
        for number in range(min(each, files - label * each)):
            handle = os.open(folder / f"n{label:08d}_{number}.JPEG", os.O_WRONLY | os.O_CREAT, 0o644)
            os.write(handle, b"\xff\xd8" + b"x" * (number % 50))
            os.close(handle)
    return time.perf_counter() - begun


def scan(root: Path) -> dict[str, Any]:
    """One scan in a process of its own."""
    command = [sys.executable, "-c", SCAN, str(root), str(CLASSES)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def stream(n: int, pool: np.ndarray) -> Stream:
    """A stream of `n` samples over the first `n` images."""
    images = pool[:n]
    pack = Pack.in_memory(images, hashes=np.zeros((n, 16), np.uint8))
    labels = (np.arange(n) % CLASSES).astype(np.int32)
    return Stream(pack, np.arange(n), labels, Shuffled(n, 1), AUGMENT, 1, 28, 28)


def batches(of: Stream) -> Callable[[], int]:
    """A run of batches, each where the last one ended, within the first epoch for the large set."""
    position = 0

    def run() -> int:
        nonlocal position
        for _ in range(BATCHES):
            of.batch(position, SIZE)
            position += SIZE
        return BATCHES

    return run


def shuffle_s(n: int) -> list[float]:
    """Seconds to put one epoch in order, five times."""
    out: list[float] = []
    for epoch in range(5):
        begun = time.perf_counter()
        Shuffled(n, 2).epoch(epoch)
        out.append(time.perf_counter() - begun)
    return out


def main() -> None:
    """Run and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1_200_000)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    told = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="eyas-scan-", dir=told.folder))
    try:
        made = make(root, told.files)
        print(f"{told.files:,} files made in {made:.0f} s in {told.folder}", file=sys.stderr, flush=True)
        scans: list[dict[str, Any]] = []
        for _ in range(SCANS):
            scans.append(scan(root))
            last = scans[-1]
            print(f"scan {last['seconds']:.1f} s, {last['peak_rss_bytes'] / 1e6:.0f} MB", file=sys.stderr, flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)

    pool = np.empty((told.files, 28, 28, 1), np.uint8)
    for at in range(0, len(pool), 60_000):  # written, so that it is there
        pool[at : at + 60_000] = np.arange(28 * 28, dtype=np.uint8).reshape(28, 28, 1)
    small, large = stream(1000, pool), stream(told.files, pool)
    names = ("1,000 samples", f"{told.files:,} samples")
    arms = [Arm(names[0], batches(small)), Arm(names[1], batches(large))]
    settings = {"batch": SIZE, "batches_a_round": BATCHES, "image": "28x28x1 uint8", "augment": repr(AUGMENT)}
    attempt = measure(arms, baseline=names[0], rounds=ROUNDS, warmup=2, settings=settings)
    attempt["ratios"] = {name: r for name, r in attempt["ratios"].items() if name == AGAIN} | attempt["ratios"]
    order = shuffle_s(told.files)
    found = environment() | {
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "files": told.files,
        "classes": CLASSES,
        "filesystem": str(told.folder),
        "make_s": made,
        "limits": {"seconds": MOST_SECONDS, "peak_rss_bytes": MOST_BYTES},
        "within": all(s["seconds"] < MOST_SECONDS and s["peak_rss_bytes"] < MOST_BYTES for s in scans),
        "scans": scans,
        "batch": attempt,
        "shuffle_of_one_epoch_s": order,
        "shuffle_us_per_batch": min(order) / (told.files / SIZE) * 1e6,
    }
    print(keep("scan", found))
    print(table(attempt))
    print(f"shuffling an epoch: {found['shuffle_us_per_batch']:.0f} us for each batch of it")
    print("within the limits" if found["within"] else "NOT within the limits")


if __name__ == "__main__":
    main()
