"""Pack: every image decoded once, as uint8 in one plain `.npy` that is memory-mapped ever after.

    <cache>/packs/<address>/
      images.npy   (n, h, w, c) when all images have one shape, else all bytes in a row
      index.npy    int64 (n, 3): offset into images.npy, height, width (not there when all have one shape)
      shapes.npy   int64 (n, 2): height and width in the file, upright
      crc.npy      uint32 (n,): crc32 of the packed pixels
      hashes.npy   uint8 (n, 16): BLAKE2b of the bytes of the file
      likeness.npy uint8 (n, k): what each looks like (`data.likeness`)
      formats.npy  uint8 (n,): its format, an index into `worker.FORMATS`
      notes.npy    uint16 (n,): what was noticed, bit k - 1 for W<k> of `eyas check`
      bad.json     slot -> [code, detail] of what cannot be used
      pack.json    what this is; written last

The address is a hash of what goes in: names, sizes, times and inodes of the files, the program that makes the pixels
with the versions of its libraries, and the format of the pack. `slot` = the place of an image in a pack; its `row` is
its number in `Samples`.

A pack is built in `<address>.partial`, by worker processes, under a lock, with a journal: killed at any moment it is
absent, and the next build goes on where it stopped, after checking every journalled image against its checksum.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import struct
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from hashlib import blake2b, sha256
from pathlib import Path
from typing import IO, Any, final

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DecodeError, inspect
from eyas.artifact.preprocess import Program
from eyas.data import places
from eyas.data.crew import Crew, Task
from eyas.data.samples import ArraySource, ByteSource, Samples
from eyas.data.worker import RECORD, Bad, pack_report, unpack_report
from eyas.errors import InternalError, StorageError
from eyas.version import __version__

try:
    import fcntl
except ImportError:  # Windows: two builders at once are then kept apart by the rename only
    fcntl = None

FORMAT = 2
HEADER_BYTES = 128  # of images.npy, fixed, because its shape is known only when all is decoded
SLAB_BYTES = 32 * 2**20  # what a worker may fill before it asks again
SPARE_BYTES = 64 * 2**20  # of the disk, left free
CHUNK = 64  # images in one task: fewer wait for the pipe, more wait for the last worker
WORTH_S = 0.4  # of decoding for each further worker; one takes 0.2 s to start
LOOK = 8  # images that are decoded first, to see whether all have one shape and what they take
BLOCK = struct.Struct("<4sII")  # of the journal: magic, length, crc32
MAGIC = b"EYJ2"
_COLUMNS = ("shapes", "crc", "hashes", "likeness", "formats", "notes")  # a file each beside the pixels


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
    """uint8 (bytes,) otherwise, with `index` int64 (n, 3): offset, height, width."""
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
    folder: Path | None = None
    """None = it is in memory only."""
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
            assert self.uniform is not None
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
    def bytes(self) -> int:
        """Size of the pixels."""
        held = self.flat if self.uniform is None else self.uniform
        return 0 if held is None else held.nbytes

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
        assert self.index is not None
        assert self.flat is not None
        offset, h, w = self.index[slot].tolist()
        return self.flat[offset : offset + h * w * self.channels].reshape(h, w, self.channels)

    def image(self, row: int) -> NDArray[np.uint8]:
        """uint8 (h, w, c), a view: the image of one row of `Samples`."""
        return self.at(int(self.slots(np.array([row]))[0]))

    def verify(self) -> None:
        """Reads everything and compares checksums; StorageError EY-S103 when the disk lost something."""
        if self.crc is None:
            return
        bad = {int(slot) for slot in self.slots(np.fromiter(self.bad, np.int64, len(self.bad)))}
        wrong = [s for s in range(self.n) if s not in bad and zlib.crc32(self.at(s).data) != self.crc[s]]
        if wrong:
            raise StorageError("EY-S103", path=self.folder, count=len(wrong), n=self.n)


def content_hashes(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """uint8 (n, 16): BLAKE2b-128 of the pixels of each image."""
    joined = b"".join(blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images)
    return np.frombuffer(joined, np.uint8).reshape(len(images), 16)


def channel_sums(pack: Pack, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64], int]:
    """uint64 (c,) exact sums and sums of squares of the pixels of these rows of `Samples`, and how many pixels."""
    c = pack.channels
    sums, squares = np.zeros(c, np.uint64), np.zeros(c, np.uint64)
    slots = pack.slots(rows)
    if pack.uniform is None:
        for slot in slots.tolist():
            _add_sums(pack.at(slot), sums, squares)
        return sums, squares, int(pack.sizes[slots].prod(axis=1).sum())
    _, h, w, _ = pack.uniform.shape
    # Added down the images, so that the inner loop is long; a chunk fits into the cache, its sums into 32 bits.
    chunk = max(1, min(2**16, 2**20 // (h * w * c)))
    for start in range(0, len(slots), chunk):
        part = np.take(pack.uniform, slots[start : start + chunk], axis=0)
        _add_sums(part.reshape(len(part), h * w, c), sums, squares)
    return sums, squares, len(slots) * h * w


def _add_sums(lines: NDArray[np.uint8], sums: NDArray[np.uint64], squares: NDArray[np.uint64]) -> None:
    """Adds those of uint8 (k, m, c), k at most 2**16, in place."""
    k, m, c = lines.shape
    flat = lines.reshape(k, m * c)
    for total, values in ((sums, flat), (squares, np.square(flat, dtype=np.uint16))):
        total += values.sum(axis=0, dtype=np.uint32).reshape(m, c).sum(axis=0, dtype=np.uint64)


def probe(samples: Samples, rows: NDArray[np.int64], limit: int = 512) -> NDArray[np.int64]:
    """int64 (k, 2), k <= limit: upright height and width of some images, evenly spread; only headers are read.

    Unreadable ones are left out. For planning a program before anything is decoded.
    """
    source = samples.source
    if isinstance(source, ArraySource):
        shape = np.array(source.images.shape[1:3], np.int64)
        return np.broadcast_to(shape, (min(limit, len(rows)), 2)).copy()
    assert isinstance(source, ByteSource)
    found: list[tuple[int, int]] = []
    for row in rows[_spread(len(rows), limit)].tolist():
        with contextlib.suppress(OSError, DecodeError):
            header = inspect(source.read(row))
            found.append((header.height, header.width))
    return np.array(found, np.int64).reshape(-1, 2)


def _spread(n: int, k: int) -> NDArray[np.int64]:
    """int64 (min(n, k),): evenly spread numbers in 0..n-1."""
    return np.linspace(0, max(0, n - 1), min(n, k)).round().astype(np.int64)


# --- finding ---------------------------------------------------------------------------------------------------------


def address_of(samples: Samples, rows: NDArray[np.int64], program: Program, stats: NDArray[np.int64]) -> str:
    """64 hex digits: what goes into a pack of these rows. A file that was touched gives another address.

    `stats` int64 (rows, 3): of `Source.stat`, for these rows.
    """
    source = samples.source
    said = {"format": FORMAT, "program": program.pixel_fingerprint(), "n": len(rows)}
    digest = sha256(json.dumps(said, sort_keys=True).encode())
    if isinstance(source, ArraySource):
        digest.update(source.identity.encode() + b"\0" + np.ascontiguousarray(rows).tobytes())
    else:
        names = "\0".join(source.name(row) for row in rows.tolist())
        digest.update(names.encode(errors="surrogateescape") + np.ascontiguousarray(stats).tobytes())
    return digest.hexdigest()


def find(folder: Path, rows: NDArray[np.int64]) -> Pack | None:
    """The finished pack in a folder, or None when there is none or it is damaged (a file is missing or too short)."""
    try:
        meta: dict[str, Any] = json.loads((folder / "pack.json").read_text("utf-8"))
        if meta["format"] != FORMAT or meta["n"] != len(rows):
            return None
        for name, size in meta["files"].items():
            if (folder / name).stat().st_size != size:
                return None
        images = np.load(folder / "images.npy", mmap_mode="r")
        arrays = {name: np.load(folder / f"{name}.npy") for name in _COLUMNS}
        bad = json.loads((folder / "bad.json").read_text("utf-8"))
        index = None if meta["uniform"] else np.load(folder / "index.npy")
    except (OSError, ValueError, KeyError, EOFError):
        return None
    for array in arrays.values():
        array.setflags(write=False)
    return Pack(
        rows=rows,
        channels=meta["channels"],
        uniform=images.view(np.ndarray) if meta["uniform"] else None,
        flat=None if meta["uniform"] else images.view(np.ndarray),
        index=index,
        shapes=arrays["shapes"],
        hashes=arrays["hashes"],
        bad={int(rows[int(slot)]): (code, detail) for slot, (code, detail) in bad.items()},
        address=meta["address"],
        crc=arrays["crc"],
        likeness=arrays["likeness"],
        formats=arrays["formats"],
        notes=arrays["notes"],
        folder=folder,
        seconds=meta["seconds"],
    )


def _readable_again(pack: Pack, source: ByteSource) -> bool:
    """True when a file that could not be read, when the pack was built, can be read now: the pack is out of date."""
    for row, (code, _) in pack.bad.items():
        if code == "E08":
            with contextlib.suppress(OSError), Path(places.file_of(source.place(row))).open("rb") as file:
                file.read(1)
                return True
    return False


# --- building --------------------------------------------------------------------------------------------------------


def _from_arrays(samples: Samples, source: ArraySource, rows: NDArray[np.int64], program: Program) -> Pack:
    """Pixels that are in memory stay there: a pack on disk would only be a second copy."""
    start = time.perf_counter()
    pixels = source.images if source.images.ndim == 4 else source.images[..., None]
    if len(rows) and np.shares_memory(program.apply(pixels[rows[0]]), pixels):
        # The program hands back what it gets, which depends on the shape alone, and they all have one.
        whole = pixels if len(rows) == len(pixels) else pixels[rows]
    elif len(rows):
        first = program.apply(pixels[rows[0]])
        whole = np.empty((len(rows), *first.shape), np.uint8)
        for slot, row in enumerate(rows.tolist()):
            whole[slot] = program.apply(pixels[row])
    else:
        whole = np.zeros((0, 1, 1, program.channels), np.uint8)
    whole = whole.view()
    whole.setflags(write=False)
    shapes = np.broadcast_to(np.array(pixels.shape[1:3], np.int64), (len(rows), 2))
    hashes = content_hashes(pixels if len(rows) == len(pixels) else pixels[rows])
    address = address_of(samples, rows, program, np.zeros((len(rows), 3), np.int64))
    pack = Pack.in_memory(whole, rows=rows, shapes=shapes, hashes=hashes, address=address)
    return replace(pack, seconds=time.perf_counter() - start)


@contextlib.contextmanager
def _locked(path: Path) -> Generator[IO[str]]:
    """Holds the right to build one pack; waits while another process, or a worker that it left behind, has it."""
    with path.open("a+", encoding="utf-8") as file:
        while fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR):
                    raise
                time.sleep(0.05)
        yield file


class _Journal:
    """What is packed already: blocks of reports, each with its length and checksum; a torn tail is cut off."""

    def __init__(self, path: Path) -> None:
        self.records: dict[int, Any] = {}
        self.bad: Bad = {}
        blocks = path.read_bytes() if path.exists() else b""
        at = 0
        while at + BLOCK.size <= len(blocks):
            magic, length, crc = BLOCK.unpack_from(blocks, at)
            payload = blocks[at + BLOCK.size : at + BLOCK.size + length]
            if magic != MAGIC or len(payload) < length or zlib.crc32(payload) != crc:
                break
            self._take(*unpack_report(payload))
            at += BLOCK.size + length
        self.file = path.open("ab")
        self.file.truncate(at)

    def _take(self, records: NDArray[np.void], bad: Bad) -> None:
        self.records.update(zip(records["slot"].tolist(), records, strict=True))
        self.bad.update(bad)

    def add(self, records: NDArray[np.void], bad: Bad) -> None:
        """Notes a report; it survives the death of this process from here on."""
        self._take(records, bad)
        payload = pack_report(records, bad)
        self.file.write(BLOCK.pack(MAGIC, len(payload), zlib.crc32(payload)) + payload)
        self.file.flush()

    def check(self, data: Path, channels: int) -> None:
        """Forgets images whose bytes are not what was journalled, and files that could not be read last time."""
        with data.open("rb") as file:
            for slot, found in list(self.records.items()):
                file.seek(int(found["offset"]))
                if zlib.crc32(file.read(int(found["h"]) * int(found["w"]) * channels)) != found["crc"]:
                    del self.records[slot]
        self.bad = {slot: why for slot, why in self.bad.items() if why[0] != "E08"}

    @property
    def done(self) -> int:
        """How many slots need nothing more."""
        return len(self.records) + len(self.bad)


@dataclass
class _Building:
    """One build in its `.partial` folder. The only state of this file."""

    source: ByteSource
    rows: NDArray[np.int64]
    stats: NDArray[np.int64]
    program: Program
    address: str
    partial: Path
    workers: int
    timeout_s: float
    limit_bytes: int | None
    progress: Callable[[int, int], None]
    shape: tuple[int, int, int] | None = None
    """What all images are thought to look like; those that do not are put behind the places of all slots."""
    tail: int = HEADER_BYTES
    """First byte of the data file that was not granted."""

    def run(self, folder: Path, lock: int) -> Pack:
        """Builds, or goes on building, and renames."""
        begin = time.perf_counter()
        data, layout = self.partial / "images.npy", self.partial / "layout.json"
        if not (layout.exists() and data.exists()):
            shutil.rmtree(self.partial, ignore_errors=True)
        self.partial.mkdir(exist_ok=True)
        with data.open("ab") as file:
            file.truncate(max(HEADER_BYTES, file.tell()))
        journal = _Journal(self.partial / "journal")
        with contextlib.closing(journal.file), Crew(
            self.program.to_dict(), data, workers=self.workers, grant=self.grant, timeout_s=self.timeout_s,
            log=self.partial / "workers.log", hold=(lock,),
        ) as crew:  # fmt: skip
            if layout.exists():
                shape = json.loads(layout.read_text("utf-8"))
                self.shape = (shape[0], shape[1], shape[2]) if shape else None
                journal.check(data, self.program.channels)
            else:
                self.look(crew)
                layout.write_text(json.dumps(self.shape), "utf-8")
            ends = [
                int(r["offset"]) + int(r["h"]) * int(r["w"]) * self.program.channels for r in journal.records.values()
            ]
            self.tail = max([HEADER_BYTES + self.size_of(self.shape) * len(self.rows), *ends])
            self.progress(journal.done, len(self.rows))
            todo = np.array([s for s in range(len(self.rows)) if s not in journal.records and s not in journal.bad])
            for records, bad in crew.run(self.tasks(todo.astype(np.int64), dry=False)):
                journal.add(records, bad)
                self.progress(journal.done, len(self.rows))
        return self.finish(folder, journal, time.perf_counter() - begin)

    @staticmethod
    def size_of(shape: tuple[int, ...] | None) -> int:
        return int(np.prod(shape)) if shape else 0

    def tasks(self, slots: NDArray[np.int64], *, dry: bool) -> Iterator[Task]:
        """The work, cut so that every worker gets several pieces."""
        chunk = max(1, min(CHUNK, -(-len(slots) // (4 * self.workers))))
        for start in range(0, len(slots), chunk):
            part = slots[start : start + chunk].tolist()
            rows = self.rows[part].tolist()
            where = [self.source.place(row) for row in rows]
            yield Task(part, where, self.stats[part].tolist(), self.shape, HEADER_BYTES, dry)

    def grant(self, size: int) -> tuple[int, int]:
        """(offset, length) of the data file for one worker, at least `size` bytes."""
        length = max(SLAB_BYTES, size)
        self.tail += length
        return self.tail - length, length

    def look(self, crew: Crew) -> None:
        """Decodes a few images to see whether all have one shape, and whether all of them will fit on the disk."""
        shapes: list[tuple[int, int, int]] = []
        for records, _ in crew.run(self.tasks(_spread(len(self.rows), LOOK), dry=True)):
            shapes += [
                (h, w, self.program.channels) for h, w in zip(records["h"].tolist(), records["w"].tolist(), strict=True)
            ]
        self.shape = shapes[0] if len(set(shapes)) == 1 else None
        each = sum(map(self.size_of, shapes)) / max(1, len(shapes))
        need, free = int((each + 64) * len(self.rows)), shutil.disk_usage(self.partial).free
        if self.limit_bytes is not None and need > self.limit_bytes:
            raise StorageError("EY-S101", need=_size(need), limit=_size(self.limit_bytes), n=len(self.rows))
        if need + SPARE_BYTES > free:
            raise StorageError("EY-S100", path=self.partial.parent, need=_size(need), free=_size(free))

    def finish(self, folder: Path, journal: _Journal, seconds: float) -> Pack:
        """Writes what belongs beside the pixels, makes all of it durable, and renames the folder."""
        n, c = len(self.rows), self.program.channels
        records = np.zeros(n, RECORD)
        good = np.array(sorted(journal.records), np.int64)
        if len(good):
            records[good] = np.array([journal.records[slot] for slot in good.tolist()], RECORD)
        if journal.done != n:
            raise InternalError("EY-I001", detail=f"{journal.done} of {n} images were packed", path=self.partial)
        size = self.size_of(self.shape)
        uniform = self.shape is not None and bool((records["offset"][good] == HEADER_BYTES + good * size).all())
        ends = records["offset"] + records["h"].astype(np.int64) * records["w"] * c
        end = HEADER_BYTES + size * n if uniform else max(HEADER_BYTES + 1, int(ends.max(initial=0)))
        shape = (n, *self.shape) if uniform and self.shape else (end - HEADER_BYTES,)
        with (self.partial / "images.npy").open("r+b") as file:
            file.truncate(end)
            file.write(_npy_header(shape))
            _durable(file)
        if not uniform:
            records["offset"][good] -= HEADER_BYTES
            index = np.stack([records["offset"], records["h"], records["w"]], axis=1).astype(np.int64)
            _save(self.partial / "index.npy", index)
        _save(self.partial / "shapes.npy", np.stack([records["old_h"], records["old_w"]], axis=1).astype(np.int64))
        _save(self.partial / "crc.npy", records["crc"].astype(np.uint32))
        _save(self.partial / "hashes.npy", np.ascontiguousarray(records["hash"]))
        _save(self.partial / "likeness.npy", np.ascontiguousarray(records["likeness"]))
        _save(self.partial / "formats.npy", records["format"].astype(np.uint8))
        _save(self.partial / "notes.npy", records["notes"].astype(np.uint16))
        _write(self.partial / "bad.json", {str(slot): why for slot, why in sorted(journal.bad.items())})
        names = ["images.npy", *(f"{name}.npy" for name in _COLUMNS), "bad.json", *([] if uniform else ["index.npy"])]
        meta = {
            "format": FORMAT,
            "address": self.address,
            "n": n,
            "channels": c,
            "uniform": uniform,
            "seconds": round(seconds, 3),
            "program": self.program.to_dict(),
            "eyas": __version__,
            "files": {name: (self.partial / name).stat().st_size for name in names},
        }
        _write(self.partial / "pack.json", meta)
        _sync_folder(self.partial)
        shutil.rmtree(folder, ignore_errors=True)  # a damaged or outdated one
        self.partial.rename(folder)
        _sync_folder(folder.parent)
        for name in ("journal", "layout.json", "workers.log"):
            (folder / name).unlink(missing_ok=True)
        pack = find(folder, self.rows)
        assert pack is not None, "what was just written can be read"
        return replace(pack, built=True)


def _npy_header(shape: tuple[int, ...]) -> bytes:
    """Exactly HEADER_BYTES: magic, version 1.0, length, and the description padded with spaces."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    room = HEADER_BYTES - 10
    assert len(text) < room
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", room) + text.ljust(room - 1) + b"\n"


