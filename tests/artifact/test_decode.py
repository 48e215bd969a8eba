"""Bytes to pixels: exact where the format is exact, refused with the right code where pixels are missing."""

import io
import pickle
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageFile

from eyas.artifact.decode import (
    DECODER,
    RAW_DECODER,
    DecodeError,
    Limits,
    decode,
    decoder_identity,
    inspect,
    limits_with,
    raw,
)
from eyas.errors import DataError

FORMS = ("JPEG", "PNG", "WEBP", "BMP", "GIF")
RNG = np.random.default_rng(7)


def encoded(image: Image.Image, form: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def noise(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape, dtype=np.uint8)


def smooth(size: tuple[int, int] = (40, 24), mode: str = "RGB") -> Image.Image:
    return Image.fromarray(noise(5, 7, 3)).resize(size, Image.Resampling.BICUBIC).convert(mode)


def png(chunks: list[tuple[bytes, bytes]]) -> bytes:
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in chunks:
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def rows_png(rows: np.ndarray, bits: int, colour: int, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG of `rows` (uint8, packed already), with chunks before the pixels."""
    width = rows.shape[1] * 8 // bits // {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    head = struct.pack(">IIBBBBB", width, len(rows), bits, colour, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return png([(b"IHDR", head), *more, (b"IDAT", body), (b"IEND", b"")])


def on_white(colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """`colour` (h, w, 3) seen through `alpha` (h, w) on white paper, exactly rounded."""
    weight = alpha[..., None].astype(float) / 255
    return np.round(colour * weight + 255 * (1 - weight))


def refused(data: bytes, **options) -> DecodeError:
    with pytest.raises(DecodeError) as seen:
        decode(data, **options)
    return seen.value


# ---- exact pixels ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("PNG", {"optimize": True})]
)
def test_lossless_formats_give_back_the_very_pixels(form, options):
    pixels = noise(23, 31, 3)
    got = decode(encoded(Image.fromarray(pixels), form, **options))
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, pixels)


def test_gif_gives_the_colours_of_its_palette():
    palette, index = noise(256, 3), noise(9, 11)
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    np.testing.assert_array_equal(decode(encoded(image, "GIF")), palette[index])
    np.testing.assert_array_equal(decode(encoded(image, "PNG")), palette[index])
    np.testing.assert_array_equal(decode(encoded(image, "BMP")), palette[index])


@pytest.mark.parametrize("form", FORMS)
def test_grey_is_repeated_to_three_channels(form):
    got = decode(encoded(smooth(mode="L"), form))
    assert got.shape == (24, 40, 3)
    if form != "WEBP":  # which stores colours, lossy
        np.testing.assert_array_equal(got[..., 0], got[..., 1])
        np.testing.assert_array_equal(got[..., 0], got[..., 2])


def test_jpeg_pixels_are_those_of_pillow():
    data = encoded(smooth((301, 200)), "JPEG")
    np.testing.assert_array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data))))


def test_one_bit_pictures_are_black_and_white():
    bits = noise(13, 17) > 127
    image = Image.fromarray(bits)
    for form in ("PNG", "BMP", "GIF"):
        np.testing.assert_array_equal(decode(encoded(image, form))[..., 1], bits * np.uint8(255))


def test_sixteen_bit_grey_is_divided_by_257_not_clipped():
    deep = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    got = decode(encoded(Image.fromarray(deep), "PNG"))[..., 0]
    np.testing.assert_array_equal(got, np.round(deep / 257))
    assert len(np.unique(got)) == 256


def test_sixteen_bit_grey_keeps_its_transparent_value():
    deep = np.arange(256, dtype=">u2").reshape(16, 16) * 257
    data = rows_png(deep.view(np.uint8), 16, 0, (b"tRNS", struct.pack(">H", 3 * 257)))
    want = np.arange(256, dtype=np.uint8).reshape(16, 16)
    want[0, 3] = 255
    np.testing.assert_array_equal(decode(data)[..., 0], want)


def test_sixteen_bit_colour_is_divided_by_257():
    deep = RNG.integers(0, 65536, (50, 60, 3), dtype=np.uint16)
    data = rows_png(deep.astype(">u2").view(np.uint8).reshape(50, -1), 16, 2)
    np.testing.assert_array_equal(decode(data), np.round(deep / 257))
    assert inspect(data).notes == ("W03",)


@pytest.mark.parametrize("grey", [True, False], ids=["grey", "colour"])
def test_sixteen_bit_pictures_with_alpha_are_composited(grey):
    deep = RNG.integers(0, 65536, (9, 7, 2 if grey else 4), dtype=np.uint16)
    deep[..., -1] = np.where(deep[..., -1] > 30000, 65535, 0)
    data = rows_png(deep.astype(">u2").view(np.uint8).reshape(9, -1), 16, 4 if grey else 6)
    colour = np.broadcast_to(deep[..., :1], (9, 7, 3)) if grey else deep[..., :3]
    np.testing.assert_array_equal(decode(data), np.where(deep[..., -1:] == 0, 255, np.round(colour / 257)))


def test_a_transparent_sixteen_bit_colour_is_exactly_that_one():
    deep = np.full((4, 4, 3), 0x1234, np.uint16)
    deep[1, 2, 0] = 0x1235  # the high byte is the same
    key = (b"tRNS", struct.pack(">3H", *[0x1234] * 3))
    data = rows_png(deep.astype(">u2").view(np.uint8).reshape(4, -1), 16, 2, key)
    want = np.full((4, 4, 3), 255)
    want[1, 2] = np.round(deep[1, 2] / 257)
    np.testing.assert_array_equal(decode(data), want)


# ---- transparency ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True})])
def test_alpha_is_composited_on_white(form, options):
    rgba = noise(20, 20, 4)
    rgba[:4, :, 3], rgba[4:8, :, 3] = 0, 255
    got = decode(encoded(Image.fromarray(rgba), form, **options))
    np.testing.assert_allclose(got, on_white(rgba[..., :3], rgba[..., 3]), atol=1 if form == "WEBP" else 0.5)
    assert (got[:4] == 255).all(), "hidden colours do not come through"
    np.testing.assert_array_equal(got[4:8], rgba[4:8, :, :3])


def test_grey_with_alpha_is_composited_on_white():
    pixels = noise(9, 9, 2)
    grey = np.repeat(pixels[..., :1], 3, axis=2)
    got = decode(encoded(Image.frombytes("LA", (9, 9), pixels.tobytes()), "PNG"))
    np.testing.assert_allclose(got, on_white(grey, pixels[..., 1]), atol=0.5)


@pytest.mark.parametrize("opacity", [b"\xff\x00\xff", bytes(range(0, 256, 16)), 3])
def test_palettes_with_transparency_are_composited_on_white(opacity):
    palette, index = noise(256, 3), noise(12, 12) % 20
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    data = encoded(image, "PNG", transparency=opacity)
    alpha = np.full(256, 255, np.uint8)
    if isinstance(opacity, int):
        alpha[opacity] = 0
    else:
        alpha[: len(opacity)] = np.frombuffer(opacity, np.uint8)
    np.testing.assert_allclose(decode(data), on_white(palette[index], alpha[index]), atol=0.5)
    assert "W06" in inspect(data).notes


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_value_is_meant_in_stored_units(bits):
    levels = 2**bits
    values = np.arange(levels, dtype=np.uint8).repeat(8)[None]
    packed = np.packbits((values[..., None] >> np.arange(bits)[::-1]) & 1, axis=None)[None]
    key = levels // 2
    data = rows_png(packed, bits, 0, (b"tRNS", struct.pack(">H", key)))
    want = (values * (255 // (levels - 1))).astype(np.uint8)
    want[values == key] = 255
    np.testing.assert_array_equal(decode(data)[..., 0], want)


def test_a_transparent_colour_becomes_white():
    pixels = noise(6, 6, 3)
    data = encoded(Image.fromarray(pixels), "PNG", transparency=tuple(int(v) for v in pixels[2, 3]))
    want = pixels.copy()
    want[(pixels == pixels[2, 3]).all(axis=2)] = 255
    np.testing.assert_array_equal(decode(data), want)


def test_gif_transparency_is_white():
    palette, index = noise(4, 3), noise(8, 8) % 4
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    want = palette[index]
    want[index == 2] = 255
    np.testing.assert_array_equal(decode(encoded(image, "GIF", transparency=2)), want)


def test_a_bitmap_with_an_alpha_channel_that_was_never_filled_is_opaque():
    rgba = noise(5, 5, 4)
    rgba[..., 3] = 0
    header = struct.pack("<IiiHHIIiiII", 108, 5, -5, 1, 32, 3, 100, 0, 0, 0, 0)
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"BGRs" + bytes(48)
    body = rgba[..., [2, 1, 0, 3]].tobytes()
    data = b"BM" + struct.pack("<IHHI", 14 + 108 + len(body), 0, 0, 14 + 108) + header + masks + body
    assert inspect(data).has_alpha
    np.testing.assert_array_equal(decode(data), rgba[..., :3])


# ---- frames ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("form", "options"), [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True})])
def test_the_first_frame_of_an_animation_is_the_picture(form, options):
    frames = [Image.new("RGB", (12, 8), colour) for colour in ("red", "blue", "lime")]
    data = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
    np.testing.assert_array_equal(decode(data), np.asarray(frames[0]))


def test_the_first_of_several_pictures_in_one_jpeg_is_the_picture():
    frames = [smooth((64, 48)), smooth((64, 48))]
    data = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:])
    first = encoded(frames[0], "JPEG")
    assert inspect(data).format == "JPEG"
    np.testing.assert_array_equal(decode(data), decode(first))


# ---- orientation -----------------------------------------------------------------------------------------------------

# What a viewer must do to the stored rows, for each orientation of the EXIF standard.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("form", "options"), [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True})])
def test_all_eight_orientations_are_applied(form, options, orientation, order):
    image = smooth((40, 24))
    magic = b"II*\0" if order == "<" else b"MM\0*"
    block = magic + struct.pack(order + "IHHHIHHI", 8, 1, 0x0112, 3, 1, orientation, 0, 0)
    plain = decode(encoded(image, form, **options))
    data = encoded(image, form, exif=b"Exif\0\0" + block, **options)
    np.testing.assert_array_equal(decode(data), UPRIGHT[orientation](plain))
    header = inspect(data)
    assert (header.height, header.width) == decode(data).shape[:2]
    assert ("W02" in header.notes) == (orientation != 1)


def test_orientation_and_scaled_decoding_go_together():
    exif = Image.Exif()
    exif[0x0112] = 6
    image = smooth((400, 200))
    data, plain = encoded(image, "JPEG", exif=exif), encoded(image, "JPEG")
    np.testing.assert_array_equal(decode(data, min_side=50), np.rot90(decode(plain, min_side=50), -1))


@pytest.mark.parametrize(
    "junk", [b"", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff" + bytes(30), b"II*\0\xff\xff\xff\xff", bytes(64)]
)
def test_broken_exif_is_ignored_in_silence(junk):
    image = smooth()
    data = encoded(image, "JPEG", exif=b"Exif\0\0" + junk)
    np.testing.assert_array_equal(decode(data), decode(encoded(image, "JPEG")))


# ---- colour ----------------------------------------------------------------------------------------------------------


def rgb_profile(name: str, primaries: list[tuple[float, float, float]], gamma: float) -> bytes:
    """A small ICC v2 matrix profile: colorants in XYZ (adapted to D50) and one gamma."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    tags: list[tuple[bytes, bytes]] = [
        (b"desc", b"desc" + bytes(4) + struct.pack(">I", len(name) + 1) + name.encode() + b"\0" + bytes(78)),
        (b"cprt", b"text" + bytes(4) + b"none\0"),
        (b"wtpt", b"XYZ " + bytes(4) + fixed(0.9642) + fixed(1) + fixed(0.8249)),
    ]
    for letter, xyz in zip(b"rgb", primaries, strict=True):
        tags.append((bytes([letter]) + b"XYZ", b"XYZ " + bytes(4) + b"".join(fixed(v) for v in xyz)))
        tags.append((bytes([letter]) + b"TRC", b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))))
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, value in tags:
        value += bytes(-len(value) % 4)
        table += tag + struct.pack(">II", at + len(body), len(value))
        body += value
    head = bytearray(128)
    head[0:4] = struct.pack(">I", at + len(body))
    head[8:12], head[12:24] = b"\x02\x40\0\0", b"mntrRGB XYZ "
    head[36:40], head[68:80] = b"acsp", fixed(0.9642) + fixed(1) + fixed(0.8249)
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


