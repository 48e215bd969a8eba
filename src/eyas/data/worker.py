"""`python -m eyas.data.worker`: decodes images for a pack in a process of its own, torch-free, started by `data.pack`.

A decoder that crashes or hangs takes this process with it and nothing else. The builder writes one JSON line for each
task to stdin; frames come back on what was stdout: one byte of kind, uint32 length, payload.

    H   ready
    R   records: what was written into the data file (see `pack_report`)
    G   JSON number: so many more bytes are needed; answered by {"grant": [offset, bytes]} on stdin
    D   the task is done
    X   JSON [errno, text]: the data file cannot be written
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import struct
import sys
import time
import zlib
from collections import deque
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from eyas.artifact.decode import DecodeError, inspect
from eyas.artifact.header import Header, trailing
from eyas.artifact.preprocess import Program, program_from_dict
from eyas.data import likeness
from eyas.data.places import Changed, Place, read

RECORD = np.dtype(
    [
        ("slot", "<i8"),
        ("offset", "<i8"),
        ("h", "<i4"),
        ("w", "<i4"),
        ("old_h", "<i4"),
        ("old_w", "<i4"),
        ("crc", "<u4"),
        ("hash", "u1", 16),
        ("likeness", "u1", likeness.BYTES),
        ("format", "u1"),
        ("notes", "<u2"),
        ("sums", "<u8", (2, 3)),
    ]
)
"""One packed image: its slot, where its pixels lie in the data file, its size now and in the file, crc32 and hash; what
it looks like (`data.likeness`), its format (index into `FORMATS`) and what was noticed (bit k - 1 for W<k>); of a dry
task also the sums of the values of each channel, and of their squares."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "AVIF")

FRAME = struct.Struct("<cI")
COUNT = struct.Struct("<I")
REPORT_S = 0.25  # what a crash may cost of work that was done
WRITE_BYTES = 2**20  # pixels that wait to be written: while they are still in the processor's cache
MOST_PARTS = 1024  # of one `writev`: what every system takes
FAULT = "EYAS_FAULT_DECODE"
"""For tests: `crash:TEXT` or `hang:TEXT` does that at every file whose name holds TEXT; several apart by `;`."""

Bad = dict[int, tuple[str, str]]


def pack_report(records: NDArray[np.void], bad: Bad) -> bytes:
    """The payload of an R frame, and of a block of the journal."""
    text = json.dumps([[slot, code, detail] for slot, (code, detail) in bad.items()]).encode()
    return COUNT.pack(len(text)) + text + records.tobytes()


def unpack_report(payload: bytes) -> tuple[NDArray[np.void], Bad]:
    """`RECORD` (k,) and slot -> (code, detail) of the images that cannot be used."""
    (length,) = COUNT.unpack_from(payload)
    listed: list[Any] = json.loads(payload[COUNT.size : COUNT.size + length])
    return np.frombuffer(payload, RECORD, offset=COUNT.size + length), {s: (code, text) for s, code, text in listed}


@dataclass(frozen=True)
class Decoded:
    """What one image file gave."""

    pixels: NDArray[np.uint8]
    header: Header
    content: bytes
    """BLAKE2b-128 of its bytes."""
    looks: bytes
    """What the whole picture looks like (`data.likeness`), whatever the program keeps of it."""
    notes: int
    """What was noticed: bit k - 1 is set for W<k> of `eyas check`."""


def decoded(program: Program, place: Place, stat: tuple[int, int, int]) -> Decoded | tuple[str, str]:
    """The image at a place, or (code, detail) when it cannot be used."""
    try:
        data = read(place, stat)
    except OSError as error:
        return "E08", os.strerror(error.errno or 0)
    try:
        header = inspect(data, program.limits)
        picture = program.picture(data, header=header)
        pixels = np.ascontiguousarray(program.framed(picture))
    except DecodeError as error:
        return error.code, error.detail[:200]
    except MemoryError:
        return "E06", "not enough memory to decode it"
    notes = sum(1 << int(code[1:]) - 1 for code in header.notes)
    if trailing(data, header.format):
        notes |= 1 << 9 - 1
    if _is_constant(pixels):
        notes |= 1 << 10 - 1
    # Of the whole picture, so that what is cropped for val can be compared with what is kept whole for training.
    looks = likeness.describe(picture)
    return Decoded(pixels, header, blake2b(data, digest_size=16).digest(), looks, notes)


