"""A run's folder: `runs/003-photos/`. What a run is on disk, who may write it, and how it is found again.

Torch-free, so that `eyas runs` answers at once. `run.json` is replaced whole (temporary file, fsync, rename); the lock
keeps a second writer out; the *intent* (recipe, data, seed) says whether an unfinished run is the one that is meant.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from eyas.errors import StorageError, UsageError
from eyas.training.durable import make_folders, sync_directory

try:
    import fcntl
except ImportError:  # Windows: the lock is then only as good as the operating system's exclusive open
    fcntl = None  # pyright: ignore[reportAssignmentType]

SCHEMA = "eyas.run/1"
NUMBERED = re.compile(r"(\d{3,})-.+")
UNFINISHED = ("running", "interrupted", "preempted", "failed")
"""States of a run that the same command goes on with; a killed run still says `running`."""


@dataclass
class Run:
    """One run's folder and the document `run.json` in it."""

    path: Path
    document: dict[str, Any] = field(default_factory=lambda: {})

    @property
    def checkpoints(self) -> Path:
        """Where the checkpoints are."""
        return self.path / "checkpoints"

    @property
    def status(self) -> str:
        """`running done interrupted preempted failed diverged`."""
        return str(self.document.get("status", ""))

    def write(self, **changes: Any) -> None:
        """Change keys of `run.json`, durably and at once."""
        self.document.update(changes)
        write_json(self.path / "run.json", self.document)

    def decide(self, decision: Mapping[str, Any]) -> None:
        """Append one decision, durable before this returns. This file is never cut: a resume replays it."""
        line = json.dumps(decision, ensure_ascii=False) + "\n"
        path = self.path / "decisions.jsonl"
        is_new = not path.exists()
        if not is_new and not path.read_bytes().endswith(b"\n"):
            line = "\n" + line  # a kill tore the last line: it must not swallow this one
        with path.open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_directory(self.path)

    def decisions(self) -> list[dict[str, Any]]:
        """All decisions, oldest first; a torn last line (a kill while writing) does not count."""
        path = self.path / "decisions.jsonl"
        out: list[dict[str, Any]] = []
        for line in path.read_text("utf-8").splitlines() if path.exists() else []:
            with contextlib.suppress(ValueError):
                out.append(json.loads(line))
        return out

    def log(self, text: str) -> None:
        """Append a line with the time to `log.txt`."""
        with (self.path / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{now()} {text}\n")


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file whole; the old one stays when the disk refuses. Raises StorageError EY-S203."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(_text(value))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise StorageError("EY-S203", path=path, reason=error.strerror or error) from error


def _text(value: Mapping[str, Any]) -> str:
    """JSON; escaped where a name holds bytes that are no text, as names may."""
    text = json.dumps(value, ensure_ascii=False, indent=1)
    return text if text.isascii() or _is_text(text) else json.dumps(value, indent=1)


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def is_leftover(name: str) -> bool:
    """Whether a file is what a kill leaves of a run that had only just begun."""
    return name == ".lock" or (name.startswith(".run.json.") and name.endswith(".tmp"))


def read(path: Path) -> Run | None:
    """The run in a folder, or None when there is none."""
    try:
        document: Any = json.loads((path / "run.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return Run(path, document) if isinstance(document, dict) and document.get("schema") == SCHEMA else None  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]


def refuse_damaged(path: Path) -> None:
    """Raise StorageError EY-S207 when a folder is a run whose `run.json` cannot be understood."""
    file = path / "run.json"
    if not file.is_file() or read(path) is not None:
        return
    try:
        document = json.loads(file.read_text("utf-8"))
        told = document.get("schema") if isinstance(document, dict) else document  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
        reason = f"schema {told!r}, not {SCHEMA!r}"
    except (OSError, ValueError) as error:
        reason = str(error)
    raise StorageError("EY-S207", path=file, reason=reason, folder=path)


def list_runs(root: Path) -> list[Run]:
    """The runs below `root`, oldest number first."""
    return [run for p in _folders(root) if (run := read(p)) is not None]


def list_damaged(root: Path) -> list[Path]:
    """The runs below `root` whose `run.json` cannot be understood."""
    return [p for p in _folders(root) if (p / "run.json").is_file() and read(p) is None]


def _folders(root: Path) -> list[Path]:
    return sorted((p for p in root.iterdir() if p.is_dir()), key=_number) if root.is_dir() else []


def _number(path: Path) -> tuple[int, str]:
    found = NUMBERED.fullmatch(path.name)
    return (int(found[1]) if found else 0, path.name)


def find(target: str, root: Path) -> Run:
    """The run that a person means: a path, `latest`, or a number like `3` or `003` below `root`.

    Raises UsageError EY-U110 that lists what there is, StorageError EY-S207 for one whose `run.json` is damaged.
    """
    path = Path(target)
    if path.name == "latest" and not path.is_dir():
        where = path.parent if len(path.parts) > 1 else root
        hint = where / "latest"
        path = where / hint.read_text("utf-8").strip() if hint.is_file() else path
    elif target.isdigit() and not path.exists():
        path = next((p for p in _folders(root) if p.name.split("-")[0].lstrip("0") == target.lstrip("0")), path)
    elif not path.exists() and (root / target).is_dir():
        path = root / target
    run = read(path)
    if run is None:
        refuse_damaged(path)
        known = ", ".join(r.path.name for r in list_runs(root)[-8:]) or "-"
        raise UsageError("EY-U110", target=target, known=known)
    return run


def create(out: Path | None, root: Path, name: str, document: Mapping[str, Any]) -> Run:
    """A new run folder: `out` taken literally, or the next number below `root`. Raises StorageError EY-S203."""
    try:
        if out is None:
            make_folders(root)
            path = _next(root, name)
            sync_directory(root)
        else:
            path = out
            make_folders(path)
        run = Run(path)
        run.write(schema=SCHEMA, name=path.name, **document)
        if out is None:
            hint = root / f".latest.{os.getpid()}.tmp"
            hint.write_text(path.name + "\n", encoding="utf-8")
            hint.replace(root / "latest")
    except OSError as error:
        raise StorageError("EY-S203", path=out or root, reason=error.strerror or error) from error
    return run


def _next(root: Path, name: str) -> Path:
    clean = re.sub(r"[^\w.-]+", "-", name, flags=re.UNICODE).strip("-.") or "run"
    while True:
        numbers = [int(m[1]) for p in root.iterdir() if (m := NUMBERED.fullmatch(p.name))]
        path = root / f"{max(numbers, default=0) + 1:03d}-{clean}"
        try:
            path.mkdir()
        except FileExistsError:  # another process took the number in between
            continue
        return path


@contextlib.contextmanager
def lock(run: Run) -> Generator[IO[str]]:
    """Be the only writer of a run; the lock goes with the process, however it ends. Raises UsageError EY-U111."""
    path = run.path / ".lock"
    with path.open("a+", encoding="utf-8") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                raise UsageError("EY-U111", path=run.path, process=file.read().strip() or "?") from error
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        _clean(run)
        yield file


def standing(run: Run) -> str:
    """The status as it is now: a run that says `running` while nobody holds its lock was `killed`."""
    if run.status != "running":
        return run.status
    try:
        with lock(run):
            return "killed"
    except (UsageError, OSError):
        return run.status


def _clean(run: Run) -> None:
    """Under the lock: read again what the writer before us left, and remove its half-written files."""
    found = read(run.path)
    if found is not None:
        run.document = found.document
    for left in run.path.glob(".run.json.*.tmp"):
        left.unlink(missing_ok=True)


def differences(a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = "") -> list[str]:
    """What differs between two nested documents, as `key old -> new`.

    >>> differences({"lr": 1, "s": {"a": 2}}, {"lr": 1, "s": {"a": 3}})
    ['s.a 2 -> 3']
    """
    out: list[str] = []
    for key in sorted(a.keys() | b.keys()):
        old, new = a.get(key), b.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            out += differences(old, new, f"{prefix}{key}.")  # pyright: ignore[reportUnknownArgumentType]
        elif _plain(old) != _plain(new):
            out.append(f"{prefix}{key} {old} -> {new}")
    return out


def _plain(value: Any) -> Any:
    """Tuples and lists alike: JSON knows only lists."""
    return json.loads(json.dumps(value))
