"""`eyas cache`: the packs on this machine: what of, how large, last used when; remove them, or check them."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Any

import click

from eyas.cli.command import Call, Verb, argument, option
from eyas.cli.output import table
from eyas.data import cache as caches
from eyas.data.cache import Entry
from eyas.errors import UsageError
from eyas.errors.messages import say
from eyas.machine import cache_dir

ACTIONS = ("list", "clear", "verify")
_AGE = re.compile(r"(\d+(?:\.\d+)?)([hdw])")
_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def command() -> click.Command:
    """The verb."""
    params = [
        argument("action", help="cli.cache.action", required=False),
        argument("address", help="cli.cache.address", required=False),
        option("--older", metavar="AGE", help="cli.cache.older"),
    ]
    examples = ("eyas cache", "eyas cache clear --older 30d", "eyas cache clear 3f9a", "eyas cache verify")
    return Verb("cache", _run, params=params, examples=examples)


def age_of(text: str) -> float:
    """Seconds in an age like `12h`, `30d` or `2w`; UsageError EY-U142 for anything else."""
    match = _AGE.fullmatch(text.strip().lower())
    if match is None:
        digits = text.strip()
        raise UsageError("EY-U142", got=f"--older {text}", next=f"--older {digits if digits.isdigit() else 30}d")
    return float(match[1]) * _UNITS[match[2]]


def _size(count: int) -> str:
    for unit, base in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= base:
            return f"{count / base:.1f} {unit}"
    return f"{count} B"


def _ago(seconds: float) -> str:
    """`3 d`, `5 h`, `2 min`."""
    for unit, base in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= base:
            return f"{int(seconds // base)} {unit}"
    return "0 min"


def _document(entry: Entry, now: float) -> dict[str, Any]:
    return {
        "address": entry.address,
        "path": entry.folder,
        "whole": entry.whole,
        "in_use": caches.in_use(entry),
        "source": entry.source,
        "n": entry.n,
        "bytes": entry.bytes,
        "used": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(entry.used)),
        "idle_s": round(max(0.0, now - entry.used)),
        "program": entry.program,
    }


def _pixels(program: dict[str, Any]) -> str:
    """What the images were made for: `fit 83`, `64x64`."""
    if program.get("kind") == "fit":
        return f"≤ {program['short_side']}" if program.get("short_side") else "="
    return f"{program['width']}x{program['height']}" if "width" in program else "–"


def _list(call: Call, cache: Path) -> int:
    found, now = caches.entries(cache), time.time()
    limit = _limit(cache)
    documents = [_document(entry, now) for entry in found]
    total = sum(entry.bytes for entry in found)
    if call.out.quiet:
        text = "\n".join(entry.address for entry in found)
    elif not found:
        text = say("cli.cache.empty", path=cache)
    else:
        head = tuple(say(f"cli.cache.{key}") for key in ("id", "images", "pixels", "size", "used", "state", "source"))
        rows = [
            (
                entry.address[:12],
                f"{entry.n:,}" if entry.whole else "–",
                _pixels(entry.program),
                _size(entry.bytes),
                _ago(now - entry.used),
                say(_state(entry, told)),
                entry.source or "–",
            )
            for entry, told in zip(found, documents, strict=True)
        ]
        text = table([head, *rows]) + "\n" + say("cli.cache.total", size=_size(total), limit=_size(limit), path=cache)
    call.out.answer({"path": cache, "bytes": total, "limit_bytes": limit, "packs": documents}, text)
    return 0


def _state(entry: Entry, told: dict[str, Any]) -> str:
    if not entry.whole:
        return "cli.cache.building" if told["in_use"] else "cli.cache.unfinished"
    return "cli.cache.busy" if told["in_use"] else "cli.cache.idle"


def _limit(cache: Path) -> int:
    """The limit in force here: what the settings of this folder say."""
    from eyas.flows.config import parse_size, resolve

    said = resolve({}, cwd=Path.cwd(), environ=os.environ, config=None).settings.cache_limit
    return caches.default_limit(cache) if said is None else parse_size(said)


def _chosen(call: Call, cache: Path) -> list[Entry]:
    """The packs that are meant: by the beginning of an address, by age, or all."""
    found = caches.entries(cache)
    start, older = call.params["address"], call.params["older"]
    if start is not None:
        known = [entry.address[:12] for entry in found]
        found = [entry for entry in found if entry.address.startswith(start.lower())]
        if not found:
            raise UsageError("EY-U143", got=start, path=cache, allowed=", ".join(known) or "–")
    if older is not None:
        since = time.time() - age_of(older)
        found = [entry for entry in found if entry.used <= since]
    return found


def _clear(call: Call, cache: Path) -> int:
    removed: list[Entry] = []
    kept: list[Entry] = []
    chosen = _chosen(call, cache)
    caches.sweep(cache)
    for entry in chosen:
        (removed if caches.remove(entry) else kept).append(entry)
    freed = sum(entry.bytes for entry in removed)
    document = {
        "removed": [entry.address for entry in removed],
        "bytes": freed,
        "kept": [entry.address for entry in kept],
    }
    text = say("cli.cache.cleared", n=len(removed), size=_size(freed))
    if kept:
        text += "\n" + say("cli.cache.kept", n=len(kept))
    call.out.answer(document, text)
    return 0


def _verify(call: Call, cache: Path) -> int:
    import numpy as np

    from eyas.data import pack

    good: list[Entry] = []
    damaged: list[dict[str, Any]] = []
    for entry in _chosen(call, cache):
        if not entry.whole:
            continue
        found = pack.find(entry.folder, np.arange(entry.n, dtype=np.int64))
        wrong = None if found is None else len(found.damaged())
        if wrong == 0:
            good.append(entry)
            continue
        del found  # or it would be in use, by us
        if wrong is None and entry.format not in (0, pack.FORMAT):
            continue  # of another version of eyas: not ours to judge
        gone = caches.remove(entry)
        damaged.append({"address": entry.address, "path": entry.folder, "images": wrong, "removed": gone})
    lines = [say("cli.cache.verified", n=len(good))]
    lines += [
        say("cli.cache.damaged" if d["removed"] else "cli.cache.damaged_kept", address=d["address"][:12])
        for d in damaged
    ]
    call.out.answer({"ok": not damaged, "good": [e.address for e in good], "damaged": damaged}, "\n".join(lines))
    return 1 if damaged else 0


def _run(call: Call) -> int:
    action, cache = call.params["action"] or "list", cache_dir()
    if action not in ACTIONS:
        from eyas.flows.config import closest

        guess = closest(action, ACTIONS, "list")
        raise UsageError("EY-U017", got=f"eyas cache {action}", allowed=", ".join(ACTIONS), next=f"eyas cache {guess}")
    return {"list": _list, "clear": _clear, "verify": _verify}[action](call, cache)
