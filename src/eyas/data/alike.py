"""Near-duplicates among the images of packs, looked for once and kept beside the first pack."""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eyas.data import near
from eyas.data.near import Near, near_pairs
from eyas.data.pack import Pack


def alike(packs: Sequence[Pack]) -> Near | None:
    """Which images of these packs are nearly the same, by rows of `Samples`; None where images came as pixels.

    Every image counts once, in the first pack that it is in.
    """
    described = [(pack.rows, pack.likeness) for pack in packs if pack.likeness is not None]
    if not described or len(described) < len(packs):
        return None
    rows = np.concatenate([rows for rows, _ in described])
    place = _place(packs)
    kept = _read(place, len(rows)) if place else None
    if kept is None:
        whole = described[0][1] if len(described) == 1 else np.concatenate([one for _, one in described])
        kept = near_pairs(whole)
        if place:
            _write(place, kept)
    pairs = np.sort(rows[kept.pairs], axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return Near(kept.n, pairs[order], kept.left_over[order], kept.plain, kept.crowded)


def _place(packs: Sequence[Pack]) -> Path | None:
    """A name that says what the answer depends on: the packs and how it was found."""
    if packs[0].folder is None:
        return None
    said = [near.VERSION, str(near.LEFT_OVER), *(pack.address for pack in packs)]
    return packs[0].folder / f"near-{sha256(chr(10).join(said).encode()).hexdigest()[:16]}.npz"


def _read(path: Path, n: int) -> Near | None:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            pairs, left_over, counts = held["pairs"], held["left_over"], held["counts"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None
    fits = pairs.ndim == 2 and len(pairs) == len(left_over) and int(counts[0]) == n
    return Near(n, pairs, left_over, int(counts[1]), int(counts[2])) if fits else None


def _write(path: Path, found: Near) -> None:
    """Whole or not at all; a cache that cannot be written costs the looking, not the run."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    counts: NDArray[np.int64] = np.array([found.n, found.plain, found.crowded], np.int64)
    try:
        with temporary.open("wb") as file:
            np.savez(file, pairs=found.pairs, left_over=found.left_over, counts=counts)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
