"""`splits.csv`, the memory of a split: which image was on which side, so that it stays there when more images come.

One row a sample: path, label, split, group, cluster, hash. Images with one number of `cluster` were kept together:
equal bytes, one group, or nearly the same picture. Samples are known again by their bytes, then by their path.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
from numpy.typing import NDArray

from eyas.data.layouts.assemble import decode_text
from eyas.data.samples import ByteSource, Samples, Split
from eyas.errors import DataError
from eyas.errors.messages import say

NAMES = {split: split.name.lower() for split in Split}
COLUMNS = ("path", "label", "split", "group", "cluster", "hash")


def write_splits(
    path: Path,
    samples: Samples,
    splits: NDArray[np.uint8],
    hashes: NDArray[np.uint8],
    clusters: NDArray[np.int64] | None = None,
) -> None:
    """Writes `splits.csv`, whole or not at all. `clusters` int64 (n,): which samples were kept together; 0 = alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    digits = hashes.tobytes().hex()
    width = hashes.shape[1] * 2
    for row in range(len(samples)):
        group = "" if samples.groups is None or samples.groups[row] < 0 else int(samples.groups[row])
        cluster = "" if clusters is None or not clusters[row] else int(clusters[row])
        label = samples.classes[samples.labels[row]]
        name = NAMES[Split(int(splits[row]))]
        content = digits[row * width : (row + 1) * width]
        writer.writerow([samples.source.name(row), label, name, group, cluster, content])
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.getvalue().encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@final
@dataclass(frozen=True)
class Memory:
    """Where samples were in an earlier split, by content and by name."""

    by_hash: dict[bytes, Split]
    by_path: dict[str, tuple[bytes, Split]]


def read_splits(path: Path) -> Memory:
    """The memory in a `splits.csv`. A file that is missing or damaged is EY-D064, with the line."""
    try:
        text, _ = decode_text(path.read_bytes(), path)
    except OSError as error:
        raise DataError("EY-D064", path=path, line=0, reason=error.strerror or error) from error
    reader = csv.reader(io.StringIO(text, newline=""))
    names = {name: split for split, name in NAMES.items()}
    memory = Memory({}, {})
    try:
        header = next(reader, [])
        at = {name: header.index(name) for name in COLUMNS if name in header}
        missing = [name for name in ("path", "split", "hash") if name not in at]
        if missing:
            raise DataError("EY-D064", path=path, line=1, reason=say("splits_columns", names=", ".join(missing)))
        for cells in reader:
            if not cells:
                continue
            if len(cells) < len(header):
                raise DataError("EY-D064", path=path, line=reader.line_num, reason=say("splits_short"))
            split = names.get(cells[at["split"]])
            if split is None:
                reason = say("splits_unknown", got=cells[at["split"]], allowed=", ".join(names))
                raise DataError("EY-D064", path=path, line=reader.line_num, reason=reason)
            try:
                content = bytes.fromhex(cells[at["hash"]])
            except ValueError:
                reason = say("splits_hash", got=cells[at["hash"]])
                raise DataError("EY-D064", path=path, line=reader.line_num, reason=reason) from None
            if split is not Split.NONE:
                memory.by_hash.setdefault(content, split)
                memory.by_path[cells[at["path"]]] = (content, split)
    except csv.Error as error:
        raise DataError("EY-D064", path=path, line=reader.line_num, reason=error) from error
    return memory


def inherit(memory: Path, samples: Samples, hashes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (n,) of Split: where `splits.csv` has each sample, NONE for one that it does not know.

    The same name with the same bytes first, then the same bytes under another name, then the name with other bytes (an
    edited photo). Raw arrays have no names of their own and are known by bytes alone.
    """
    known = read_splits(memory)
    has_names = isinstance(samples.source, ByteSource)
    out = np.zeros(len(samples), np.uint8)
    for row in range(len(samples)):
        digest = hashes[row].tobytes()
        content, split = known.by_path.get(samples.source.name(row), (b"", Split.NONE))
        if content == digest:
            out[row] = split
        elif digest in known.by_hash:
            out[row] = known.by_hash[digest]
        elif has_names:
            out[row] = split
    return out
