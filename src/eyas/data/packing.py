"""Packing: from Samples to a Pack, built once by isolated worker processes and found ever after.

A pack is built in `<address>.partial`, under a lock, with a journal: killed at any moment it is absent, and the next
build goes on where it stopped, after checking every journalled image against its checksum. See `data.pack` for what is
in it and `data.cache` for what happens to it later.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.preprocess import Program
from eyas.data import cache as caches
from eyas.data import places
from eyas.data.crew import Crew, Task
from eyas.data.pack import COLUMNS, FORMAT, HEADER_BYTES, SURVEY, Pack, address_of, content_hashes, find, spread
from eyas.data.samples import ArraySource, ByteSource, Samples
from eyas.data.streaming import streamed
from eyas.data.worker import RECORD, Bad, pack_report, unpack_report
from eyas.errors import InternalError, StorageError
from eyas.version import __version__

SLAB_BYTES = 32 * 2**20  # what a worker may fill before it asks again
CHUNK = 64  # images in one task: fewer wait for the pipe, more wait for the last worker
WORTH_S = 0.4  # of decoding for each further worker; one takes 0.2 s to start
LOOK = 8  # images that are decoded first, to see whether all have one shape and what they take
COLUMNS_BYTES = 2**16  # that the small files of a pack take at least
SYNC_BYTES = 256 * 2**20  # of pixels, after which the disk is told to begin, so that little is left to wait for
NO_ROOM = ("EY-S100", "EY-S101")
"""Codes of `build` that say: nothing is wrong, but the pixels cannot be kept. `keep=False` then goes on without."""
BLOCK = struct.Struct("<4sII")  # of the journal: magic, length, crc32
MAGIC = b"EYJ3"


# --- pixels that come as pixels --------------------------------------------------------------------------------------


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


# --- building --------------------------------------------------------------------------------------------------------


class _Journal:
    """What is packed already: blocks of reports, each with its length and checksum; a torn tail is cut off."""

    def __init__(self, path: Path, n: int) -> None:
        self.records = np.zeros(n, RECORD)
        """By slot; those of `has`."""
        self.has = np.zeros(n, np.bool_)
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
        self.records[records["slot"]] = records
        self.has[records["slot"]] = True
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
            for slot in np.flatnonzero(self.has).tolist():
                found = self.records[slot]
                file.seek(int(found["offset"]))
                if zlib.crc32(file.read(int(found["h"]) * int(found["w"]) * channels)) != found["crc"]:
                    self.has[slot] = False
        self.forget_unread()

    def forget_unread(self) -> None:
        """Files that could not be read are tried again."""
        self.bad = {slot: why for slot, why in self.bad.items() if why[0] != "E08"}

    def ends(self, channels: int) -> NDArray[np.int64]:
        """int64: where the pixels of each image that is there end in the data file."""
        there = self.records[self.has]
        return there["offset"] + there["h"].astype(np.int64) * there["w"] * channels

    @property
    def open(self) -> NDArray[np.int64]:
        """int64: the slots that are still to be done."""
        todo = ~self.has
        todo[np.fromiter(self.bad, np.int64, len(self.bad))] = False
        return np.flatnonzero(todo)

    @property
    def done(self) -> int:
        """How many slots need nothing more."""
        return int(self.has.sum()) + len(self.bad)


class _Syncing:
    """Tells the disk to begin while the workers go on; the last `fsync` then has little left to do."""

    def __init__(self, path: Path) -> None:
        self.path, self.ahead = path, 0
        self.thread: threading.Thread | None = None

    def __call__(self, size: int) -> None:
        self.ahead += size
        if self.ahead >= SYNC_BYTES and (self.thread is None or not self.thread.is_alive()):
            self.ahead = 0
            self.thread = threading.Thread(target=self._sync, daemon=True, name="eyas-sync")
            self.thread.start()

    def _sync(self) -> None:
        with contextlib.suppress(OSError), self.path.open("rb+") as file:  # the last fsync says what is wrong
            os.fsync(file.fileno())


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
    cache: Path
    about: dict[str, Any]
    """What `eyas cache` tells of it."""
    keep: bool
    """Whether the pixels are kept; otherwise it is a survey."""
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
        journal = _Journal(self.partial / "journal", len(self.rows))
        syncing = _Syncing(data)
        with contextlib.closing(journal.file), Crew(
            self.program.to_dict(), data, workers=self.workers, grant=self.grant, timeout_s=self.timeout_s,
            log=self.partial / "workers.log", hold=(lock,),
        ) as crew:  # fmt: skip
            if layout.exists():
                shape = json.loads(layout.read_text("utf-8"))
                self.shape = (shape[0], shape[1], shape[2]) if shape else None
                if self.keep:
                    journal.check(data, self.program.channels)
                else:
                    journal.forget_unread()
            else:
                if self.keep:
                    self.look(crew)
                layout.write_text(json.dumps(self.shape), "utf-8")
            ends = int(journal.ends(self.program.channels).max(initial=0))
            self.tail = max(HEADER_BYTES + self.size_of(self.shape) * len(self.rows), ends)
            done = journal.done
            self.progress(done, len(self.rows))
            for records, bad in crew.run(self.tasks(journal.open, dry=not self.keep)):
                journal.add(records, bad)
                done += len(records) + len(bad)
                self.progress(done, len(self.rows))
                if self.keep:
                    syncing(int((records["h"].astype(np.int64) * records["w"]).sum()) * self.program.channels)
        return self.finish(folder, journal, time.perf_counter() - begin)

    @staticmethod
    def size_of(shape: tuple[int, ...] | None) -> int:
        return int(np.prod(shape)) if shape else 0

    def tasks(self, slots: NDArray[np.int64], *, dry: bool) -> Iterator[Task]:
        """The work, in pieces that become smaller towards the end, so that all workers finish together."""
        start = 0
        while start < len(slots):
            chunk = max(1, min(CHUNK, (len(slots) - start) // (4 * self.workers)))
            part = slots[start : start + chunk].tolist()
            start += chunk
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
        for records, _ in crew.run(self.tasks(spread(len(self.rows), LOOK), dry=True)):
            shapes += [
                (h, w, self.program.channels) for h, w in zip(records["h"].tolist(), records["w"].tolist(), strict=True)
            ]
        self.shape = shapes[0] if len(set(shapes)) == 1 else None
        each = sum(map(self.size_of, shapes)) / max(1, len(shapes))
        need = int((each + RECORD.itemsize) * len(self.rows)) + COLUMNS_BYTES
        caches.make_room(self.cache, need, limit=self.limit_bytes, keep=self.address, n=len(self.rows))

    def finish(self, folder: Path, journal: _Journal, seconds: float) -> Pack:
        """Writes what belongs beside the pixels, makes all of it durable, and renames the folder."""
        n, c, records, has = len(self.rows), self.program.channels, journal.records, journal.has
        if journal.done != n:
            raise InternalError("EY-I001", detail=f"{journal.done} of {n} images were packed", path=self.partial)
        records[~has] = np.zeros((), RECORD)
        uniform = False
        if self.keep:
            uniform = self.write_pixels(records, has)
        else:
            (self.partial / "images.npy").unlink()
            _save(self.partial / "sums.npy", np.ascontiguousarray(records["sums"][:, :, :c]))
        if not uniform:
            records["offset"][has] -= HEADER_BYTES
            index = np.stack([records["offset"], records["h"], records["w"]], axis=1).astype(np.int64)
            _save(self.partial / "index.npy", index)
        _save(self.partial / "shapes.npy", np.stack([records["old_h"], records["old_w"]], axis=1).astype(np.int64))
        _save(self.partial / "crc.npy", records["crc"].astype(np.uint32))
        _save(self.partial / "hashes.npy", np.ascontiguousarray(records["hash"]))
        _save(self.partial / "likeness.npy", np.ascontiguousarray(records["likeness"]))
        _save(self.partial / "formats.npy", records["format"].astype(np.uint8))
        _save(self.partial / "notes.npy", records["notes"].astype(np.uint16))
        _write(self.partial / "bad.json", {str(slot): why for slot, why in sorted(journal.bad.items())})
        names = [f"{name}.npy" for name in (COLUMNS if self.keep else SURVEY)]
        names += ["bad.json", *(["images.npy"] if self.keep else []), *([] if uniform else ["index.npy"])]
        meta = {
            "format": FORMAT,
            "address": self.address,
            "n": n,
            "channels": c,
            "uniform": uniform,
            "keep": self.keep,
            "seconds": round(seconds, 3),
            "program": self.program.to_dict(),
            "eyas": __version__,
            "files": {name: (self.partial / name).stat().st_size for name in names},
            **self.about,
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

    def write_pixels(self, records: NDArray[np.void], has: NDArray[np.bool_]) -> bool:
        """Makes the data file a `.npy`; whether all images have one shape."""
        n, c, size = len(self.rows), self.program.channels, self.size_of(self.shape)
        slots = np.flatnonzero(has)
        uniform = self.shape is not None and bool((records["offset"][slots] == HEADER_BYTES + slots * size).all())
        ends = records["offset"] + records["h"].astype(np.int64) * records["w"] * c
        end = HEADER_BYTES + size * n if uniform else max(HEADER_BYTES + 1, int(ends.max(initial=0)))
        shape = (n, *self.shape) if uniform and self.shape else (end - HEADER_BYTES,)
        with (self.partial / "images.npy").open("r+b") as file:
            file.truncate(end)
            file.write(_npy_header(shape))
            _durable(file)
        return uniform


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


def _readable_again(pack: Pack, source: ByteSource) -> bool:
    """True when a file that could not be read, when the pack was built, can be read now: the pack is out of date."""
    for row, (code, _) in pack.bad.items():
        if code == "E08":
            with contextlib.suppress(OSError), Path(places.file_of(source.place(row))).open("rb") as file:
                file.read(1)
                return True
    return False


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
    keep: bool = True,
) -> Pack:
    """The pack of these rows of `samples`: found in `cache`, or built by `workers` processes, or finished.

    `progress(done, total)` is called as it goes. `limit_bytes` is what all packs of the cache may take together: the
    least recently used ones that nobody uses make room. `timeout_s` is how long one image may take before it is given
    up (E05). `keep` False decodes everything once to know it, and keeps no pixels: they are decoded again whenever they
    are asked for. An ArraySource stays in memory.
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
    address = address_of(samples, rows, program, stats, keep=keep)
    folder = caches.packs_in(cache) / address

    def found() -> Pack | None:
        pack = find(folder, rows)
        if pack is None or _readable_again(pack, source):
            return None
        return pack if keep else streamed(pack, source, stats, program)

    if (pack := found()) is not None:
        return pack
    # A few images are decoded sooner than another process starts. About 0.1 ms a file and 20 ns a byte of it.
    work_s = 1e-4 * len(rows) + 2e-8 * float(stats[:, 0].sum())
    crew = max(1, min(workers, 1 + int(work_s / WORTH_S)))
    partial = folder.with_name(f"{address}.partial")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with caches.building(folder.with_name(f"{address}.lock")) as lock:
            assert lock is not None
            if (pack := found()) is not None:  # by whom we waited for
                return pack
            about = {"source": str(samples.root) if samples.root else "", "layout": samples.layout}
            building = _Building(
                source,
                rows,
                stats,
                program,
                address,
                partial,
                crew,
                timeout_s,
                limit_bytes,
                cache,
                about,
                keep,
                progress,
            )
            try:
                pack = building.run(folder, lock.fileno())
            except StorageError:
                shutil.rmtree(partial, ignore_errors=True)  # a full disk gets its space back
                raise
            return pack if keep else replace(streamed(pack, source, stats, program), built=True)
    except OSError as error:
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENOENT):
            raise StorageError("EY-S102", path=folder.parent, detail=os.strerror(error.errno)) from error
        shutil.rmtree(partial, ignore_errors=True)
        raise StorageError("EY-S104", path=folder.parent, detail=str(error)) from error
