"""Where words go: the answer to stdout, everything else to stderr; with --json the answer is exactly one document."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, TextIO, cast, final

from eyas.errors.messages import one_line, printable

if TYPE_CHECKING:
    from eyas.observe.console import Reporter


class ReaderGone(Exception):
    """Who read our stdout went away (`eyas runs | head`): no reason to complain, none to go on."""


def cells(text: str) -> int:
    """Columns that `text` takes in a terminal: Chinese characters take two, combining marks none."""
    return sum((unicodedata.east_asian_width(c) in "WF") + 1 for c in text if not unicodedata.combining(c))


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken at spaces and between Chinese characters."""
    lines: list[str] = []
    line = ""
    for word in _words(text):
        if line and cells(line + word.rstrip()) > width:
            lines.append(line.rstrip())
            line = ""
        line += word
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _words(text: str) -> list[str]:
    """Pieces that must not be broken, each with the space after it. A wide character is a piece of its own, with the
    punctuation that follows it."""
    out: list[str] = []
    for c in text:
        wide = unicodedata.east_asian_width(c) in "WF"
        closing = c in "\uff0c\u3002\uff1b\uff1a\u3001\uff09\uff01\uff1f…"
        if out and (c == " " or closing or not (wide or out[-1].endswith(" ") or cells(out[-1][-1]) == 2)):
            out[-1] += c
        else:
            out.append(c)
    return out


def table(rows: Iterable[Sequence[str]], *, indent: str = "") -> str:
    """Rows as aligned columns, two spaces between them; control characters in the values are escaped."""
    safe = [[one_line(value) for value in row] for row in rows]
    widths = [max(map(cells, column)) for column in zip(*safe, strict=True)]
    lines = ("  ".join(v + " " * (w - cells(v)) for v, w in zip(row, widths, strict=True)).rstrip() for row in safe)
    return "\n".join(indent + line for line in lines)


def plain(value: object) -> object:
    """`value` as JSON can hold it: tuples as lists, paths as text, numpy's numbers as Python's, NaN as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in cast("Iterable[object]", value)]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, PurePath):
        return str(value)
    for method in ("tolist", "item"):  # arrays and numbers of numpy and torch, without importing either
        convert = getattr(value, method, None)
        if convert is not None:
            return plain(convert())
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def to_json(value: object, *, lines: bool = True) -> str:
    """`value` as a JSON text, with line breaks or (for one line per answer) without."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, indent=1 if lines else None)
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


_UNSEEN = re.compile("[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
"""Controls and marks of direction: a file name may hold them, and a terminal would obey them."""


def write(stream: TextIO, text: str) -> None:
    """Write a line and flush it; ReaderGone when nobody reads any more, OSError when the disk is full."""
    try:
        stream.write(text + "\n")
        stream.flush()
    except OSError as error:
        # The interpreter flushes once more at its end and would fail, and complain, a second time.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if isinstance(error, BrokenPipeError):
            raise ReaderGone from error
        raise


@final
@dataclass(frozen=True)
class Out:
    """How this call answers, and the words that it was called with."""

    json: bool = False
    quiet: bool = False
    plain: bool = False
    verbose: int = 0
    words: tuple[str, ...] = ()
    """The command line, without the program's name."""

    def answer(self, document: Mapping[str, object], text: str) -> None:
        """The answer, on stdout: the document with --json, else the text."""
        write(sys.stdout, to_json(document) if self.json else text)

    def line(self, text: str) -> None:
        """One line of an answer that comes in many, on stdout."""
        write(sys.stdout, text)

    def note(self, text: str) -> None:
        """Something beside the answer, on stderr; nothing with --quiet and --json."""
        if not (self.quiet or self.json):
            sys.stderr.write(printable(text) + "\n")

    def reporter(self) -> Reporter:
        """What tells a person how a run goes, as the flags and the terminal want it."""
        from eyas.observe.console import Reporter, choose_mode

        return Reporter(choose_mode(json=self.json, quiet=self.quiet, plain=self.plain, environ=os.environ))
