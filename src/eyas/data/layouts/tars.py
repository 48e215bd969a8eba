"""Tar: the files in it and where their bytes are, header by header. Nothing is extracted.

Formats: ustar and pax (POSIX.1-2017, https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html), and GNU's.
"""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import IO

from eyas.data.layouts.members import Limits, Members, check, fitting
from eyas.data.layouts.names import is_text
from eyas.data.layouts.scan import Seen
from eyas.data.samples import SPAN
from eyas.errors import DataError
from eyas.errors.messages import say

LONGEST_HEADER = 1 << 20  # of the extended headers
BLOCK = 512


def is_header(block: bytes) -> bool:
    """Whether 512 bytes are the header of a member."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def read_tar(path: Path, file: IO[bytes], end: int, seen: Seen, limits: Limits) -> Members:
    """Header by header, always forwards: sizes below zero and headers of headers without end do not hold it up."""
    found = Members()
    at = count = 0
    long_name: str | None = None
    records: dict[str, str] = {}
    while True:
        file.seek(at)
        block = file.read(BLOCK)
        if len(block) < BLOCK or not any(block):
            if block and any(block):
                raise DataError("EY-D074", path=path, reason=say("archive_cut"))
            break
        plain = None if long_name or records else _plain(block)
        if plain is not None:
            name, length = plain
            begins, at, count = at + BLOCK, at + BLOCK + -(-length // BLOCK) * BLOCK, count + 1
            if begins + length > end:
                raise DataError("EY-D074", path=path, reason=say("archive_cut"))
            check(path, name, count, length, length, limits)
            found.add(name, SPAN, begins, length, length)
            continue
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise DataError("EY-D074", path=path, reason=say("archive_header", at=at)) from error
        count += 1
        extended = info.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, *_PAX)
        length = info.size if extended else _number(records.get("size"), info.size)
        begins = at + BLOCK
        if info.type == tarfile.GNUTYPE_SPARSE:
            more = block[482]
            while more and begins < end:
                file.seek(begins)
                ext = file.read(BLOCK)
                more = ext[504] if len(ext) == BLOCK else 0
                begins += BLOCK
        holds = extended or info.type == tarfile.GNUTYPE_SPARSE or info.isreg() or info.type not in _NO_DATA
        if length < 0 or (extended and length > LONGEST_HEADER):
            raise DataError("EY-D074", path=path, reason=say("archive_header", at=at))
        at = begins + (-(-length // BLOCK) * BLOCK if holds else 0)
        if holds and begins + length > end:
            raise DataError("EY-D074", path=path, reason=say("archive_cut"))
        if extended:
            file.seek(begins)
            data = file.read(length)
            if info.type == tarfile.GNUTYPE_LONGNAME:
                long_name = data.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
            elif info.type in (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE):
                records = _pax(data)
            check(path, "", count, 0, 0, limits)
            continue
        name = records.get("path") or long_name or info.name
        sparse = any(key.startswith("GNU.sparse") for key in records)
        long_name, records = None, {}
        if info.isdir() or (info.isreg() and name.endswith("/")):
            continue
        if not info.isreg() or info.type == tarfile.GNUTYPE_SPARSE or sparse:
            seen.leave_out("special", name[:200])
            continue
        check(path, name, count, length, length, limits)
        found.add(name, SPAN, begins, length, length)
    return _decoded(found, seen)


def _plain(block: bytes) -> tuple[str, int] | None:
    """Name and size, if this is the usual header of a regular file: much sooner than by `tarfile`, for the rest."""
    length, told = block[124:135], block[148:156].strip(b" \0")
    octal = re.fullmatch(rb"[0-7]+", length) and re.fullmatch(rb"[0-7]+", told)
    if block[156] not in b"0\0" or block[257:262] != b"ustar" or not octal:
        return None
    if sum(block) - sum(block[148:156]) + 256 != int(told, 8):
        return None
    name, prefix = block[:100].split(b"\0", 1)[0], block[345:500].split(b"\0", 1)[0]
    if not name or name.endswith(b"/"):
        return None
    whole = prefix + b"/" + name if prefix else name
    return whole.decode("utf-8", "surrogateescape"), int(length, 8)


_PAX = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE)
_NO_DATA = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)


def _pax(data: bytes) -> dict[str, str]:
    """`12 path=a.png\\n`… as a dictionary; what follows a damaged record is left."""
    records: dict[str, str] = {}
    at = 0
    while (hit := re.compile(rb"([0-9]{1,8}) ").match(data, at)) is not None:
        length = int(hit[1])
        key, equals, value = data[hit.end() : at + length - 1].partition(b"=")
        if length < len(hit[0]) + 2 or not equals:
            break
        records[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        at += length
    return records


def _number(text: str | None, otherwise: int) -> int:
    if text is None:
        return otherwise
    return int(text) if re.fullmatch("[0-9]{1,18}", text) else -1


def _decoded(found: Members, seen: Seen) -> Members:
    """Names that are no UTF-8 as GB18030, if all of them are: what Windows in China writes."""
    odd = [name.encode("utf-8", "surrogateescape") for name in found.names if not is_text(name)]
    if odd and fitting(odd, ("gb18030",)):
        seen.note(say("archive_renamed", encoding="GB18030"))
        found.names = [
            name if is_text(name) else name.encode("utf-8", "surrogateescape").decode("gb18030") for name in found.names
        ]
    return found
