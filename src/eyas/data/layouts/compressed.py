"""Tars that are compressed as a whole: unpacked once, as a tar, into the cache, and read in place from there.

Every step gives at most a megabyte and is counted, so that a bomb is refused before it fills memory or disk. The tar
appears under its name, which says what it was made from, when it is whole.
"""

from __future__ import annotations

import bz2
import contextlib
import hashlib
import lzma
import os
import shutil
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any

from eyas.data.layouts.members import Limits, refuse, size
from eyas.data.layouts.names import listing
from eyas.data.layouts.tars import BLOCK, is_header
from eyas.errors import DataError, StorageError
from eyas.errors.messages import say

try:
    import fcntl
except ImportError:  # Windows: two that unpack at once then write the same bytes, and the later rename wins
    fcntl = None

SPARE_BYTES = 64 << 20  # of the disk, left free
STEP = 1 << 20  # bytes decompressed at a time
LZMA_BYTES = 1 << 29  # what a dictionary of xz may take


def _gzip() -> Any:
    return zlib.decompressobj(wbits=31)


def _bzip2() -> Any:
    return bz2.BZ2Decompressor()


def _xz() -> Any:
    return lzma.LZMADecompressor(memlimit=LZMA_BYTES)


PACKED: dict[bytes, Callable[[], Any]] = {b"\x1f\x8b": _gzip, b"BZh": _bzip2, b"\xfd7zXZ\0": _xz}
"""How a file begins -> what unpacks it."""


def unpacked(path: Path, file: IO[bytes], packing: Callable[[], Any], cache: Path, limits: Limits) -> Path:
    """The plain tar of a compressed one, in the cache: found there or made, whole or not at all."""
    now = os.fstat(file.fileno())
    folder = cache / "unpacked"
    target = folder / f"{_address(file, now)}.tar"
    if target.is_file():
        with contextlib.suppress(OSError):
            os.utime(target.with_suffix(".lock"))  # says when it was last used; its own time says what it is
        return target
    partial = target.with_suffix(".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_suffix(".lock")):
            if target.is_file():
                return target
            try:
                with partial.open("wb") as out:
                    _unpack(path, file, now.st_size, packing, out, limits)
                    out.flush()
                    os.fsync(out.fileno())
                partial.replace(target)
            finally:
                partial.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError("EY-S102", path=folder, detail=error.strerror or error) from error
    return target


def _unpack(
    path: Path, file: IO[bytes], packed: int, packing: Callable[[], Any], out: IO[bytes], limits: Limits
) -> None:
    """Bounded in time, memory and disk: every step gives at most `STEP` bytes and is counted."""
    file.seek(0)
    total = 0
    try:
        for chunk in _streams(file, packing):
            if not total and not (len(chunk) >= BLOCK and (is_header(chunk[:BLOCK]) or not any(chunk[:BLOCK]))):
                raise DataError("EY-D074", path=path, reason=say("archive_kind"))
            total += len(chunk)
            read = file.tell()
            if total > limits.small_bytes and total > limits.ratio * max(1, read):
                got = f"{total // max(1, read)}:1"
                refuse(path, say("archive_ratio", name=listing([path.name])), got, f"{limits.ratio}:1")
            if total > limits.total_bytes:
                refuse(path, say("archive_all"), size(total), size(limits.total_bytes))
            if total % (64 * STEP) < len(chunk) or total <= STEP:
                _room(out, total, packed)
            out.write(chunk)
    except (zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
        reason = say("archive_cut") if isinstance(error, EOFError) else error
        raise DataError("EY-D074", path=path, reason=reason) from error
    except OSError as error:
        if "data stream" not in str(error):  # what bz2 says of damaged data is an OSError without a number
            raise
        raise DataError("EY-D074", path=path, reason=error) from error
    if not total:
        raise DataError("EY-D074", path=path, reason=say("archive_cut"))


def _streams(file: IO[bytes], packing: Callable[[], Any]) -> Iterator[bytes]:
    """Pieces of what is inside; one compressed stream after the other, as parallel compressors write them."""
    data = file.read(1 << 16)
    while data:
        unpacker = packing()
        gzip_like = hasattr(unpacker, "unconsumed_tail")
        while not unpacker.eof:
            out: bytes = unpacker.decompress(data, STEP)
            if out:
                yield out
            data = unpacker.unconsumed_tail if gzip_like else b""
            if unpacker.eof:
                break
            if not data and (gzip_like or unpacker.needs_input):
                data = file.read(1 << 16)
                if not data:
                    if gzip_like and out:
                        continue  # it may still hold some
                    raise EOFError
        data = unpacker.unused_data or file.read(1 << 16)
        if data and not any(data):  # padding
            return


def _room(out: IO[bytes], total: int, packed: int) -> None:
    folder = Path(out.name).parent
    free = shutil.disk_usage(folder).free
    need = max(0, packed - total) + SPARE_BYTES
    if free < need:
        raise StorageError("EY-S110", path=folder, free=size(free), need=size(need))


def _address(file: IO[bytes], now: os.stat_result) -> str:
    """32 hex digits of what the file is: size, time, inode, beginning and end."""
    digest = hashlib.blake2b(f"1 {now.st_size} {now.st_mtime_ns} {now.st_ino} ".encode(), digest_size=16)
    for at in (0, max(0, now.st_size - (1 << 16))):
        file.seek(at)
        digest.update(file.read(1 << 16))
    return digest.hexdigest()


@contextlib.contextmanager
def _alone(path: Path) -> Generator[None]:
    """Waits while another process unpacks the same."""
    with path.open("a+b") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
