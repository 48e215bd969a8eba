"""Header: what an image file says about itself, read in plain Python without decoding anything.

No decoder sees a byte before this file has found the format on the allow-list and the size within the limits: a few
hundred bytes of a file can ask for gigabytes of memory or minutes of work, and opening a file with an image library
already allocates. What the decoder finds later must agree with what was read here (`artifact.decode`).
"""

from __future__ import annotations

import io
import re
import struct
import threading
import warnings
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal

from PIL import Image

#: What a file can be refused for; `eyas check` counts the same codes.
CODES = {
    "E01": "zero bytes",
    "E02": "not an image",
    "E03": "truncated: pixels are missing",
    "E04": "the decoder cannot read it",
    "E06": "over the budget of bytes, pixels or scans",
    "E07": "an image of a format that is not allowed",
}


class DecodeError(Exception):
    """These bytes give no pixels. `code` is one of `CODES`, `detail` one English sentence without any path.

    It is about bytes alone and carries no message for people: who knows the file's name makes one.
    """

    def __init__(self, code: str, detail: str) -> None:
        assert code in CODES, code
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code} {self.detail}"


@dataclass(frozen=True)
class Limits:
    """What one file may cost; checked before decoding."""

    max_bytes: int = 256 * 2**20
    max_pixels: int = 89_000_000
    """Just below the size at which Pillow itself begins to warn; it refuses twice that whatever is said here."""
    max_side: int = 65_500
    max_scan_megapixels: float = 500.0
    """Megapixels times scans of a progressive JPEG: about 0.9 ms each, so half a second."""
    formats: tuple[str, ...] = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
    """The allow-list; those of `OPTIONAL` may be added."""


DEFAULT_LIMITS = Limits()

OPTIONAL = ("TIFF", "AVIF")
"""Formats that are read when somebody asks for them: their libraries are larger, and older in their ways."""


def limits_with(allow: tuple[str, ...]) -> Limits:
    """The default limits with some of `OPTIONAL` on the allow-list.

    >>> limits_with(("TIFF",)).formats[-1]
    'TIFF'
    """
    return replace(DEFAULT_LIMITS, formats=DEFAULT_LIMITS.formats + allow) if allow else DEFAULT_LIMITS


Profile = Literal["none", "srgb", "other", "broken"]


