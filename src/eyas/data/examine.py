"""Examine: every image decoded once to see whether it can be, by processes that may crash in its place.

What is learnt is kept in the cache as a survey (`data.packing`): the second look at the same files reads no image. A
pack that training has built of the same files says the same, and is asked first.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DECODER
from eyas.artifact.preprocess import Fit, Program, program_from_dict
from eyas.data import cache as caches
from eyas.data import pack as packs
from eyas.data.audit import NO_FORMAT, Examined, of_packs
from eyas.data.pack import Pack, content_hashes
from eyas.data.packing import build
from eyas.data.samples import ArraySource, Samples, Split
from eyas.errors import DataError, StorageError

SIDE = 64
"""Short side at which pictures are looked at: a JPEG of a camera is then decoded at an eighth of its size, four times
as fast, and every byte of it is read all the same."""

_PARTS = ((Split.NONE, Split.TRAIN), (Split.VAL,), (Split.TEST,), (Split.HOLDOUT,))

Progress = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Examination:
    """What was learnt, and the surveys or packs that say so (none for images that came as pixels)."""

    examined: Examined
    packs: tuple[Pack, ...]


def examine(
    samples: Samples,
    *,
    cache: Path,
    workers: int,
    allow: tuple[str, ...] = (),
    timeout_s: float = 30.0,
    progress: Progress = lambda done, total: None,
) -> Examination:
    """What is known of every sample after it was decoded; nothing of the user's is changed.

    `allow` are formats of `header.OPTIONAL` that are read, too; an image that takes longer than `timeout_s` is E05.
    A cache that cannot be written costs the memory of it, not the examination.
    """
    source = samples.source
    if isinstance(source, ArraySource):
        return Examination(_of_arrays(samples, source, progress), ())
    program = Fit(short_side=SIDE, channels=3, allow=allow)
    # As training would have packed them: what is declared for val and test by itself.
    parts = [samples.rows(*splits) for splits in _PARTS]
    found: list[Pack] = []
    total, before = len(samples), 0
    for rows in parts:
        if not len(rows):
            continue

        def told(done: int, _total: int, before: int = before) -> None:
            progress(before + done, total)

        pack = _found(samples, rows, program, cache)
        found.append(pack or _surveyed(samples, rows, program, cache, workers, timeout_s, told))
        before += len(rows)
    progress(total, total)
    return Examination(of_packs(samples, found), tuple(found))


def _surveyed(
    samples: Samples,
    rows: NDArray[np.int64],
    program: Program,
    cache: Path,
    workers: int,
    timeout_s: float,
    progress: Progress,
) -> Pack:
    def run(where: Path) -> Pack:
        return build(
            samples,
            rows,
            program=program,
            cache=where,
            workers=workers,
            progress=progress,
            timeout_s=timeout_s,
            keep=False,
        )

    try:
        return run(cache)
    except StorageError as error:
        if error.code == "EY-S101":  # a limit on the cache is not ours to break
            raise
        with tempfile.TemporaryDirectory(prefix="eyas-check-") as scratch:
            return run(Path(scratch))


def _found(samples: Samples, rows: NDArray[np.int64], program: Fit, cache: Path) -> Pack | None:
    """A finished pack of the same rows of the same files, whatever it was made for; None when there is none."""
    stats: NDArray[np.int64] | None = None
    folder = caches.packs_in(cache)
    for path in sorted(folder.glob("*/pack.json")):
        try:
            meta = json.loads(path.read_text("utf-8"))
            made = program_from_dict(meta["program"])
            keep, n = bool(meta["keep"]), int(meta["n"])
        except (OSError, ValueError, KeyError, TypeError, DataError):
            continue
        # A Preprocess cuts the edges off: what it leaves looks like something else.
        if n != len(rows) or not isinstance(made, Fit) or made.decoder != DECODER or made.allow != program.allow:
            continue
        if stats is None:
            stats = samples.source.stat()[rows]
        if packs.address_of(samples, rows, made, stats, keep=keep) != path.parent.name:
            continue
        pack = packs.find(path.parent, rows)
        if pack is not None and not any(code in ("E05", "E08") for code, _ in pack.bad.values()):
            return pack
    return None


def _of_arrays(samples: Samples, source: ArraySource, progress: Progress) -> Examined:
    """Pixels cannot be broken; they can be there twice, or show nothing.

    Not said what they look like: sets that come as arrays are mostly tiny and made alike (digits, clothes), where half
    of all pictures are near to another one.
    """
    n = len(samples)
    pixels = source.images if source.images.ndim == 4 else source.images[..., None]
    notes = np.zeros(n, np.uint16)
    chunk = max(1, 2**24 // max(1, int(np.prod(pixels.shape[1:]))))
    for start in range(0, n, chunk):
        part = pixels[start : start + chunk]
        still = np.ptp(part.reshape(len(part), -1, part.shape[3]), axis=1).max(axis=1) <= 2
        notes[start : start + chunk][still] |= 1 << 10 - 1
        progress(start + len(part), n)
    shapes = np.broadcast_to(np.array(pixels.shape[1:3], np.int64), (n, 2))
    return Examined({}, shapes, content_hashes(pixels), np.full(n, NO_FORMAT, np.uint8), notes)
