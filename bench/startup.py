"""CPU and wall time of `import eyas` and `eyas --help` over that of a bare interpreter, alternating.

./scripts/bench startup
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from paired import environment, keep

ROUNDS = 20
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "import eyas": [sys.executable, "-c", "import eyas"],
    "eyas --help": [str(Path(sys.executable).with_name("eyas")), "--help"],
    "eyas train --help": [str(Path(sys.executable).with_name("eyas")), "train", "--help"],
}


def once(command: list[str]) -> tuple[float, float]:
    """CPU and wall seconds of one run."""
    before, begun = os.times(), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - begun, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return cpu, wall


def main() -> None:
    """Run and keep."""
    seen: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for number in range(ROUNDS + 1):
        for name, command in COMMANDS.items():
            took = once(command)
            if number:  # the first fills the page cache
                seen[name].append(took)
    bare = statistics.median(cpu for cpu, _ in seen["python -c pass"])
    found: dict[str, Any] = {}
    for name, values in seen.items():
        cpu, wall = ([v[i] * 1e3 for v in values] for i in (0, 1))
        found[name] = {
            "cpu_ms": {"min": min(cpu), "median": statistics.median(cpu), "max": max(cpu)},
            "cpu_over_bare_ms": statistics.median(cpu) - bare * 1e3,
            "wall_ms": {"min": min(wall), "median": statistics.median(wall), "max": max(wall)},
        }
        print(f"{name:<20} CPU {statistics.median(cpu):6.1f} ms   wall {statistics.median(wall):6.1f} ms")
    print(keep("startup", environment() | {"rounds": ROUNDS, "commands": found, "seconds": seen}))


if __name__ == "__main__":
    main()