@dataclass(frozen=True)
class Header:
    """What a file says it holds; `width` and `height` in pixels as they are seen, after the EXIF orientation."""

    format: str
    width: int
    height: int
    mode: str
    """As stored: 1, L, LA, P, RGB, RGBA, CMYK or I;16."""
    bits: int = 8
    """Per channel: 1, 2, 4, 8 or 16."""
    orientation: int = 1
    """EXIF, 1..8; 1 = as stored."""
    scans: int = 1
    """Of a JPEG; all are decoded before the first pixel is known."""
    animated: bool = False
    """There is more than one frame; the first is what counts."""
    has_alpha: bool = False
    profile: Profile = "none"
    """Of the embedded ICC profile; a broken one is ignored."""

    @property
    def has_icc(self) -> bool:
        """An ICC profile is embedded, of whatever kind."""
        return self.profile != "none"

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height before the orientation is applied."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the decoder does to it beyond decoding, as codes of `eyas check`.

        W02 EXIF orientation applied, W03 16-bit scaled, W04 floating point scaled, W05 CMYK or ICC converted, W06 alpha
        composited on white, W07 first frame of an animation.

        >>> Header("PNG", 4, 3, "RGBA", has_alpha=True).notes
        ('W06',)
        """
        said = {
            "W02": self.orientation != 1,
            "W03": self.bits == 16,
            "W04": self.mode == "F",
            "W05": self.mode == "CMYK" or self.profile in ("other", "broken"),
            "W06": self.has_alpha,
            "W07": self.animated,
        }
        return tuple(code for code, holds in said.items() if holds)


# ---- silence --------------------------------------------------------------------------------------------------------

_quiet_lock = threading.Lock()
_quiet_depth = 0


@contextmanager
def quiet() -> Generator[None]:
    """Nothing that Pillow warns of is shown inside; warnings of everybody else are left alone.

    `warnings.catch_warnings` swaps the whole list of filters, and two threads that overlap can leave the wrong one for
    good. One entry that is added by the first and removed by the last to leave cannot.
    """
    global _quiet_depth
    with _quiet_lock:
        if _quiet_depth == 0:
            warnings.filterwarnings("ignore", module=_PILLOW)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0:
                ours = [f for f in warnings.filters if getattr(f[3], "pattern", None) == _PILLOW]
                for entry in ours:
                    warnings.filters.remove(entry)  # type: ignore[attr-defined]  # a list, typed as a sequence


_PILLOW = r"PIL\.(?#while eyas decodes)"


# ---- parts that several formats share -------------------------------------------------------------------------------

_MAX_CHUNKS = 100_000  # of a PNG or WebP, segments of a JPEG: a flood of empty ones would keep plain Python busy


def _checked(width: int, height: int, limits: Limits) -> tuple[int, int]:
    if width < 1 or height < 1:
        raise DecodeError("E04", f"a picture of {width} x {height} pixels")
    if width > limits.max_side or height > limits.max_side:
        raise DecodeError("E06", f"{width} x {height} pixels; a side may have {limits.max_side}")
    if width * height > limits.max_pixels:
        raise DecodeError("E06", f"{width} x {height} = {width * height} pixels; allowed are {limits.max_pixels}")
    return width, height


def _orientation(tiff: bytes) -> int:
    """The orientation 1..8 that an EXIF block (without the `Exif\\0\\0` in front) asks for; 1 when it is unreadable."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, entry)
            if tag == 0x0112:
                (value,) = struct.unpack_from(order + ("I" if kind == 4 else "H"), tiff, entry + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _profile(icc: bytes) -> Profile:
    """What kind of profile this (perhaps only the beginning of one) is, by its signature and name."""
    if icc[36:40] != b"acsp":
        return "broken"
    return "srgb" if b"sRGB" in icc or "sRGB".encode("utf-16-be") in icc else "other"


# ---- one reader per format ------------------------------------------------------------------------------------------

# A marker is 0xFF and neither a stuffed zero, nor a restart, nor fill: the same search serves headers and scans.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of the payload of every JPEG segment, scans passed over; ends after end-of-image."""
    position = 2
    for _ in range(_MAX_CHUNKS):
        found = _MARKER.search(data, position)
        if found is None:
            raise DecodeError("E03", "the file ends before its end-of-image marker")
        marker, position = data[found.end() - 1], found.end()
        if marker == 0xD9:
            yield marker, position, position
            return
        if marker in (0x01, 0xD8):  # these stand alone
            continue
        start, end = position + 2, position + int.from_bytes(data[position : position + 2])
        if end > len(data) or start > len(data):
            raise DecodeError("E03", "the file ends inside a segment")
        if end < start:
            raise DecodeError("E04", "a segment of impossible length")
        yield marker, start, end
        position = end
    raise DecodeError("E06", f"more than {_MAX_CHUNKS} segments")


def _jpeg(data: bytes, limits: Limits) -> Header:
    width, height, bits, components, scans = 0, 0, 0, 0, 0
    progressive, most, orientation = False, 1.0, 0
    profile: Profile = "none"
    for marker, start, end in _segments(data):
        if marker in _FRAMES and not scans:
            if end - start < 6:
                raise DecodeError("E04", "a frame header that is too short")
            bits, height, width, components = struct.unpack_from(">BHHB", data, start)
            _checked(width, height, limits)
            progressive = marker in _PROGRESSIVE
            # Very small pictures cost per scan, not per pixel.
            most = limits.max_scan_megapixels / max(width * height / 1e6, 0.05)
        elif marker == 0xE1 and not orientation and data[start : start + 6] == b"Exif\0\0":
            orientation = _orientation(data[start + 6 : end])
        elif marker == 0xE2 and profile == "none" and data[start : start + 12] == b"ICC_PROFILE\0":
            profile = _profile(data[start + 14 : end])
        elif marker == 0xDA:
            if not components:
                raise DecodeError("E04", "a scan before any frame header")
            scans += 1
            if scans > most:
                raise DecodeError("E06", f"{scans} or more scans of {width} x {height} pixels; allowed are {int(most)}")
            if not progressive and data[start] == components:
                break  # one scan holds everything: the decoder reads no other
        # what follows a scan may be tables, further scans, the end
    if not scans:
        raise DecodeError("E04", "there is no picture in it")
    if orientation >= 5:
        width, height = height, width
    mode = {1: "L", 4: "CMYK"}.get(components, "RGB")
    return Header("JPEG", width, height, mode, bits, orientation or 1, scans, profile=profile)


def _png(data: bytes, limits: Limits) -> Header:
    header: Header | None = None
    orientation, is_srgb = 1, False
    position = 8
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        start, end = position + 8, position + 8 + length
        if end > len(data) and header is None:
            break
        if header is None:
            if kind != b"IHDR" or length < 13:
                raise DecodeError("E04", "a PNG that does not begin with its header")
            width, height, bits, colour = struct.unpack_from(">IIBB", data, start)
            width, height = _checked(width, height, limits)
            mode = {0: {1: "1", 16: "I;16"}.get(bits, "L"), 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}.get(colour, "?")
            header = Header("PNG", width, height, mode, bits, has_alpha=colour in (4, 6))
        elif kind == b"tRNS":
            header = replace(header, has_alpha=True)
        elif kind == b"acTL":
            header = replace(header, animated=data[start : start + 4] > b"\0\0\0\1")
        elif kind == b"sRGB":
            is_srgb = True
        elif kind == b"iCCP" and end <= len(data):
            header = replace(header, profile=_png_profile(data[start:end]))
        elif kind == b"eXIf" and end <= len(data):
            orientation = _orientation(data[start:end])
        elif kind == b"IEND":
            break
        position = end + 4
    else:
        raise DecodeError("E06", f"more than {_MAX_CHUNKS} chunks")
    if header is None:
        raise DecodeError("E03", "the file ends inside its header")
    if is_srgb and header.profile == "other":
        header = replace(header, profile="srgb")
    return _seen(header, orientation)


def _png_profile(chunk: bytes) -> Profile:
    name, _, rest = chunk.partition(b"\0")
    try:
        return "srgb" if b"sRGB" in name else _profile(zlib.decompressobj().decompress(rest[1:], 65_536))
    except zlib.error:
        return "broken"


def _webp(data: bytes, limits: Limits) -> Header:
    kind = data[12:16]
    if kind == b"VP8X":
        flags = data[20]
        width, height = 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
        alpha, animated = bool(flags & 0x10), bool(flags & 0x02)
    elif kind == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
        alpha, animated = bool(packed >> 28 & 1), False
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
        alpha, animated = False, False
    if len(data) < 30:
        raise DecodeError("E03", "the file ends inside its header")
    width, height = _checked(width, height, limits)
    header = Header("WEBP", width, height, "RGBA" if alpha else "RGB", has_alpha=alpha, animated=animated)
    orientation = 1
    for chunk, start, end in _riff_chunks(data) if kind == b"VP8X" else ():
        if chunk == b"EXIF":
            orientation = _orientation(data[start:end].removeprefix(b"Exif\0\0"))
        elif chunk == b"ICCP":
            header = replace(header, profile=_profile(data[start:end]))
    return _seen(header, orientation)


def _riff_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    position = 12
    for _ in range(_MAX_CHUNKS):
        if position + 8 > len(data):
            return
        kind, size = struct.unpack_from("<4sI", data, position)
        yield kind, position + 8, position + 8 + size
        position += 8 + size + (size & 1)
    raise DecodeError("E06", f"more than {_MAX_CHUNKS} chunks")


def _bmp(data: bytes, limits: Limits) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    alpha = False
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
    elif size in (40, 52, 56, 64, 108, 124):
        width, height, _, bits, compression = struct.unpack_from("<IiHHI", data, 18)
        height = abs(height)  # negative: rows from top to bottom
        if compression == 3 and bits == 32 and size >= 56:
            alpha = struct.unpack_from("<I", data, 66)[0] != 0
    else:
        raise DecodeError("E02", "it begins with BM, like a BMP, and goes on unlike one")
    width, height = _checked(width, height, limits)
    mode = {1: "P", 4: "P", 8: "P"}.get(bits, "RGBA" if alpha else "RGB")
    return Header("BMP", width, height, mode, min(bits, 8), has_alpha=alpha)


def _gif(data: bytes, limits: Limits) -> Header:
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    position = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    header: Header | None = None
    alpha = False
    try:
        for _ in range(_MAX_CHUNKS):
            kind = data[position]
            if kind == 0x3B:
                break
            if kind == 0x21:  # an extension; 0xF9 says which colour is transparent
                alpha |= header is None and data[position + 1] == 0xF9 and bool(data[position + 3] & 1)
                position = _after_blocks(data, position + 2)
            elif kind == 0x2C:
                if header is not None:
                    return replace(header, animated=True)
                left, top, wide, high, flags = struct.unpack_from("<HHHHB", data, position + 1)
                width, height = _checked(max(width, left + wide), max(height, top + high), limits)
                header = Header("GIF", width, height, "P", has_alpha=alpha)
                position = _after_blocks(data, position + 11 + (3 << (flags & 7) + 1 if flags & 128 else 0))
            else:
                position += 1
        else:
            raise DecodeError("E06", f"more than {_MAX_CHUNKS} blocks")
    except (IndexError, struct.error):
        if header is None:
            raise
    if header is None:
        raise DecodeError("E04", "there is no picture in it")
    return header


def _after_blocks(data: bytes, position: int) -> int:
    """Where the chain of GIF sub-blocks that begins at `position` has ended; IndexError when the data end first."""
    for _ in range(2_000_000):  # 510 MB in full blocks
        size = data[position]
        position += size + 1
        if size == 0:
            return position
    raise DecodeError("E06", "more than 2000000 blocks")


def _by_pillow(data: bytes, limits: Limits, name: str) -> Header:
    """TIFF and AVIF, which are opt-in: their containers are for a library to read."""
    try:
        with quiet(), Image.open(io.BytesIO(data), formats=(name,)) as image:
            width, height = _checked(*image.size, limits)
            # TIFF is turned by Pillow on loading, and its size is already the turned one.
            orientation = 1 if name == "TIFF" else image.getexif().get(0x0112, 1)
            header = Header(
                name,
                width,
                height,
                image.mode,
                16 if image.mode.startswith("I") else 8,
                animated=getattr(image, "n_frames", 1) > 1,
                has_alpha=image.has_transparency_data,
                profile=_profile(image.info["icc_profile"]) if image.info.get("icc_profile") else "none",
            )
    except (DecodeError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise DecodeError("E06", str(error)) from error
    except Exception as error:
        truncated = "truncated" in str(error).lower() or not is_whole(data, name)
        raise DecodeError("E03" if truncated else "E04", said(error)) from error
    return _seen(header, orientation if orientation in range(1, 9) else 1)


def said(error: Exception) -> str:
    """One line of what a library says, without the address of any object."""
    return re.sub(r"<.*? at 0x[0-9a-f]+>", "the data", f"{type(error).__name__}: {error}".replace("\n", " "))[:200]


def _seen(header: Header, orientation: int) -> Header:
    """The header of the picture as it is looked at."""
    if orientation >= 5:
        header = replace(header, width=header.height, height=header.width)
    return replace(header, orientation=orientation)


# ---- which format ---------------------------------------------------------------------------------------------------

_ALLOWED = (
    (re.compile(rb"\xff\xd8\xff"), "JPEG"),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "PNG"),
    (re.compile(rb"RIFF....WEBPVP8[ LX]", re.DOTALL), "WEBP"),
    (re.compile(rb"BM"), "BMP"),
    (re.compile(rb"GIF8[79]a"), "GIF"),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), "TIFF"),
    (re.compile(rb"....ftypavi[fs]", re.DOTALL), "AVIF"),
)
_KNOWN = (
    (re.compile(rb"....ftyp(hei[cxms]|hev[cx]|mif1|msf1)", re.DOTALL), "HEIC"),
    (re.compile(rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51"), "JPEG 2000"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL "), "JPEG XL"),
    (re.compile(rb"8BPS"), "PSD"),
    (re.compile(rb"\0\0[\1\2]\0[^\0]"), "ICO"),
    (re.compile(rb"P[1-7fF]\s"), "PPM"),
    (re.compile(rb"(\xef\xbb\xbf)?\s*(<\?xml[^>]*>\s*|<!--.*?-->\s*|<!DOCTYPE svg[^>]*>\s*)*<svg", re.DOTALL), "SVG"),
    (re.compile(rb"%!PS|\xc5\xd0\xd3\xc6"), "EPS"),
    (re.compile(rb"%PDF"), "PDF"),
    (re.compile(rb"qoif"), "QOI"),
    (re.compile(rb"DDS "), "DDS"),
    (re.compile(rb"\x76\x2f\x31\x01"), "OpenEXR"),
    (re.compile(rb"#\?(RADIANCE|RGBE)"), "Radiance HDR"),
    (re.compile(rb"icns"), "ICNS"),
    (re.compile(rb"SIMPLE  ="), "FITS"),
)


