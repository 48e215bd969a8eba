"""Parquet: what a file of images holds, and the bytes of one cell. The only module that imports pyarrow, when asked.

The row group that was read last is kept in memory by each process: rows are read in order, and a group is decompressed
as a whole anyway.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, final

from eyas.errors import MissingError


def module() -> Any:
    """`pyarrow.parquet`; MissingError EY-M001 when it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise MissingError("EY-M001", package="pyarrow", hint="eyas[parquet]") from error
    return pyarrow.parquet


@final
@dataclass
class _Group:
    """One column of one row group."""

    of: tuple[str, tuple[int, int, int], str, int]
    values: Any


_last: list[_Group] = []
_reading = threading.Lock()  # two groups at a time may not fit into memory


def cell(path: str, stat: tuple[int, int, int], *, column: str, group: int, row: int) -> bytes:
    """The bytes in one cell: of binary, or of a struct with a field `bytes`; nothing for null and where it is damaged.

    `stat` is of the file as it is now: another file of the same name is read anew. OSError when the disk refuses.
    """
    of = (path, stat, column, group)
    with _reading:
        if not _last or _last[0].of != of:
            _last.clear()  # before the next is read
            _last.append(_Group(of, _read(path, column, group)))
        values = _last[0].values
    if values is None or row >= len(values):
        return b""
    value: object = values[row].as_py()
    if isinstance(value, dict):
        value = value.get("bytes")  # pyright: ignore[reportUnknownMemberType]
    return bytes(value) if isinstance(value, (bytes, bytearray)) else b""


def _read(path: str, column: str, group: int) -> Any:
    """One column of one row group, or None when it is damaged: that is about these rows, not about the disk."""
    try:
        with module().ParquetFile(path) as file:
            names = [f"{column}.bytes"] if _is_struct(file.schema_arrow.field(column).type) else [column]
            return file.read_row_group(group, columns=names, use_threads=False).column(0)
    except (ValueError, KeyError, IndexError):  # pyarrow's own errors are ValueErrors
        return None
    except OSError as error:
        if error.errno is not None:
            raise
        return None


def _is_struct(kind: Any) -> bool:
    return str(kind).startswith("struct<")
