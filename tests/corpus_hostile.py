"""Broken and hostile files: 32 kinds, as many of each as are asked for, and the code that `eyas check` must give them.

    write(folder, "jpeg_cut", 5, seed=1)

The same seed writes the same bytes. Real crashes and hangs of a decoder cannot be shipped: they are played by the fault
seam of the worker, for every file below a folder called `decoder_crash` or `decoder_hang` (`FAULTS`).
"""

import gzip
import io
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Generator = np.random.Generator

FAULTS = "crash:decoder_crash;hang:decoder_hang"
"""For EYAS_FAULT_DECODE."""


# ---- sound pictures to begin with ------------------------------------------------------------------------------------


def picture(rng: Generator, mode: str = "RGB", least: int = 40) -> Image.Image:
    """A smooth picture with some noise, of random size."""
    width, height = (int(side) for side in rng.integers(least, 2 * least, 2))
    coarse = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noisy = smooth + rng.integers(-12, 13, smooth.shape)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).convert(mode)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    """The bytes of an image file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def chunk(kind: bytes, body: bytes) -> bytes:
    """One chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def after_header(png: bytes, chunks: bytes) -> bytes:
    """A PNG with more chunks behind its header."""
    return png[:33] + chunks + png[33:]


def cut(data: bytes, rng: Generator, low: float = 0.2, high: float = 0.9) -> bytes:
    """A part of a file, from its beginning."""
    return data[: int(len(data) * rng.uniform(low, high))]


def flipped(data: bytes, rng: Generator, start: int, end: int) -> bytes:
    """The same with one bit wrong in a stretch of it."""
    out = bytearray(data)
    out[int(rng.integers(start, end))] ^= 1 << int(rng.integers(8))
    return bytes(out)


# ---- E01, E02: no image at all ---------------------------------------------------------------------------------------


def zero_bytes(rng: Generator) -> bytes:
    return b""


def html_page(rng: Generator) -> bytes:
    head = [b"<!DOCTYPE html>\n", b"<html>", b"\n\n<HTML lang='en'>", b"\xef\xbb\xbf<!doctype html>"]
    return head[int(rng.integers(4))] + b"<title>404 Not Found</title><img src=a.jpg>" + rng.bytes(40).hex().encode()


def json_error(rng: Generator) -> bytes:
    return json.dumps({"error": {"code": int(rng.integers(400, 599)), "message": "AccessDenied"}}).encode()


def gzipped_jpeg(rng: Generator) -> bytes:
    return gzip.compress(encoded(picture(rng), "JPEG"), mtime=0)


def allocated_and_never_filled(rng: Generator) -> bytes:
    return bytes(int(rng.integers(100, 50_000)))


def random_bytes(rng: Generator) -> bytes:
    return b"\x07" + rng.bytes(int(rng.integers(100, 5000)))


# ---- E03: pixels are missing -----------------------------------------------------------------------------------------


def jpeg_cut(rng: Generator) -> bytes:
    return cut(encoded(picture(rng), "JPEG", quality=int(rng.integers(50, 96))), rng)


def progressive_jpeg_cut(rng: Generator) -> bytes:
    return cut(encoded(picture(rng), "JPEG", progressive=True), rng)


def jpeg_filled_with_zeros(rng: Generator) -> bytes:
    whole = encoded(picture(rng, least=100), "JPEG", quality=90)
    part = cut(whole, rng, 0.4, 0.8)
    return part.ljust(len(whole), b"\0") if len(whole) - len(part) > 64 else part


def png_cut(rng: Generator) -> bytes:
    mode = ("RGB", "L", "RGBA", "P")[int(rng.integers(4))]
    return cut(encoded(picture(rng, mode), "PNG"), rng)


def webp_cut(rng: Generator) -> bytes:
    return cut(encoded(picture(rng), "WEBP", lossless=bool(rng.integers(2))), rng)


def gif_cut(rng: Generator) -> bytes:
    return cut(encoded(picture(rng), "GIF"), rng, 0.6)