def sniff(data: bytes) -> str | None:
    """The format that the first bytes tell, or None. Names of formats that eyas reads are those of `Limits.formats`.

    >>> sniff(b"GIF89a..."), sniff(b"<html>")
    ('GIF', None)
    """
    head = data[:512]
    return next((name for magic, name in _ALLOWED + _KNOWN if magic.match(head)), None)


_READERS = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "BMP": _bmp, "GIF": _gif}


def inspect(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Header:
    """What the file says about its picture, in microseconds, nothing decoded; DecodeError when it must be refused.

    The beginning of a file is enough as long as it holds the header: E03 then means "read more".
    """
    if not data:
        raise DecodeError("E01", "the file is empty")
    if len(data) > limits.max_bytes:
        raise DecodeError("E06", f"{len(data)} bytes; allowed are {limits.max_bytes}")
    name = sniff(data)
    if name is None:
        raise DecodeError("E02", f"it begins with {data[:16]!r}")
    if name not in limits.formats:
        hint = f"; `eyas train` and `check` read it with --allow {name.lower()}" if name in OPTIONAL else ""
        raise DecodeError("E07", f"a {name} file; allowed are {', '.join(limits.formats)}{hint}")
    try:
        reader = _READERS.get(name)
        return reader(data, limits) if reader else _by_pillow(data, limits, name)
    except (IndexError, struct.error) as error:
        raise DecodeError("E03", "the file ends inside its header") from error


def is_whole(data: bytes, name: str) -> bool:
    """True when the structure of a file of format `name` reaches its natural end; asked only after decoding failed."""
    try:
        if name == "JPEG":
            return any(marker == 0xD9 for marker, _, _ in _segments(data))
        if name == "PNG":
            return b"IEND" in data
        if name == "WEBP":
            return int.from_bytes(data[4:8], "little") + 8 <= len(data)
        if name == "BMP":
            return _bmp_end(data) <= len(data)
        if name == "GIF":
            return _gif_is_whole(data)
        if name == "TIFF":
            return _tiff_end(data) <= len(data)
        if name == "AVIF":
            return _boxes_end(data) <= len(data)
    except (DecodeError, IndexError, struct.error):
        return False
    return True


def _bmp_end(data: bytes) -> int:
    """How long a BMP has to be: where its pixels start, and how many bytes they take (compressed: as it says)."""
    start, size = struct.unpack_from("<II", data, 10)
    if size == 12:
        width, height, _, bits = struct.unpack_from("<HHHH", data, 18)
        return start + (width * bits + 31) // 32 * 4 * height
    width, height, _, bits, compression, stated = struct.unpack_from("<IiHHII", data, 18)
    return start + (stated if compression in (1, 2) else (width * bits + 31) // 32 * 4 * abs(height))


def _gif_is_whole(data: bytes) -> bool:
    (flags,) = struct.unpack_from("<B", data, 10)
    position = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    while data[position] != 0x2C:
        position = _after_blocks(data, position + 2) if data[position] == 0x21 else position + 1
    flags = data[position + 9]
    _after_blocks(data, position + 11 + (3 << (flags & 7) + 1 if flags & 128 else 0))
    return True


def _tiff_end(data: bytes) -> int:
    """Where the last of the directory, strips and tiles of the first picture of a TIFF ends."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, at)
    found: dict[int, list[int]] = {}
    for entry in range(at + 2, at + 2 + 12 * entries, 12):
        tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
        if tag in (273, 279, 324, 325) and kind in (3, 4) and count < _MAX_CHUNKS:  # strips and tiles: where, how long
            letter, size = ("H", 2) if kind == 3 else ("I", 4)
            where = entry + 8 if count * size <= 4 else struct.unpack_from(order + "I", data, entry + 8)[0]
            found[tag] = list(struct.unpack_from(f"{order}{count}{letter}", data, where))
    offsets, sizes = found.get(273) or found.get(324) or [], found.get(279) or found.get(325) or []
    return max([at + 2 + 12 * entries, *(a + b for a, b in zip(offsets, sizes, strict=False))])


def _boxes_end(data: bytes) -> int:
    """Where the last box of an ISO media file (AVIF) says that it ends."""
    position = 0
    while position < len(data):
        (size,) = struct.unpack_from(">I", data, position)
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, position + 8)
        if size == 0:
            return len(data)
        if size < 8:
            raise DecodeError("E04", "a box of impossible length")
        position += size
    return position


# ---- what comes after it --------------------------------------------------------------------------------------------

_IEND = b"IEND\xaeB`\x82"


def trailing(data: bytes, name: str) -> int:
    """How many bytes follow the end of the picture in a file of format `name` that could be decoded; usually none.

    The usual case costs a look at the last bytes. A phone's film behind its photo counts, a second picture that the
    JPEG announces (MPO) does not.
    """
    if (name == "JPEG" and data.endswith(b"\xff\xd9")) or (name == "GIF" and data.endswith(b";")):
        return 0
    try:
        end = _end(data, name)
    except (DecodeError, IndexError, struct.error):
        return 0  # no end was found: nothing can be behind it
    return max(0, len(data) - end)


def _end(data: bytes, name: str) -> int:
    if name == "JPEG":
        end = next(start for marker, start, _ in _segments(data) if marker == 0xD9)
        more = data.rfind(b"\xff\xd9") + 2 if b"MPF\0" in data[:end] else 0
        return max(end, more)
    if name == "PNG":
        at = data.find(_IEND)
        return len(data) if at < 0 else at + len(_IEND)
    if name == "WEBP":
        return int.from_bytes(data[4:8], "little") + 8
    if name == "BMP":
        return max(_bmp_end(data), int.from_bytes(data[2:6], "little"))
    if name == "GIF":
        return _gif_end(data)
    return _boxes_end(data) if name == "AVIF" else len(data)


def _gif_end(data: bytes) -> int:
    (flags,) = struct.unpack_from("<B", data, 10)
    position = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    while data[position] != 0x3B:
        if data[position] == 0x21:
            position = _after_blocks(data, position + 2)
        elif data[position] == 0x2C:
            flags = data[position + 9]
            position = _after_blocks(data, position + 11 + (3 << (flags & 7) + 1 if flags & 128 else 0))
        else:
            position += 1
    return position + 1
