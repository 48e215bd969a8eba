"""What a header says, and what is refused before any decoder has seen a byte."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eyas.artifact.decode import DEFAULT_LIMITS, DecodeError, Header, Limits, decode, inspect
from eyas.artifact.header import is_whole, trailing

FORMS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")


def encoded(image: Image.Image, form: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 24), seed: int = 0) -> Image.Image:
    """Smooth enough for JPEG, different in every corner."""
    small = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode)


def code_of(data: bytes, limits: Limits = DEFAULT_LIMITS) -> str:
    """The code that both `inspect` and `decode` refuse `data` with."""
    with pytest.raises(DecodeError) as seen:
        decode(data, limits=limits)
    with pytest.raises(DecodeError) as probed:
        inspect(data, limits)
    assert seen.value.code == probed.value.code
    return seen.value.code


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def png_header(width: int, height: int, bits: int = 8, colour: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)


def with_scans(data: bytes, more: int) -> bytes:
    """A progressive JPEG whose last scan is repeated `more` times."""
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * more + data[-2:]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_size_and_format_are_read_from_the_header(form):
    data = encoded(picture(), form)
    header = inspect(data)
    assert (header.format, header.width, header.height) == (form, 40, 24)
    assert header.notes == ()
    assert decode(data).shape == (24, 40, 3)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "GIF"])
def test_the_beginning_of_a_file_is_enough_for_its_size(form):
    data = encoded(picture(size=(400, 300)), form)
    if form == "GIF":
        data = data[:900]
    assert (inspect(data[:900]).width, inspect(data[:900]).height) == (400, 300)


def test_modes_and_bits_are_told():
    assert inspect(encoded(picture("L"), "JPEG")).mode == "L"
    assert inspect(encoded(picture("CMYK"), "JPEG")).notes == ("W05",)
    assert inspect(encoded(picture("1"), "PNG")).mode == "1"
    assert inspect(encoded(picture("RGBA"), "PNG")).notes == ("W06",)
    assert inspect(encoded(picture("P"), "PNG")).mode == "P"
    deep = inspect(encoded(Image.fromarray(np.zeros((3, 3), np.uint16)), "PNG"))
    assert (deep.bits, deep.notes) == (16, ("W03",))


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP"])
def test_animations_are_noted(form):
    frames = [picture(seed=seed) for seed in range(3)]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
    assert inspect(data).animated
    assert "W07" in inspect(data).notes


def test_scans_of_a_progressive_jpeg_are_counted_without_its_thumbnail():
    plain = encoded(picture(), "JPEG", progressive=True)
    scans = inspect(plain).scans
    assert 2 < scans < 20
    thumbnail = b"\xff\xe2" + struct.pack(">H", len(plain) + 2) + plain
    assert inspect(plain[:2] + thumbnail + plain[2:]).scans == scans
    assert inspect(with_scans(plain, 30)).scans == scans + 30
    assert inspect(plain + plain).scans == scans, "what follows the end of the image is not decoded either"


def test_a_baseline_jpeg_has_one_scan():
    assert inspect(encoded(picture(), "JPEG")).scans == 1


def test_many_scans_are_refused_before_decoding():
    data = encoded(picture(size=(2000, 1000)), "JPEG", progressive=True, quality=20)
    assert inspect(data).width == 2000
    assert code_of(with_scans(data, 260)) == "E06"
    assert code_of(with_scans(data, 40), Limits(max_scan_megapixels=50)) == "E06"


def test_many_scans_of_a_tiny_picture_are_refused_too():
    data = encoded(picture(size=(16, 16)), "JPEG", progressive=True)
    assert code_of(with_scans(data, 10_001)) == "E06"


def test_zero_bytes_and_things_that_are_no_images():
    assert code_of(b"") == "E01"
    for text in (b"<!DOCTYPE html><html><body>404</body></html>", b'{"error": 1}', bytes(1000), b"BMW is not a bitmap"):
        assert code_of(text + b" " * 60) == "E02"


def test_formats_off_the_list_are_named():
    for data, name in (
        (encoded(picture(), "TIFF"), "TIFF"),
        (encoded(picture(), "ICO"), "ICO"),
        (encoded(picture(), "PPM"), "PPM"),
        (encoded(picture(), "JPEG2000"), "JPEG 2000"),
        (b'<?xml version="1.0"?>\n<svg xmlns="x"/>', "SVG"),
        (b"\0\0\0\x18ftypheic" + bytes(50), "HEIC"),
    ):
        assert code_of(data) == "E07"
        with pytest.raises(DecodeError, match=name):
            inspect(data)
    assert code_of(encoded(picture(), "GIF"), Limits(formats=("JPEG", "PNG"))) == "E07"


def test_size_budgets_hold_for_every_format():
    small = Limits(max_pixels=40 * 24 - 1)
    for form in ("JPEG", "PNG", "WEBP", "BMP", "GIF"):
        data = encoded(picture(), form)
        assert code_of(data, small) == "E06"
        assert code_of(data, Limits(max_side=39)) == "E06"
        assert code_of(data, Limits(max_bytes=len(data) - 1)) == "E06"
        assert decode(data, limits=Limits(max_pixels=40 * 24, max_side=40, max_bytes=len(data))).shape == (24, 40, 3)


def test_pixel_bombs_are_refused_from_their_header():
    huge = png([png_header(60_000, 60_000), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")])
    assert code_of(huge) == "E06"
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (16383).to_bytes(3, "little") * 2
    assert code_of(b"RIFF" + struct.pack("<I", len(canvas) + 4) + b"WEBP" + canvas) == "E06"
    gif = bytearray(encoded(picture("P"), "GIF"))
    gif[6:10] = b"\xff\xff\xff\xff"
    assert code_of(bytes(gif)) == "E06"
    bmp = bytearray(encoded(picture(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, -60_000)
    assert code_of(bytes(bmp)) == "E06"


def test_a_flood_of_empty_chunks_is_refused():
    empty = struct.pack(">I", 0) + b"prVt" + struct.pack(">I", zlib.crc32(b"prVt"))
    data = png([png_header(4, 4)]) + empty * 100_001
    assert code_of(data) == "E06"
    jpeg = encoded(picture(), "JPEG")
    assert code_of(jpeg[:2] + b"\xff\xfe\x00\x02" * 100_001 + jpeg[2:]) == "E06"


def test_a_picture_of_no_pixels_is_an_error_of_its_own():
    assert code_of(png([png_header(0, 7), (b"IEND", b"")])) == "E04"


def test_a_file_whose_parts_disagree_on_its_size_is_never_decoded():
    data = encoded(picture(), "WEBP", lossless=True)
    canvas = b"VP8X" + struct.pack("<I", 10) + bytes(4) + (9).to_bytes(3, "little") * 2
    body = b"WEBP" + canvas + data[12:]
    with pytest.raises(DecodeError):
        decode(b"RIFF" + struct.pack("<I", len(body)) + body)


def test_sixteen_bits_orientation_and_profile_make_notes():
    header = Header("PNG", 3, 4, "RGB", bits=16, orientation=6, profile="other", animated=True)
    assert header.notes == ("W02", "W03", "W05", "W07")
    assert header.stored_size == (4, 3)
    assert header.has_icc


# ---- what comes after the picture ------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_bytes_after_the_end_of_a_picture_are_counted(form):
    data = encoded(Image.new("RGB", (20, 10), "red"), form)
    assert trailing(data, form) == 0
    for more in (b"\0", b"a film that a phone made", bytes(5000)):
        assert trailing(data + more, form) == len(more), more[:9]


def test_a_second_picture_that_the_jpeg_announces_is_no_surplus():
    both = encoded(Image.new("RGB", (20, 10), "red"), "MPO", save_all=True, append_images=[Image.new("RGB", (20, 10))])
    assert trailing(both, "JPEG") == 0
    assert trailing(both + b"film", "JPEG") == 4


def test_animations_have_nothing_after_their_end():
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue", "lime")]
    for form in ("GIF", "PNG", "WEBP"):
        data = encoded(frames[0], form, save_all=True, append_images=frames[1:])
        assert trailing(data, form) == 0
        assert trailing(data + b"12345", form) == 5


@settings(max_examples=200, deadline=None, derandomize=True)
@given(form=st.sampled_from([*FORMS, "AVIF", "TIFF"]), cut=st.floats(0, 1), junk=st.binary(max_size=40))
def test_no_bytes_whatever_make_the_count_fail(form, cut, junk):
    data = encoded(Image.new("RGB", (20, 10), "red"), form)
    assert trailing(data[: int(cut * len(data))] + junk, form) >= 0
    assert is_whole(data[: int(cut * len(data))] + junk, form) in (True, False)
