"""The ruler: arms run alternately, a ratio with an interval, an A/A arm, every attempt kept.

These machines change their speed threefold within seconds, so a time alone says nothing. Each round runs every arm
once, in an order that rotates; the log-ratio to the baseline is taken inside the round; the result is the median over
rounds with a distribution-free interval (order statistics). The baseline runs twice: when the interval of that A/A
ratio does not touch 1 within 2 %, the attempt is void, and is kept as such.

    result = measure([Arm("loop", run_loop), Arm("eyas", run_eyas)], baseline="loop", rounds=20)
    keep("fashion", result)
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from eyas.machine import look

RESULTS = Path(__file__).parent / "results"
AGAIN = "baseline again (A/A)"
TOLERANCE = 0.02


@dataclass(frozen=True)
class Arm:
    """One contender: `run()` does a block of work and gives how many items (images) it did."""

    name: str
    run: Callable[[], int]


@dataclass(frozen=True)
class Ratio:
    """How many times the baseline's rate an arm has: median over rounds with an interval."""

    median: float
    low: float
    high: float
    n: int
    level: float


def interval(values: list[float], level: float = 0.95) -> tuple[float, float, float]:
    """Median and a distribution-free interval for it by order statistics; gives (low, high, level reached).

    With few values the level asked for is out of reach; the widest interval and its true level are given then.

    >>> interval([float(v) for v in range(1, 11)])
    (2.0, 9.0, 0.978515625)
    """
    ordered = sorted(values)
    n = len(ordered)
    # The chance that the median lies outside [x_k, x_(n-1-k)] is twice the binomial tail below k+1.
    best = (ordered[0], ordered[-1], 1 - 2 * 0.5**n)
    tail = 0.0
    for k in range(n // 2):
        tail += math.comb(n, k) * 0.5**n
        if 1 - 2 * tail < level:
            break
        best = (ordered[k], ordered[n - 1 - k], 1 - 2 * tail)
    return best


def ratio(baseline: list[float], arm: list[float]) -> Ratio:
    """Rate of `arm` over rate of `baseline` from seconds per item in the same rounds."""
    logs = [math.log(b / a) for b, a in zip(baseline, arm, strict=True)]
    low, high, level = interval(logs)
    return Ratio(math.exp(statistics.median(logs)), math.exp(low), math.exp(high), len(logs), round(level, 4))


def measure(
    arms: list[Arm], *, baseline: str, rounds: int, warmup: int = 1, settings: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One attempt: every arm once a round, `rounds` times, after `warmup` rounds that are not counted."""
    by_name = {arm.name: arm for arm in arms}
    everyone = [*arms, Arm(AGAIN, by_name[baseline].run)]
    seconds: dict[str, list[float]] = {arm.name: [] for arm in everyone}
    for number in range(-warmup, rounds):
        shift = number % len(everyone)
        for arm in everyone[shift:] + everyone[:shift]:
            begun = time.perf_counter()
            items = arm.run()
            took = (time.perf_counter() - begun) / items
            if number >= 0:
                seconds[arm.name].append(took)
        said = "  ".join(f"{name} {values[-1] * 1e6:.1f}" for name, values in seconds.items() if values)
        print(f"round {number + 1}/{rounds}  us per item: {said}", file=sys.stderr, flush=True)
    ratios = {name: asdict(ratio(seconds[baseline], values)) for name, values in seconds.items() if name != baseline}
    again = ratios[AGAIN]
    valid = again["low"] <= 1 + TOLERANCE and again["high"] >= 1 - TOLERANCE
    return {
        "when": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "valid": valid,
        "baseline": baseline,
        "rounds": rounds,
        "settings": settings or {},
        "ratios": ratios,
        "median_us_per_item": {name: statistics.median(v) * 1e6 for name, v in seconds.items()},
        "seconds_per_item": seconds,
    } | environment()


def environment() -> dict[str, Any]:
    """Machine, ISA, versions and commit: what a number means nothing without."""
    versions = {"python": sys.version.split()[0]}
    for name in ("torch", "numpy", "pillow", "eyas"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "-"
    told = ["git", "describe", "--always", "--dirty"]
    commit = subprocess.run(told, capture_output=True, text=True, cwd=RESULTS.parent, check=False).stdout.strip()
    machine = look()
    kept = ("cpu", "isa", "cores", "memory_bytes", "load", "gpus")
    return {"machine": {k: v for k, v in asdict(machine).items() if k in kept}, "versions": versions, "commit": commit}


def keep(name: str, attempt: dict[str, Any]) -> Path:
    """Add an attempt to `results/<name>.json`; none is ever removed."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = json.loads(path.read_text("utf-8")) if path.exists() else {"bench": name, "attempts": []}
    document["attempts"].append(attempt)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return path


def table(attempt: dict[str, Any]) -> str:
    """The ratios of an attempt as lines of text."""
    head = f"baseline: {attempt['baseline']}" + ("" if attempt["valid"] else "   VOID: the A/A ratio is off")
    lines = [head]
    for name, r in attempt["ratios"].items():
        spread = f"[{r['low']:.2f}, {r['high']:.2f}]"
        lines.append(f"  {name:<44} {r['median']:6.2f}x  {spread} at {100 * r['level']:.0f} %, n = {r['n']}")
    return "\n".join(lines)