P3 = rgb_profile(
    "Display P3", [(0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)], 2.2
)
ADOBE = rgb_profile(
    "Adobe RGB (1998)", [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)], 2.2
)


@pytest.mark.parametrize("profile", [P3, ADOBE], ids=["display-p3", "adobe-rgb"])
@pytest.mark.parametrize(
    ("form", "options"), [("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 95, "subsampling": 0})]
)
def test_wide_gamut_profiles_are_converted_to_srgb(profile, form, options):
    image = smooth((32, 32))
    data = encoded(image, form, icc_profile=profile, **options)
    stored = decode(encoded(image, form, **options))
    want = ImageCms.profileToProfile(
        Image.fromarray(stored), ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    )
    np.testing.assert_array_equal(decode(data), np.asarray(want))
    assert np.abs(decode(data).astype(int) - stored).max() > 10
    assert inspect(data).notes == ("W05",)


#: red, green and blue of sRGB in XYZ (D50), as in the table of its standard profile
SRGB = np.array([(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410)]).T
P3_COLOURS = [(0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407)]
ADOBE_COLOURS = [(0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457)]


@pytest.mark.parametrize(("profile", "colours"), [(P3, P3_COLOURS), (ADOBE, ADOBE_COLOURS)], ids=["p3", "adobe"])
def test_wide_gamut_colours_are_those_that_arithmetic_gives(profile, colours):
    stored = 60 + noise(16, 16, 3) // 2  # not so vivid that sRGB has no such colour
    linear = (stored / 255) ** (563 / 256) @ np.array(colours) @ np.linalg.inv(SRGB).T
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)
    inside = ((linear >= 0) & (linear <= 1)).all(axis=2)
    got = decode(encoded(Image.fromarray(stored), "PNG", icc_profile=profile))
    assert inside.mean() > 0.5
    np.testing.assert_allclose(got[inside], 255 * curved[inside], atol=2)


def test_greys_stay_grey_under_a_wide_gamut_profile():
    grey = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    got = decode(encoded(grey, "PNG", icc_profile=P3)).astype(int)
    assert np.abs(got - got.mean(axis=2, keepdims=True)).max() <= 1.5


def test_an_srgb_profile_changes_no_pixel():
    pixels = noise(16, 16, 3)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = encoded(Image.fromarray(pixels), "PNG", icc_profile=srgb)
    np.testing.assert_array_equal(decode(data), pixels)
    assert inspect(data).has_icc
    assert inspect(data).notes == ()


@pytest.mark.parametrize("profile", [b"junk", P3[:200], P3[:60] + bytes(len(P3) - 60), bytes(500)])
def test_a_broken_profile_is_ignored(profile):
    pixels = noise(16, 16, 3)
    data = encoded(Image.fromarray(pixels), "PNG", icc_profile=profile)
    np.testing.assert_array_equal(decode(data), pixels)


def test_a_profile_of_another_colour_space_is_ignored():
    image = smooth(mode="CMYK")
    np.testing.assert_array_equal(decode(encoded(image, "JPEG", icc_profile=P3)), decode(encoded(image, "JPEG")))


def test_transparency_and_profile_go_together():
    rgba = noise(8, 8, 4)
    rgba[..., 3] = np.where(rgba[..., 3] > 99, 255, 0)
    got = decode(encoded(Image.fromarray(rgba), "PNG", icc_profile=ADOBE))
    opaque = decode(encoded(Image.fromarray(rgba[..., :3]), "PNG", icc_profile=ADOBE))
    np.testing.assert_array_equal(got, np.where(rgba[..., 3:] == 0, 255, opaque))


def test_cmyk_is_converted_and_not_inverted():
    inks = np.zeros((16, 64, 4), np.uint8)
    for column, ink in enumerate([(0, 0, 0, 0), (255, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255)]):
        inks[:, column * 16 : column * 16 + 16] = ink
    data = encoded(Image.frombytes("CMYK", (64, 16), inks.tobytes()), "JPEG", quality=100)
    want = [(255, 255, 255), (0, 255, 255), (255, 0, 0), (0, 0, 0)]
    got = decode(data)
    assert got.shape == (16, 64, 3)
    for column, colour in enumerate(want):
        np.testing.assert_allclose(got[8, column * 16 + 8], colour, atol=3)


def cmyk_profile() -> bytes:
    """A small ICC v2 table profile in which black ink alone counts."""
    corners = [(30 if key else 100, 128, 128) for _ in range(8) for key in (0, 1)]  # L*, a*, b*; the last ink is black
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = bytes(round(v * 255 / 100) if i == 0 else v for corner in corners for i, v in enumerate(corner))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + matrix + ramp * 4 + table + ramp * 3
    name = b"desc" + bytes(4) + struct.pack(">I", 5) + b"inks\0" + bytes(78 + 1)
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags, at, table, body = [(b"A2B0", lut), (b"desc", name), (b"wtpt", white)], 128 + 4 + 36, b"", b""
    for tag, value in tags:
        value += bytes(-len(value) % 4)
        table += tag + struct.pack(">II", at + len(body), len(value))
        body += value
    head = bytearray(128)
    head[0:4], head[8:12] = struct.pack(">I", at + len(body)), b"\x02\x40\0\0"
    head[12:24], head[36:40], head[68:80] = b"prtrCMYKLab ", b"acsp", struct.pack(">3i", 63190, 65536, 54061)
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


def test_cmyk_with_a_profile_is_converted_by_it():
    profile = cmyk_profile()
    inks = np.zeros((16, 48, 4), np.uint8)
    inks[:, 16:32, 3], inks[:, 32:, 0] = 255, 255
    data = encoded(Image.frombytes("CMYK", (48, 16), inks.tobytes()), "JPEG", quality=100, icc_profile=profile)
    got = decode(data)
    np.testing.assert_allclose(got[8, 8], 255, atol=3)
    np.testing.assert_allclose(got[8, 24], 0, atol=3)  # the darkest that it can print
    np.testing.assert_allclose(got[8, 40], 255, atol=3)  # cyan does not count in this profile
    assert inspect(data).notes == ("W05",)


def test_cmyk_as_adobe_writes_it():
    # The same inks with Adobe's marker in front: stored inverted, no colour transform.
    data = encoded(smooth(mode="CMYK"), "JPEG")
    marker = b"\xff\xee" + struct.pack(">H", 14) + b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 0)
    if b"Adobe" not in data:
        data = data[:2] + marker + data[2:]
    assert inspect(data).mode == "CMYK"
    want = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    np.testing.assert_array_equal(decode(data), want)