def bmp_with_a_lying_size(rng: Generator) -> bytes:
    data = bytearray(encoded(picture(rng), "BMP"))
    (height,) = struct.unpack_from("<i", data, 22)
    struct.pack_into("<i", data, 22, height + int(rng.integers(1, 500)))
    return bytes(data)


# ---- E04: a decoder gives up -----------------------------------------------------------------------------------------


def png_with_flipped_bits(rng: Generator) -> bytes:
    data = encoded(picture(rng), "PNG")
    at = data.index(b"IDAT")
    (length,) = struct.unpack_from(">I", data, at - 4)
    return flipped(data, rng, at + 4, at + 4 + length)


def png_with_a_broken_header(rng: Generator) -> bytes:
    return flipped(encoded(picture(rng), "PNG"), rng, 29, 33)  # the checksum of the header


def jpeg_with_broken_tables(rng: Generator) -> bytes:
    data = bytearray(encoded(picture(rng), "JPEG"))
    at = data.index(b"\xff\xc4") + 5
    data[at : at + 16] = bytes(int(v) for v in rng.integers(100, 256, 16))  # far more codes than there can be
    return bytes(data)


def jpeg_without_a_scan(rng: Generator) -> bytes:
    data = encoded(picture(rng), "JPEG")
    return data[: data.index(b"\xff\xda")] + b"\xff\xd9"


def gif_with_impossible_codes(rng: Generator) -> bytes:
    data = bytearray(encoded(picture(rng), "GIF", interlace=0))
    flags = data[10]
    at = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    while data[at] != 0x2C:
        at += 2
        at += 2 + sum(data[at : at + 1]) if data[at - 2] == 0x21 else 0
    data[at + 10] = int(rng.integers(13, 256))  # bits of the smallest code: at most 12
    return bytes(data)


def webp_damaged(rng: Generator) -> bytes:
    data = bytearray(encoded(picture(rng), "WEBP"))
    data[23:26] = rng.bytes(3).replace(b"\x9d", b"\x00")  # the start code of the frame
    return bytes(data)


def bmp_without_pixels(rng: Generator) -> bytes:
    data = bytearray(encoded(picture(rng), "BMP"))
    struct.pack_into("<i", data, 18 + 4 * int(rng.integers(2)), 0)
    return bytes(data)


# ---- E05: played by the worker ---------------------------------------------------------------------------------------


def decoder_crash(rng: Generator) -> bytes:
    return encoded(picture(rng), "JPEG")


def decoder_hang(rng: Generator) -> bytes:
    return encoded(picture(rng), "PNG")


# ---- E06: too much ---------------------------------------------------------------------------------------------------


