"""Streaming: images that are not kept, decoded anew whenever they are asked for. For data that must not be packed.

A survey (`packing.build(..., keep=False)`) has decoded everything once, in processes of their own: what crashes, hangs
or is broken is known and set aside before the split, as with a pack, and the rest can be decoded by threads here. The
pixels are those of the same program, so the same draws give the same batches, bit for bit.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DecodeError
from eyas.artifact.preprocess import Program
from eyas.data import places
from eyas.data.pack import Broken, Pack
from eyas.data.samples import ByteSource
from eyas.errors import DataError, StorageError


@final
@dataclass(frozen=True)
class _Decoder:
    """Slot -> pixels, from the file, now. Has no state: any number of threads may call it."""

    source: ByteSource
    rows: NDArray[np.int64]
    stats: NDArray[np.int64]
    program: Program

    def __call__(self, slot: int) -> NDArray[np.uint8]:
        """uint8 (h, w, c), read-only. What cannot be read stops the run (it is no broken image); `Broken` otherwise."""
        row = int(self.rows[slot])
        size, mtime, inode = self.stats[slot].tolist()
        try:
            data = places.read(self.source.place(row), (size, mtime, inode))
        except places.Changed as error:
            raise DataError("EY-D142", path=self.source.name(row)) from error
        except OSError as error:
            detail = os.strerror(error.errno) if error.errno else str(error)
            raise StorageError("EY-S107", path=self.source.name(row), detail=detail, tries=places.RETRIES) from error
        try:
            return self.program.from_bytes(data)
        except DecodeError as error:
            raise Broken(self.source.name(row), error.code, error.detail) from error


def streamed(survey: Pack, source: ByteSource, stats: NDArray[np.int64], program: Program) -> Pack:
    """A survey as a Pack that decodes on demand. `stats` int64 (n, 3): what the files were when they were looked at."""
    return replace(survey, decode=_Decoder(source, survey.rows, stats, program))
