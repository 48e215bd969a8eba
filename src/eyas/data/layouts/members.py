"""Members: what is common to all archives: their limits, what their files may be called, and the list of them."""

from __future__ import annotations

import contextlib
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, final

from eyas.data.layouts.names import is_image, listing
from eyas.errors import DataError
from eyas.errors.messages import say

LONGEST_NAME = 4096  # characters, as Linux has it for a path


@final
@dataclass(frozen=True)
class Limits:
    """What an archive may hold before it is refused."""

    members: int = 5_000_000
    member_bytes: int = 1 << 30
    total_bytes: int = 1 << 42
    ratio: int = 250
    """Of what is inside to what it takes. Photos reach 1, bitmaps 20; zeros 1,032 in a zip and far more in an xz."""
    small_bytes: int = 16 << 20
    """Below this the ratio does not matter."""


LIMITS = Limits()


def safe_name(name: str) -> str | None:
    """The name as a relative path of plain parts, or None when it is absolute, leads upwards or is no name at all.

    >>> safe_name("./a//b.png"), safe_name("../b.png"), safe_name("C:\\\\b.png")
    ('a/b.png', None, None)
    """
    name = name.replace("\\", "/")
    if "\0" in name or name.startswith("/") or re.match("[A-Za-z]:", name) or len(name) > LONGEST_NAME:
        return None
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return "/".join(parts) if parts and ".." not in parts else None


@final
@dataclass
class Members:
    """Members as they come, in columns: 1.2 million of them are not as many objects."""

    names: list[str] = field(default_factory=lambda: [])
    numbers: array[int] = field(default_factory=lambda: array("q"))
    """Four for each name: kind (`samples.SPAN`, `samples.DEFLATE`), offset, packed size, size."""
    encrypted: list[str] = field(default_factory=lambda: [])
    strange: dict[int, list[str]] = field(default_factory=lambda: {})
    """Method of compression -> the names of those that use it and cannot be read."""

    def add(self, name: str, kind: int, offset: int, packed: int, size: int) -> None:
        """One more."""
        self.names.append(name)
        self.numbers.extend((kind, offset, packed, size))


def check(path: Path, name: str, count: int, packed: int, unpacked: int, limits: Limits) -> None:
    """Refuses what no honest member is like."""
    if count > limits.members:
        refuse(path, say("archive_members"), f"{count:,}+", f"{limits.members:,}")
    if is_image(name) and unpacked > limits.member_bytes:
        refuse(path, say("archive_bytes", name=listing([name])), size(unpacked), size(limits.member_bytes))
    if unpacked > limits.small_bytes and unpacked > limits.ratio * max(1, packed):
        got = f"{unpacked // max(1, packed)}:1"
        refuse(path, say("archive_ratio", name=listing([name])), got, f"{limits.ratio}:1")


def refuse(path: Path, what: str, got: str, allowed: str) -> NoReturn:
    """Raises EY-D076."""
    raise DataError("EY-D076", path=path, what=what, got=got, allowed=allowed)


def size(count: int) -> str:
    """Bytes for people: `12.3 MB`."""
    return f"{count / 1e9:,.1f} GB" if count >= 1e9 else f"{count / 1e6:,.1f} MB"


def fitting(names: Iterable[bytes], encodings: Sequence[str]) -> str | None:
    """The first encoding in which all names are text, or None."""
    for encoding in encodings:
        with contextlib.suppress(UnicodeDecodeError):
            for name in names:
                name.decode(encoding)
            return encoding
    return None