# ---- scaled decoding -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("min_side", "short"),
    [(None, 240), (240, 240), (121, 240), (120, 120), (61, 120), (60, 60), (30, 30), (7, 30), (1000, 240)],
)
def test_scaled_decoding_keeps_the_short_side(min_side, short):
    got = decode(encoded(smooth((400, 240)), "JPEG"), min_side=min_side)
    assert min(got.shape[:2]) == short
    assert min_side is None or short >= min(min_side, 240)


def test_scaled_decoding_is_the_same_picture():
    image = smooth((320, 320))
    small = decode(encoded(image, "JPEG", quality=95, subsampling=0), min_side=80)
    np.testing.assert_allclose(small, np.asarray(image.reduce(4)), atol=8)


def test_min_side_changes_only_jpegs():
    for form in ("PNG", "BMP", "GIF", "WEBP"):
        assert decode(encoded(smooth((64, 64)), form), min_side=8).shape == (64, 64, 3)


# ---- broken files ----------------------------------------------------------------------------------------------------


def variants() -> list[tuple[str, bytes]]:
    rgb, grey = smooth((60, 44)), smooth((60, 44), "L")
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        ("baseline JPEG", encoded(rgb, "JPEG", exif=exif, icc_profile=P3)),
        ("progressive JPEG", encoded(rgb, "JPEG", progressive=True)),
        ("grey JPEG", encoded(grey, "JPEG")),
        ("PNG", encoded(rgb, "PNG", icc_profile=P3)),
        ("palette PNG", encoded(rgb.quantize(40), "PNG", transparency=3)),
        ("16-bit PNG", encoded(Image.fromarray(noise(20, 20).astype(np.uint16) * 256), "PNG")),
        ("animated PNG", encoded(rgb, "PNG", save_all=True, append_images=[grey.convert("RGB")])),
        ("lossy WebP", encoded(rgb, "WEBP")),
        ("lossless WebP", encoded(rgb.convert("RGBA"), "WEBP", lossless=True, exif=exif)),
        ("BMP", encoded(rgb, "BMP")),
        ("palette BMP", encoded(rgb.quantize(40), "BMP")),
        ("GIF", encoded(rgb, "GIF")),
        ("animated GIF", encoded(rgb, "GIF", save_all=True, append_images=[grey, rgb])),
    ]


