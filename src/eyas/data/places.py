"""Place: where the bytes of one image are, as plain values that fit into the line of JSON that a worker gets.

    "/photos/a.jpg"                                     a file
    ["span", "/shard.tar", offset, size]                bytes as they lie in a container
    ["deflate", "/photos.zip", offset, packed, size]    the same, compressed (RFC 1951)
    ["parquet", "/a.parquet", column, group, row]       a cell of a table: row group, row in it

Torch-free and free of Pillow: opening a place is reading, never decoding.
"""

from __future__ import annotations

import errno
import os
import time
import zlib
from typing import Any

from eyas.data import parquet

Place = str | list[Any]

RETRIES = 3
CHUNK = 1 << 16  # packed bytes inflated at a time
TRANSIENT = (errno.EIO, errno.EAGAIN, errno.ESTALE, errno.ETIMEDOUT, errno.ENFILE, errno.EMFILE, errno.ENOBUFS)


class Changed(Exception):
    """The file is not the one that was listed: its size, time or inode differ."""


def file_of(place: Place) -> str:
    """The file on the disk in which a place is."""
    return place if isinstance(place, str) else str(place[1])


def read(place: Place, stat: tuple[int, int, int] | None = None) -> bytes:
    """The bytes at a place. OSError when they cannot be read (after trying again), Changed when the file is another.

    `stat`: size, mtime in ns and inode that the file must have; None = whatever is there.
    """
    for attempt in range(RETRIES):
        try:
            handle = os.open(file_of(place), os.O_RDONLY | getattr(os, "O_BINARY", 0))
            try:
                now = os.fstat(handle)
                if stat is not None and (now.st_size, now.st_mtime_ns, now.st_ino) != stat:
                    raise Changed(file_of(place))
                if isinstance(place, str):
                    return _exactly(handle, now.st_size)
                if place[0] == "parquet":
                    seen = (now.st_size, now.st_mtime_ns, now.st_ino)
                    return parquet.cell(place[1], seen, column=place[2], group=place[3], row=place[4])
                os.lseek(handle, place[2], os.SEEK_SET)
                held = _exactly(handle, place[3])
                return held if place[0] == "span" else _inflated(held, place[4])
            finally:
                os.close(handle)
        except OSError as error:
            if error.errno not in TRANSIENT or attempt == RETRIES - 1:
                raise
            time.sleep(0.05 * 4**attempt)
    raise AssertionError("the loop returns or raises")


def _exactly(handle: int, size: int) -> bytes:
    """Up to `size` bytes: fewer only where the file ends, which its decoder will say."""
    data = os.read(handle, size)
    while len(data) < size and (more := os.read(handle, size - len(data))):
        data += more
    return data


def _inflated(held: bytes, size: int) -> bytes:
    """`size` bytes at most, whatever the archive holds: a bomb is cut off where its own directory says it ends.

    Where the data are damaged it ends too, as a file would that was cut off there: that is for the decoder to say.
    """
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    out = bytearray()
    view = memoryview(held)
    try:
        for at in range(0, len(view), CHUNK):
            out += unpacker.decompress(view[at : at + CHUNK], size - len(out)) if len(out) < size else b""
            while unpacker.unconsumed_tail and len(out) < size:
                out += unpacker.decompress(unpacker.unconsumed_tail, size - len(out))
    except zlib.error:
        pass
    return bytes(out)
