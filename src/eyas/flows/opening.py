"""Which run a command means: a new one, an unfinished one that goes on, or a finished one whose result is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyas.errors import StorageError, UsageError
from eyas.errors.messages import say
from eyas.training import checkpoint
from eyas.training.checkpoint import Loaded
from eyas.training.run import (
    UNFINISHED,
    Run,
    create,
    differences,
    is_leftover,
    list_damaged,
    list_runs,
    read,
    refuse_damaged,
)

LENGTH = ("epochs", "time_s")
"""What `--extend` may change in a recipe."""


@dataclass(frozen=True)
class Opened:
    """A run to write to, `finished` when there is nothing left to do; `notes` are for the reader."""

    run: Run
    finished: bool = False
    resumed: bool = False
    notes: tuple[str, ...] = ()


def open_run(
    intent: Mapping[str, Any],
    document: Mapping[str, Any],
    *,
    out: Path | None,
    root: Path,
    name: str,
    fresh: bool,
    extend: bool,
) -> Opened:
    """The run for an intent `{"recipe", "data"}`; a new one starts with `document`.

    Raises UsageError EY-U101 when `out` holds another run, EY-U102 when it holds something else, EY-U103 for an
    `--extend` that does not lengthen a finished run; StorageError EY-S207 when `out` holds a run whose `run.json` is
    damaged.
    """
    if out is not None:
        return _at(out, intent, document, root=root, name=name, fresh=fresh, extend=extend)
    notes = [] if fresh else [say("run.unreadable", path=path / "run.json") for path in list_damaged(root)]
    differing: list[str] = []
    if not fresh:
        for run in reversed(list_runs(root)):
            if run.status not in UNFINISHED:
                continue
            changed = differences(run.document["intent"], intent)
            if not changed:
                return Opened(run, resumed=True, notes=tuple(notes))
            if len(changed) == 1 and not differing:
                differing.append(say("run.differs", path=run.path, difference=_shown(changed)))
    return Opened(create(None, root, name, document), notes=(*notes, *differing))


def _at(
    out: Path,
    intent: Mapping[str, Any],
    document: Mapping[str, Any],
    *,
    root: Path,
    name: str,
    fresh: bool,
    extend: bool,
) -> Opened:
    run = read(out)
    if run is None:
        refuse_damaged(out)
        if out.exists() and not out.is_dir():
            raise UsageError("EY-U107", path=out)
        if out.exists() and not all(is_leftover(p.name) for p in out.iterdir()):
            raise UsageError("EY-U102", path=out)
        if extend:
            raise UsageError("EY-U105", path=out)
        return Opened(create(out, root, name, document))
    if fresh:
        raise UsageError("EY-U106", path=out)
    before = run.document["intent"]
    if extend and run.status in UNFINISHED and not differences(before, intent):
        return Opened(run, resumed=True)  # the extension itself was interrupted
    if extend:
        _check_longer(run, before, intent)
        return Opened(run, resumed=True)
    changed = differences(before, intent)
    if changed and run.status == "done" and not _besides_length(changed):
        raise UsageError("EY-U104", path=out, differences=_shown(changed))
    if changed:
        raise UsageError("EY-U101", path=out, differences=_shown(changed))
    return Opened(run, finished=run.status == "done", resumed=True)


def _check_longer(run: Run, before: Mapping[str, Any], intent: Mapping[str, Any]) -> None:
    changed = _besides_length(differences(before, intent))
    if changed:
        raise UsageError("EY-U101", path=run.path, differences=_shown(changed))
    done, wanted = before["recipe"]["epochs"], intent["recipe"]["epochs"]
    if run.status != "done" or done is None or wanted is None or wanted <= done:
        raise UsageError("EY-U103", got=f"{run.path}: {run.status}, epochs {done}; --epochs {wanted}", done=done)


def _besides_length(changed: list[str]) -> list[str]:
    return [d for d in changed if d.split()[0].removeprefix("recipe.") not in LENGTH]


def _shown(changed: list[str]) -> str:
    """The first differences, with words for what would be two hashes."""
    return "; ".join(say("run.other_images") if d.startswith("data ") else d for d in changed[:3])


def load_newest(run: Run) -> tuple[Loaded | None, tuple[tuple[str, str], ...]]:
    """The newest whole checkpoint (None when none was ever written) and the damaged ones that were passed over.

    Raises StorageError EY-S204 when there are checkpoints and all are damaged.
    """
    search = checkpoint.newest(run.checkpoints)
    if search.newest is None and search.damaged:
        told = "; ".join(f"{name}: {why}" for name, why in search.damaged)
        raise StorageError("EY-S204", path=run.checkpoints, damaged=told)
    return search.newest, search.damaged


def promise(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, list[str]]:
    """What a resume promises: `bitwise` when all numerics are the same, else `state-exact`, with what differs."""
    changed = differences(before, now)
    return ("state-exact" if changed else "bitwise"), changed