VARIANTS = variants()


@pytest.mark.parametrize(("name", "data"), VARIANTS, ids=[name for name, _ in VARIANTS])
def test_a_cut_file_is_truncated_or_all_its_pixels_are_there(name, data):
    whole = decode(data)
    cuts = sorted({*np.linspace(40, len(data) - 1, 40).astype(int).tolist(), *range(len(data) - 16, len(data))})
    codes = []
    for cut in cuts:
        try:
            np.testing.assert_array_equal(decode(data[:cut]), whole)
            codes.append("whole")
        except DecodeError as error:
            codes.append(error.code)
    assert set(codes) <= {"E03", "whole"}, codes
    assert codes[: len(cuts) // 4] == ["E03"] * (len(cuts) // 4) or "animated" in name


def test_half_a_file_is_truncated_in_every_format():
    for form in FORMS:
        data = encoded(smooth((200, 150)), form)
        for share in (0.3, 0.5, 0.8):
            assert refused(data[: int(len(data) * share)]).code == "E03", form


def test_a_download_that_was_filled_up_with_zeros_is_truncated():
    data = encoded(smooth((200, 150)), "JPEG")
    half = len(data) // 2
    assert refused(data[:half] + bytes(len(data) - half)).code == "E03"
    assert decode(data + bytes(200)).shape == (150, 200, 3), "zeros behind the end do no harm"


def test_a_damaged_checksum_is_a_decoder_error():
    data = bytearray(encoded(smooth(), "PNG"))
    data[data.index(b"IDAT") + 12] ^= 0xFF
    assert refused(bytes(data)).code == "E04"


def test_the_magic_of_one_format_in_front_of_nonsense_is_a_decoder_error():
    for magic in (b"\xff\xd8\xff\xe0\x00\x04ab\xff\xd9", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"):
        assert refused(magic + bytes(100)).code == "E04"


def test_twelve_bit_jpegs_are_a_decoder_error():
    data = encoded(smooth(), "JPEG")
    at = data.index(b"\xff\xc0") + 4
    assert refused(data[:at] + b"\x0c" + data[at + 1 :]).code == "E04"


def test_errors_carry_code_and_detail_and_can_be_sent_to_another_process():
    error = refused(b"<html>")
    assert (error.code, error.detail) == ("E02", "it begins with b'<html>'")
    again = pickle.loads(pickle.dumps(error))
    assert (again.code, again.detail) == (error.code, error.detail)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(
    which=st.integers(0, len(VARIANTS) - 1),
    edits=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=6), st.integers(0, 2)), max_size=6),
    cut=st.floats(0.2, 1),
)
def test_no_bytes_whatever_raise_anything_but_a_decode_error(which, edits, cut):
    data = bytearray(VARIANTS[which][1])
    for where, new, how in edits:
        # The beginning holds the structure: half of the edits go there.
        at = int(where * len(data)) if how else int(where * min(200, len(data)))
        data[at : at + (len(new) if how else 0)] = new
    try:
        pixels = decode(bytes(data[: int(cut * len(data))]), min_side=8, limits=Limits(max_pixels=10**6))
    except DecodeError:
        pass
    else:
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


