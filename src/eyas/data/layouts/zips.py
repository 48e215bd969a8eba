"""Zip: the files in it and where their bytes are, from its directory. Nothing is extracted.

Format: PKWARE APPNOTE 6.3.10, https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import stat as kinds
import struct
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from eyas.data.layouts.members import Limits, Members, check, fitting
from eyas.data.layouts.scan import Seen
from eyas.data.samples import DEFLATE, SPAN
from eyas.errors import DataError
from eyas.errors.messages import say


def read_zip(path: Path, file: IO[bytes], end: int, seen: Seen, limits: Limits) -> Members:
    """From the directory at the end, and the local header of each file for where its bytes begin."""
    file.seek(0)
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
    if len(infos) > limits.members:
        check(path, "", len(infos), 0, 0, limits)
    found = Members()
    for info, name in zip(infos, _zip_names(infos, seen), strict=True):
        kind = kinds.S_IFMT(info.external_attr >> 16)
        if name.endswith("/") or kind == kinds.S_IFDIR:
            continue
        if kind not in (0, kinds.S_IFREG):
            seen.leave_out("special", name)
            continue
        if info.flag_bits & 0x41:
            found.encrypted.append(name)
            continue
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            found.strange.setdefault(info.compress_type, []).append(name)
            continue
        check(path, name, len(found.names), info.compress_size, info.file_size, limits)
        file.seek(info.header_offset)
        head = file.read(30)
        if len(head) < 30 or head[:4] != b"PK\3\4":
            raise DataError("EY-D074", path=path, reason=say("archive_header", at=info.header_offset))
        begins = info.header_offset + 30 + sum(struct.unpack("<HH", head[26:30]))
        if begins + info.compress_size > end:
            raise DataError("EY-D074", path=path, reason=say("archive_cut"))
        stored = info.compress_type == zipfile.ZIP_STORED
        found.add(name, SPAN if stored else DEFLATE, begins, info.compress_size, info.file_size)
    return found


def _zip_names(infos: Sequence[zipfile.ZipInfo], seen: Seen) -> list[str]:
    """Names as they were meant: without the flag for UTF-8 they are UTF-8 (macOS), GB18030 (Windows) or code page 437.

    One encoding for all of them: a single name is too short to tell.
    """
    raw = [None if info.flag_bits & 0x800 else info.orig_filename.encode("cp437", "replace") for info in infos]
    odd = [name for name in raw if name is not None and not name.isascii()]
    encoding = "cp437"
    if odd:
        encoding = fitting(odd, ("utf-8", "gb18030")) or encoding
        seen.note(say("archive_renamed", encoding=encoding.upper()))
    return [
        info.orig_filename if name is None else name.decode(encoding) for info, name in zip(infos, raw, strict=True)
    ]