def _durable(file: IO[Any]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _save(path: Path, array: NDArray[Any]) -> None:
    with path.open("wb") as file:
        np.save(file, array, allow_pickle=False)
        _durable(file)


def _write(path: Path, document: object) -> None:
    with path.open("w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        _durable(file)


def _sync_folder(folder: Path) -> None:
    if os.name == "posix":  # Windows cannot open a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _size(count: int) -> str:
    """`1,234,567 bytes (1.2 MB)`."""
    return f"{count:,} bytes ({count / 1e9:.1f} GB)" if count >= 1e9 else f"{count:,} bytes ({count / 1e6:.1f} MB)"


# --- the story -------------------------------------------------------------------------------------------------------


def build(
    samples: Samples,
    rows: NDArray[np.int64],
    *,
    program: Program,
    cache: Path,
    workers: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    limit_bytes: int | None = None,
    timeout_s: float = 30.0,
) -> Pack:
    """The pack of these rows of `samples`: found in `cache`, or built by `workers` processes, or finished.

    `progress(done, total)` is called as it goes. `limit_bytes` is what the pixels may take; `timeout_s` how long one
    image may take before it is given up (E05). An ArraySource stays in memory.
    Errors: StorageError EY-S100 no space, EY-S101 over the limit, EY-S102 the cache cannot be written, EY-S104 a write
    failed; DataError EY-D141 a file changed meanwhile. What is damaged among the images is in `Pack.bad`, not raised.
    """
    rows = np.asarray(rows, np.int64)
    assert (np.diff(rows) > 0).all(), "rows are ascending"
    source = samples.source
    if isinstance(source, ArraySource) or not len(rows):
        held = source if isinstance(source, ArraySource) else ArraySource(np.zeros((0, 1, 1, 1), np.uint8), "none")
        return _from_arrays(samples, held, rows, program)
    assert isinstance(source, ByteSource), "images come from files or from arrays"
    stats = source.stat()[rows]  # read once: the address and the workers must mean the same files
    address = address_of(samples, rows, program, stats)
    folder = cache / "packs" / address
    found = find(folder, rows)
    if found is not None and not _readable_again(found, source):
        return found
    # A few images are decoded sooner than another process starts. About 0.1 ms a file and 20 ns a byte of it.
    work_s = 1e-4 * len(rows) + 2e-8 * float(stats[:, 0].sum())
    crew = max(1, min(workers, 1 + int(work_s / WORTH_S)))
    partial = folder.with_name(f"{address}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f"{address}.lock")) as lock:
            found = find(folder, rows)  # by whom we waited for
            if found is not None and not _readable_again(found, source):
                return found
            building = _Building(source, rows, stats, program, address, partial, crew, timeout_s, limit_bytes, progress)
            try:
                return building.run(folder, lock.fileno())
            except StorageError:
                shutil.rmtree(partial, ignore_errors=True)  # a full disk gets its space back
                raise
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST):
            raise StorageError("EY-S102", path=folder.parent, detail=os.strerror(error.errno)) from error
        shutil.rmtree(partial, ignore_errors=True)
        raise StorageError("EY-S104", path=folder.parent, detail=str(error)) from error