# ---- manners ---------------------------------------------------------------------------------------------------------


def test_nothing_is_printed_or_warned_of(capfd):
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHII", 8, 40, 0x0112, 3, 1, 6) + b"\xff" * 20
    apng = bytearray(VARIANTS[6][1])
    at = apng.index(b"acTL")
    apng[at + 4 : at + 8] = bytes(4)
    apng[at + 12 : at + 16] = struct.pack(">I", zlib.crc32(apng[at : at + 12]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        for data in (encoded(smooth(), "JPEG", exif=exif), bytes(apng)):
            decode(data)
        assert list(warnings.filters) == before
    assert not caught
    assert capfd.readouterr() == ("", "")


def test_decoding_from_many_threads_gives_the_same_pixels_and_leaves_the_warnings_alone():
    want = [decode(data) for _, data in VARIANTS]
    before = list(warnings.filters)
    wrong: list[str] = []

    def work() -> None:
        for (name, data), pixels in zip(VARIANTS * 3, want * 3, strict=True):
            if not np.array_equal(decode(data), pixels):
                wrong.append(name)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert list(warnings.filters) == before


def test_truncated_images_are_not_allowed_by_a_global_switch():
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


# ---- opt-in formats --------------------------------------------------------------------------------------------------


def test_tiff_and_avif_are_read_when_they_are_allowed():
    pixels = noise(24, 40, 3)
    both = Limits(formats=("TIFF", "AVIF"))
    data = encoded(Image.fromarray(pixels), "TIFF")
    np.testing.assert_array_equal(decode(data, limits=both), pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(Image.fromarray(pixels), "TIFF", exif=exif)
    np.testing.assert_array_equal(decode(turned, limits=both), np.rot90(pixels, -1))
    assert inspect(turned, both).height == 40
    deep = encoded(Image.fromarray(np.arange(0, 65536, 256, dtype=np.uint16).reshape(16, 16)), "TIFF")
    np.testing.assert_array_equal(decode(deep, limits=both)[..., 0].ravel(), np.round(np.arange(0, 65536, 256) / 257))
    assert decode(encoded(smooth(), "AVIF"), limits=both).shape == (24, 40, 3)


def test_opt_in_formats_say_how_they_are_allowed():
    for form in ("TIFF", "AVIF"):
        error = refused(encoded(smooth(), form))
        assert error.code == "E07"
        assert f"--allow {form.lower()}" in error.detail


def test_floating_point_is_taken_as_zero_to_one_and_noted():
    both = limits_with(("TIFF",))
    values = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    data = encoded(Image.fromarray(values), "TIFF")
    np.testing.assert_array_equal(decode(data, limits=both)[..., 1], np.round(values * 255))
    assert inspect(data, both).notes == ("W04",)
    for wrong in (values * 255, values - 0.5, np.where(values > 0.5, np.nan, values).astype(np.float32)):
        assert refused(encoded(Image.fromarray(wrong), "TIFF"), limits=both).code == "E04"


@pytest.mark.parametrize(
    ("form", "options"),
    [("AVIF", {}), ("TIFF", {}), ("TIFF", {"compression": "tiff_lzw"}), ("TIFF", {"compression": "tiff_deflate"})],
)
def test_a_cut_file_of_an_opt_in_format_is_truncated(form, options):
    both = limits_with(("TIFF", "AVIF"))
    data = encoded(smooth((80, 60)), form, **options)
    for share in (0.1, 0.3, 0.5, 0.9, 0.99):
        assert refused(data[: int(len(data) * share)], limits=both).code == "E03", share


# ---- raw pixels and identity -----------------------------------------------------------------------------------------


def test_raw_pixels_are_taken_as_they_are():
    pixels = noise(7, 5)
    assert raw(pixels).shape == (7, 5, 1)
    assert np.shares_memory(raw(pixels), pixels)
    colours = noise(7, 5, 3)
    assert raw(colours) is colours


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 4), np.float32), np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8)],
)
def test_arrays_that_are_no_images_are_named(wrong):
    with pytest.raises(DataError, match="not an image") as seen:
        raw(wrong)
    assert seen.value.code == "EY-D102"
    assert "uint8" in seen.value.text("zh")


def test_the_identity_of_the_decoder_names_versions():
    assert decoder_identity()["decoder"] == DECODER
    assert decoder_identity()["pillow"].count(".") == 2
    assert decoder_identity(RAW_DECODER)["decoder"] == RAW_DECODER