def _is_constant(pixels: NDArray[np.uint8]) -> bool:
    """Whether nothing is to be seen: all pixels are the same, but for what a JPEG makes of one colour."""
    h, w, _ = pixels.shape
    if abs(int(pixels[0, 0, 0]) - int(pixels[h // 2, w // 2, 0])) > 2:
        return False  # of nearly every picture, after half a microsecond
    return all(int(np.ptp(part.reshape(-1, pixels.shape[2]), axis=0).max()) <= 2 for part in (pixels[::8, ::8], pixels))


def _sums(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """uint64 (2, 3): exact sums and sums of squares of each channel (of the first only, where there is one)."""
    h, w, c = pixels.shape
    out = np.zeros((2, 3), np.uint64)
    for start in range(0, h, 2**16):  # so many squares fit into 32 bits
        flat = pixels[start : start + 2**16].reshape(-1, w * c)
        for total, values in zip(out, (flat, np.square(flat, dtype=np.uint16)), strict=True):
            total[:c] += values.sum(axis=0, dtype=np.uint32).reshape(w, c).sum(axis=0, dtype=np.uint64)
    return out


class _Worker:
    """One task after the other; the data file is written at granted offsets only."""

    def __init__(self, out: int, hello: dict[str, Any]) -> None:
        self.out = out
        self.program = program_from_dict(hello["program"])
        self.data = os.open(hello["data"], os.O_RDWR | getattr(os, "O_BINARY", 0))
        self.tasks: deque[dict[str, Any]] = deque()
        self.slab = [0, 0]  # next free byte, end
        self.faults = [f.partition(":")[::2] for f in os.environ.get(FAULT, "").split(";") if f]

    def send(self, kind: bytes, payload: bytes = b"") -> None:
        frame = memoryview(FRAME.pack(kind, len(payload)) + payload)
        while frame:
            frame = frame[os.write(self.out, frame) :]

    def line(self) -> dict[str, Any]:
        text = sys.stdin.buffer.readline()
        if not text:
            sys.exit(0)  # the builder is gone, or done
        return json.loads(text)

    def granted(self, size: int) -> int:
        """Where `size` bytes may be written."""
        if self.slab[1] - self.slab[0] < size:
            self.send(b"G", json.dumps(size).encode())
            while "grant" not in (answer := self.line()):
                self.tasks.append(answer)
            offset, length = answer["grant"]
            self.slab = [offset, offset + length]
        self.slab[0] += size
        return self.slab[0] - size

    def run(self, task: dict[str, Any]) -> None:
        """Images of one task: `places`, `stats` and `slots`; `shape` and `start` when all are thought to be alike.

        A `dry` task only says what the images are like.
        """
        shape = tuple(task["shape"] or ())
        self.done: list[tuple[Any, ...]] = []
        self.bad: Bad = {}
        self.waiting: list[tuple[int, NDArray[np.uint8]]] = []
        held = 0
        reported = time.monotonic()
        for slot, place, stat in zip(task["slots"], task["places"], task["stats"], strict=True):
            for kind, text in self.faults:
                if text in str(place):
                    _play(kind)
            found = decoded(self.program, place, tuple(stat))
            if isinstance(found, tuple):
                self.bad[slot] = found
            else:
                pixels, header = found.pixels, found.header
                # Alike: at the place of its slot. Otherwise wherever there is room.
                offset = -1
                if not task["dry"]:
                    alike = pixels.shape == shape
                    offset = task["start"] + slot * pixels.size if alike else self.granted(pixels.size)
                    self.waiting.append((offset, pixels))
                    held += pixels.size
                crc = zlib.crc32(pixels.data)
                h, w = pixels.shape[:2]
                kind = FORMATS.index(header.format)
                texts = (
                    np.frombuffer(found.content, np.uint8),
                    np.frombuffer(found.looks, np.uint8),
                    kind,
                    found.notes,
                )
                sums = _sums(pixels) if task["dry"] else 0
                self.done.append((slot, offset, h, w, header.height, header.width, crc, *texts, sums))
            if held > WRITE_BYTES:
                self.write()
                held = 0
            if time.monotonic() - reported > REPORT_S:
                self.report()
                reported = time.monotonic()
        self.report()
        self.send(b"D")

    def write(self) -> None:
        """Puts the waiting pixels into the data file, neighbours in one go."""
        if not self.waiting:
            return
        starts = np.array([offset for offset, _ in self.waiting])
        ends = starts + [pixels.size for _, pixels in self.waiting]
        cuts = [0, *(np.flatnonzero(starts[1:] != ends[:-1]) + 1).tolist(), len(starts)]
        for first, last in itertools.pairwise(cuts):
            parts = [pixels.reshape(-1).data for _, pixels in self.waiting[first:last]]
            os.lseek(self.data, int(starts[first]), os.SEEK_SET)
            written = os.writev(self.data, parts[:MOST_PARTS]) if hasattr(os, "writev") else 0
            for part in parts:  # what was not taken in one go
                part, written = part[written:], max(0, written - len(part))
                while part:
                    part = part[os.write(self.data, part) :]
        self.waiting = []

    def report(self) -> None:
        """Says what is done, after it was written: what is reported is in the file."""
        self.write()
        if self.done or self.bad:
            self.send(b"R", pack_report(np.array(self.done, RECORD), self.bad))
        self.done, self.bad = [], {}


def _play(kind: str) -> None:
    if kind == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while kind == "hang":
        time.sleep(1)


def _die_with(parent: int) -> None:
    """Asks Linux for a SIGKILL when the builder dies, so that a worker in a decoder's endless loop goes too."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            os._exit(0)


def main() -> NoReturn:
    """Answers tasks from stdin until it ends."""
    # A library that prints to stdout must not break the frames.
    out = os.dup(1)
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the builder's to handle
    hello = json.loads(sys.stdin.buffer.readline())
    _die_with(hello["parent"])
    worker = _Worker(out, hello)
    worker.send(b"H")
    try:
        while True:
            worker.run(worker.tasks.popleft() if worker.tasks else worker.line())
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        worker.send(b"X", json.dumps([error.errno, str(error)]).encode())
        sys.exit(1)
    except Changed as error:
        worker.send(b"X", json.dumps([-1, str(error)]).encode())
        sys.exit(1)


if __name__ == "__main__":
    main()