def png_of_huge_size(rng: Generator) -> bytes:
    side = int(rng.integers(9500, 2**31 - 1))
    head = struct.pack(">IIBBBBB", side, int(rng.integers(9500, 60_000)), 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def jpeg_of_huge_size(rng: Generator) -> bytes:
    data = bytearray(encoded(picture(rng), "JPEG"))
    at = data.index(b"\xff\xc0") + 5
    struct.pack_into(">HH", data, at, *(int(side) for side in rng.integers(9500, 65535, 2)))
    return bytes(data)


def png_with_a_text_bomb(rng: Generator) -> bytes:
    bomb = zlib.compress(bytes(int(rng.integers(2, 50)) * 2**20), 9)
    kind = int(rng.integers(2))
    body = b"Comment\0\0" + bomb if kind else b"Comment\0\1\0\0\0" + bomb
    return after_header(encoded(picture(rng), "PNG"), chunk(b"zTXt" if kind else b"iTXt", body))


def png_with_a_profile_bomb(rng: Generator) -> bytes:
    bomb = zlib.compress(bytes(int(rng.integers(2, 50)) * 2**20), 9)
    return after_header(encoded(picture(rng), "PNG"), chunk(b"iCCP", b"icc\0\0" + bomb))


def jpeg_with_a_thousand_scans(rng: Generator) -> bytes:
    """A small file whose every scan goes over all pixels: it costs seconds, and no limit on pixels knows."""
    data = encoded(Image.new("RGB", (2000, 2000), tuple(rng.bytes(3))), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")  # repeats the last scan
    return data[:-2] + data[last:-2] * int(rng.integers(200, 400)) + b"\xff\xd9"


def png_with_a_flood_of_chunks(rng: Generator) -> bytes:
    return after_header(encoded(picture(rng), "PNG"), chunk(b"teSt", b"") * int(rng.integers(100_001, 110_000)))


# ---- E07: other formats under the name of an image -------------------------------------------------------------------


def pdf(rng: Generator) -> bytes:
    return b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + rng.bytes(500)


def heic(rng: Generator) -> bytes:
    brand = (b"heic", b"heix", b"mif1", b"hevc")[int(rng.integers(4))]
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"mif1heic" + rng.bytes(500)


def svg(rng: Generator) -> bytes:
    head = b'<?xml version="1.0"?>\n' if rng.integers(2) else b""
    return head + b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="%d"/></svg>' % rng.integers(1, 99)


# ---- the list --------------------------------------------------------------------------------------------------------


def dangling_link(rng: Generator) -> bytes:
    """Made by `write`."""
    raise AssertionError


Kind = tuple[str, str, Callable[[Generator], bytes]]

KINDS: dict[str, Kind] = {
    kind.__name__: (code, suffix, kind)
    for code, suffix, kind in (
        ("E01", "jpg", zero_bytes),
        ("E02", "jpg", html_page),
        ("E02", "png", json_error),
        ("E02", "jpg", gzipped_jpeg),
        ("E02", "jpeg", allocated_and_never_filled),
        ("E02", "webp", random_bytes),
        ("E03", "jpg", jpeg_cut),
        ("E03", "JPG", progressive_jpeg_cut),
        ("E03", "jpg", jpeg_filled_with_zeros),
        ("E03", "png", png_cut),
        ("E03", "webp", webp_cut),
        ("E03", "gif", gif_cut),
        ("E03", "bmp", bmp_with_a_lying_size),
        ("E04", "png", png_with_flipped_bits),
        ("E04", "png", png_with_a_broken_header),
        ("E04", "jpg", jpeg_with_broken_tables),
        ("E04", "jpg", jpeg_without_a_scan),
        ("E04", "gif", gif_with_impossible_codes),
        ("E04", "webp", webp_damaged),
        ("E04", "bmp", bmp_without_pixels),
        ("E05", "jpg", decoder_crash),
        ("E05", "png", decoder_hang),
        ("E06", "png", png_of_huge_size),
        ("E06", "jpg", jpeg_of_huge_size),
        ("E06", "png", png_with_a_text_bomb),
        ("E06", "png", png_with_a_profile_bomb),
        ("E06", "jpg", jpeg_with_a_thousand_scans),
        ("E06", "png", png_with_a_flood_of_chunks),
        ("E07", "jpg", pdf),
        ("E07", "jpg", heic),
        ("E07", "png", svg),
        ("E08", "jpg", dangling_link),
    )
}
"""Name -> the code that it must get, its suffix, and what makes the bytes of one."""


def write(folder: Path, kind: str, n: int, *, seed: int = 0) -> None:
    """Writes `n` files of a kind into a folder, which is made."""
    _, suffix, make = KINDS[kind]
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        path = folder / f"{i:04d}.{suffix}"
        if kind == "dangling_link":
            path.symlink_to(folder / f"gone-{seed}-{i}")
        else:
            path.write_bytes(make(np.random.default_rng([seed, i, zlib.crc32(kind.encode())])))


def write_sound(folder: Path, n: int, *, seed: int = 0) -> None:
    """Writes `n` files with which nothing is wrong, of all formats."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(n):
        form, suffix = (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("BMP", "bmp"), ("GIF", "gif"))[i % 5]
        (folder / f"{i:04d}.{suffix}").write_bytes(encoded(picture(np.random.default_rng([seed, i])), form))
