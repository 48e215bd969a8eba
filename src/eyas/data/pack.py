"""Pack: every image decoded once, as uint8 in one plain `.npy` that is memory-mapped ever after.

    <cache>/packs/<address>/
      images.npy   (n, h, w, c) when all images have one shape, else all bytes in a row
      index.npy    int64 (n, 3): offset into images.npy, height, width (not there when all have one shape)
      shapes.npy   int64 (n, 2): height and width in the file, upright
      crc.npy      uint32 (n,): crc32 of the packed pixels
      hashes.npy   uint8 (n, 16): BLAKE2b of the bytes of the file
      likeness.npy uint8 (n, k): what each looks like (`data.likeness`)
      sums.npy     uint64 (n, 2, c): sums and sums of squares of its pixels (only where the pixels are not kept)
      formats.npy  uint8 (n,): its format, an index into `worker.FORMATS`
      notes.npy    uint16 (n,): what was noticed, bit k - 1 for W<k> of `eyas check`
      bad.json     slot -> [code, detail] of what cannot be used
      pack.json    what this is; written last

The address is a hash of what goes in: names, sizes, times and inodes of the files, the program that makes the pixels
with the versions of its libraries, and the format of the pack. `slot` = the place of an image in a pack; its `row` is
its number in `Samples`. `data.packing` builds packs, `data.cache` removes them. A pack without images.npy is a survey:
all is known of the images but their pixels, which are decoded when they are asked for (`data.streaming`).
"""

from __future__ import annotations

import contextlib
import json
import mmap
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DEFAULT_LIMITS, DecodeError, Limits, inspect
from eyas.artifact.preprocess import Program
from eyas.data.cache import Lease, lease
from eyas.data.likeness import VERSION as LIKENESS
from eyas.data.samples import ArraySource, ByteSource, Samples
from eyas.errors import StorageError

FORMAT = 3
HEADER_BYTES = 128  # of images.npy, fixed, because its shape is known only when all is decoded
COLUMNS = ("shapes", "crc", "hashes", "likeness", "formats", "notes")
"""A file each beside the pixels."""
SURVEY = (*COLUMNS, "sums")


# --- the value -------------------------------------------------------------------------------------------------------


@final
@dataclass(frozen=True, eq=False)
class Pack:
    """Decoded images, uint8 (h, w, channels), 0..255. Arrays are read-only, in the order of slots.

    `rows` int64 (n,), ascending: the rows of `Samples` that are in it. `bad` names the rows that cannot be used, with
    code and detail; their pixels are empty (zeros when all images have one shape).
    """

    rows: NDArray[np.int64]
    channels: int
    uniform: NDArray[np.uint8] | None
    """uint8 (n, h, w, c) when all images have one shape."""
    flat: NDArray[np.uint8] | None
    """uint8 (bytes,) otherwise, with `index` int64 (n, 3): offset, height, width; None when nothing is kept."""
    index: NDArray[np.int64] | None
    shapes: NDArray[np.int64]
    """int64 (n, 2): height and width before the program; 0 for bad ones."""
    hashes: NDArray[np.uint8]
    """uint8 (n, 16): BLAKE2b-128 of the bytes of the file, or of the pixels where there is no file."""
    bad: dict[int, tuple[str, str]]
    address: str
    crc: NDArray[np.uint32] | None = None
    likeness: NDArray[np.uint8] | None = None
    """uint8 (n, `likeness.BYTES`), or None where the images came as pixels."""
    formats: NDArray[np.uint8] | None = None
    """uint8 (n,): index into `worker.FORMATS`; None where the images came as pixels."""
    notes: NDArray[np.uint16] | None = None
    """uint16 (n,): bit k - 1 for W<k> of `eyas check`; None where the images came as pixels."""
    sums: NDArray[np.uint64] | None = None
    """uint64 (n, 2, c): sums and sums of squares of the pixels of each image, where these are not kept."""
    decode: Callable[[int], NDArray[np.uint8]] | None = None
    """Slot -> pixels, decoded now, where they are not kept; from any thread. Raises `Broken`."""
    folder: Path | None = None
    """None = it is in memory only."""
    mapping: mmap.mmap | None = field(default=None, repr=False)
    """Of `images.npy`."""
    lease: Lease | None = field(default=None, repr=False)
    """While it lives, nobody removes the files."""
    cold: bool = False
    """True when it is too large for the memory: what a batch needs is then asked of the disk together."""
    seconds: float = 0.0
    """What it took to build, when it was built."""
    built: bool = False
    """True when it was built by this call, False when it was found."""
    sizes: NDArray[np.int64] = field(init=False, repr=False)
    """int64 (n, 2): height and width of the packed images."""

    def __post_init__(self) -> None:
        if self.index is not None:
            sizes = self.index[:, 1:]
        else:
            assert self.uniform is not None, "images of many shapes have an index"
            sizes = np.broadcast_to(np.array(self.uniform.shape[1:3], np.int64), (len(self.rows), 2))
        object.__setattr__(self, "sizes", sizes)

    @staticmethod
    def in_memory(
        images: NDArray[np.uint8],
        *,
        rows: NDArray[np.int64] | None = None,
        shapes: NDArray[np.int64] | None = None,
        hashes: NDArray[np.uint8] | None = None,
        address: str = "",
    ) -> Pack:
        """A pack of these images, uint8 (n, h, w, c), which are not copied."""
        n = len(images)
        same = np.broadcast_to(np.array(images.shape[1:3], np.int64), (n, 2))
        return Pack(
            rows=np.arange(n) if rows is None else rows,
            channels=images.shape[3],
            uniform=images,
            flat=None,
            index=None,
            shapes=same if shapes is None else shapes,
            hashes=content_hashes(images) if hashes is None else hashes,
            bad={},
            address=address,
            built=True,
        )

    @property
    def n(self) -> int:
        """Number of slots, the bad ones included."""
        return len(self.rows)

    @property
    def streams(self) -> bool:
        """True when nothing is kept and every image is decoded when it is asked for."""
        return self.decode is not None

    @property
    def bytes(self) -> int:
        """Size of the pixels that are kept."""
        held = self.flat if self.uniform is None else self.uniform
        return 0 if held is None else held.nbytes

    @property
    def one_shape(self) -> tuple[int, int] | None:
        """Height and width of all images that can be used; None when they differ."""
        if self.uniform is not None:
            return self.uniform.shape[1], self.uniform.shape[2]
        sizes = self.sizes[self.slots(self.good)]
        same = len(sizes) > 0 and bool((sizes == sizes[0]).all())
        return (int(sizes[0, 0]), int(sizes[0, 1])) if same else None

    @property
    def good(self) -> NDArray[np.int64]:
        """int64, ascending: the rows of `Samples` that can be used."""
        return self.rows[~np.isin(self.rows, np.fromiter(self.bad, np.int64, len(self.bad)))]

    def slots(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """int64, shape of `rows`: the slots of these rows of `Samples`; all must be in the pack."""
        if len(self.rows) and self.rows[0] == 0 and self.rows[-1] == len(self.rows) - 1:
            found = np.asarray(rows, np.int64)  # the pack holds all samples
            assert not len(found) or (found.min() >= 0 and found.max() < self.n), "a row is not in the pack"
            return found
        found = np.searchsorted(self.rows, rows)
        assert (self.rows[np.minimum(found, self.n - 1)] == rows).all(), "a row is not in the pack"
        return found

    def at(self, slot: int) -> NDArray[np.uint8]:
        """uint8 (h, w, c), a view: the image in one slot."""
        if self.uniform is not None:
            return self.uniform[slot]
        if self.decode is not None:
            return self.decode(slot)
        assert self.index is not None
        assert self.flat is not None
        offset, h, w = self.index[slot].tolist()
        return self.flat[offset : offset + h * w * self.channels].reshape(h, w, self.channels)

    def image(self, row: int) -> NDArray[np.uint8]:
        """uint8 (h, w, c), a view: the image of one row of `Samples`."""
        return self.at(int(self.slots(np.array([row]))[0]))

    def take(self, slots: NDArray[np.int64]) -> NDArray[np.uint8]:
        """uint8 (k, h, w, c), a copy: the images in these slots, which all have one shape."""
        if self.uniform is not None:
            return self.uniform[slots]
        h, w = self.one_shape or (0, 0)
        out = np.empty((len(slots), h, w, self.channels), np.uint8)
        for into, slot in zip(out, slots.tolist(), strict=True):
            into[...] = self.at(slot)
        return out

    def ask(self, slots: NDArray[np.int64]) -> None:
        """Asks the disk for the images in these slots, all at once, when the memory does not hold them anyway."""
        if not self.cold or self.mapping is None or not hasattr(mmap, "MADV_WILLNEED"):
            return
        if self.index is None:
            each = int(self.sizes[0].prod()) * self.channels if self.n else 0
            spans = [(slot * each, each) for slot in slots.tolist()]
        else:
            lengths = self.sizes[slots].prod(axis=1) * self.channels
            spans = zip(self.index[slots, 0].tolist(), lengths.tolist(), strict=True)
        for offset, length in spans:
            start = (HEADER_BYTES + offset) // mmap.PAGESIZE * mmap.PAGESIZE
            self.mapping.madvise(mmap.MADV_WILLNEED, start, HEADER_BYTES + offset + length - start)

    def placed(self, where: str) -> Pack:
        """The same pack with its pixels in "memory", "mapped", or "disk": mapped, and too large to stay in memory."""
        if self.folder is None or self.streams:
            return self
        if where == "memory":
            if self.uniform is not None:
                return replace(self, uniform=_read_only(np.array(self.uniform)), mapping=None)
            assert self.flat is not None
            return replace(self, flat=_read_only(np.array(self.flat)), mapping=None)
        if where == "disk":
            if self.mapping is not None and hasattr(mmap, "MADV_RANDOM"):
                self.mapping.madvise(mmap.MADV_RANDOM)  # reading ahead would fetch what the next image is not
            return replace(self, cold=True)
        return self

    def damaged(self) -> list[int]:
        """Slots whose pixels are not what was packed: reads everything and compares checksums."""
        if self.crc is None or self.streams or self.bytes == 0:
            return []
        bad = {int(slot) for slot in self.slots(np.fromiter(self.bad, np.int64, len(self.bad)))}
        return [s for s in range(self.n) if s not in bad and zlib.crc32(self.at(s).data) != self.crc[s]]

    def verify(self) -> None:
        """StorageError EY-S103 when the disk lost something."""
        if wrong := self.damaged():
            raise StorageError("EY-S103", path=self.folder, count=len(wrong), n=self.n)


class Broken(Exception):
    """An image that was asked for cannot be decoded any more, whatever it was when it was looked at before."""

    def __init__(self, name: str, code: str, detail: str) -> None:
        super().__init__(f"{name}: {code} {detail}")
        self.name, self.code, self.detail = name, code, detail


def _read_only(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    array.setflags(write=False)
    return array


def content_hashes(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (n, 16): BLAKE2b-128 of the pixels of each image."""
    joined = b"".join(blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images)
    return np.frombuffer(joined, np.uint8).reshape(len(images), 16)


def channel_sums(pack: Pack, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64], int]:
    """uint64 (c,) exact sums and sums of squares of the pixels of these rows of `Samples`, and how many pixels."""
    c = pack.channels
    sums, squares = np.zeros(c, np.uint64), np.zeros(c, np.uint64)
    slots = pack.slots(rows)
    if pack.sums is not None:
        both = pack.sums[slots].sum(axis=0, dtype=np.uint64)
        return both[0], both[1], int(pack.sizes[slots].prod(axis=1).sum())
    if pack.uniform is None:
        for slot in slots.tolist():
            add_sums(pack.at(slot), sums, squares)
        return sums, squares, int(pack.sizes[slots].prod(axis=1).sum())
    _, h, w, _ = pack.uniform.shape
    # Added down the images, so that the inner loop is long; a chunk fits into the cache, its sums into 32 bits.
    chunk = max(1, min(2**16, 2**20 // (h * w * c)))
    for start in range(0, len(slots), chunk):
        part = np.take(pack.uniform, slots[start : start + chunk], axis=0)
        add_sums(part.reshape(len(part), h * w, c), sums, squares)
    return sums, squares, len(slots) * h * w


def add_sums(lines: NDArray[np.uint8], sums: NDArray[np.uint64], squares: NDArray[np.uint64]) -> None:
    """Adds those of uint8 (k, m, c), k at most 2**16, in place."""
    k, m, c = lines.shape
    flat = lines.reshape(k, m * c)
    for total, values in ((sums, flat), (squares, np.square(flat, dtype=np.uint16))):
        total += values.sum(axis=0, dtype=np.uint32).reshape(m, c).sum(axis=0, dtype=np.uint64)


def probe(
    samples: Samples, rows: NDArray[np.int64], limit: int = 512, *, limits: Limits = DEFAULT_LIMITS
) -> NDArray[np.int64]:
    """int64 (k, 2), k <= limit: upright height and width of some images, evenly spread; only headers are read.

    Unreadable ones are left out. For planning a program before anything is decoded.
    """
    source = samples.source
    if isinstance(source, ArraySource):
        shape = np.array(source.images.shape[1:3], np.int64)
        return np.broadcast_to(shape, (min(limit, len(rows)), 2)).copy()
    assert isinstance(source, ByteSource)
    found: list[tuple[int, int]] = []
    for row in rows[spread(len(rows), limit)].tolist():
        with contextlib.suppress(OSError, DecodeError):
            header = inspect(source.read(row), limits)
            found.append((header.height, header.width))
    return np.array(found, np.int64).reshape(-1, 2)


def spread(n: int, k: int) -> NDArray[np.int64]:
    """int64 (min(n, k),): evenly spread numbers in 0..n-1."""
    return np.linspace(0, max(0, n - 1), min(n, k)).round().astype(np.int64)


# --- finding ---------------------------------------------------------------------------------------------------------


def address_of(
    samples: Samples, rows: NDArray[np.int64], program: Program, stats: NDArray[np.int64], *, keep: bool = True
) -> str:
    """64 hex digits: what goes into a pack of these rows. A file that was touched gives another address.

    `stats` int64 (rows, 3): of `Source.stat`, for these rows. `keep`: whether the pixels are kept.
    """
    source = samples.source
    said: dict[str, Any] = {"format": FORMAT, "program": program.pixel_fingerprint(), "n": len(rows)}
    said["likeness"] = LIKENESS
    if not keep:
        said["keep"] = False
    digest = sha256(json.dumps(said, sort_keys=True).encode())
    if isinstance(source, ArraySource):
        digest.update(source.identity.encode() + b"\0" + np.ascontiguousarray(rows).tobytes())
    else:
        names = "\0".join(source.name(row) for row in rows.tolist())
        digest.update(names.encode(errors="surrogateescape") + np.ascontiguousarray(stats).tobytes())
    return digest.hexdigest()


def find(folder: Path, rows: NDArray[np.int64]) -> Pack | None:
    """The finished pack in a folder, held; None when there is none or it is damaged (a file is missing or too short).

    A survey comes without `decode`: `data.streaming` gives it.
    """
    held = lease(folder)
    if held is None:
        return None
    try:
        meta: dict[str, Any] = json.loads((folder / "pack.json").read_text("utf-8"))
        if meta["format"] != FORMAT or meta["n"] != len(rows):
            return None
        for name, size in meta["files"].items():
            if (folder / name).stat().st_size != size:
                return None
        keep = meta["keep"]
        arrays = {name: np.load(folder / f"{name}.npy") for name in (COLUMNS if keep else SURVEY)}
        mapping, images = _mapped(folder / "images.npy") if keep else (None, None)
        bad = json.loads((folder / "bad.json").read_text("utf-8"))
        index = None if meta["uniform"] else np.load(folder / "index.npy")
    except (OSError, ValueError, KeyError, EOFError):
        return None
    for array in arrays.values():
        array.setflags(write=False)
    return Pack(
        rows=rows,
        channels=meta["channels"],
        uniform=images if meta["uniform"] else None,
        flat=None if meta["uniform"] else images,
        index=index,
        shapes=arrays["shapes"],
        hashes=arrays["hashes"],
        bad={int(rows[int(slot)]): (code, detail) for slot, (code, detail) in bad.items()},
        address=meta["address"],
        crc=arrays["crc"],
        likeness=arrays["likeness"],
        formats=arrays["formats"],
        notes=arrays["notes"],
        sums=arrays.get("sums"),
        folder=folder,
        mapping=mapping,
        lease=held,
        seconds=meta["seconds"],
    )


def _mapped(path: Path) -> tuple[mmap.mmap, NDArray[np.uint8]]:
    """A `.npy` of ours mapped into memory, and the array in it, read-only. (Not `np.load`: it keeps the mapping.)"""
    with path.open("rb") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("not written here")
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        if dtype != np.uint8 or file.tell() != HEADER_BYTES:
            raise ValueError("not written here")
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return mapping, np.frombuffer(mapping, np.uint8, offset=HEADER_BYTES).reshape(shape)
