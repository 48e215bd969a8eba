"""From files to model input: one way, the same pixels however it is walked, and a fingerprint that tells."""

import dataclasses
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eyas.artifact.decode import RAW_DECODER, DecodeError, Limits, decode
from eyas.artifact.preprocess import Fit, Preprocess, plan_preprocess, program_from_dict
from eyas.errors import DataError

RNG = np.random.default_rng(3)


def encoded(image: Image.Image, form: str, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def smooth(size: tuple[int, int] = (40, 24), mode: str = "RGB") -> Image.Image:
    small = RNG.integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).convert(mode)


def photo(**changes) -> Preprocess:
    base = Preprocess(
        height=32, width=32, channels=3, resize="short-side", short_side=37, mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2)
    )
    return dataclasses.replace(base, **changes)


def shapes(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs)


# ---- pixels ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(40, 24), (24, 40), (300, 333), (32, 32), (9, 200)])
@pytest.mark.parametrize(
    ("form", "mode"), [("JPEG", "RGB"), ("JPEG", "L"), ("PNG", "RGB"), ("PNG", "RGBA"), ("PNG", "L"), ("JPEG", "CMYK")]
)
def test_from_bytes_is_decode_and_then_apply(form, mode, size, channels):
    data = encoded(smooth(size, mode), form)
    for program in (
        photo(channels=channels),
        photo(channels=channels, resize="none", height=24, width=40, short_side=24),
        Fit(20, channels),
        Fit(None, channels),
    ):
        got = program.from_bytes(data)
        np.testing.assert_array_equal(got, program.apply(decode(data, min_side=program.min_side)))
        assert got.dtype == np.uint8
        assert got.shape[2] == channels
        if isinstance(program, Preprocess):
            assert got.shape == (program.height, program.width, channels)


def test_resizing_is_one_call_of_pillow():
    image = smooth((100, 60))
    got = photo().apply(np.asarray(image))
    scale = 60 / 37
    side = 32 * scale
    box = (50 - side / 2, 30 - side / 2, 50 + side / 2, 30 + side / 2)
    want = image.resize((32, 32), Image.Resampling.BILINEAR, box)
    assert np.abs(got.astype(int) - np.asarray(want)).max() <= 1


def test_the_centre_is_what_is_kept():
    image = np.zeros((40, 120, 3), np.uint8)
    image[:, 40:80] = 200
    got = photo(short_side=32, height=32, width=32).apply(image)
    assert (got[:, 2:-2] == 200).all()


def test_shrinking_does_not_alias():
    stripes = np.zeros((256, 256), np.uint8)
    stripes[:, ::2] = 255
    got = photo(short_side=32, channels=1).apply(stripes)[2:-2, 2:-2]
    assert (np.abs(got.astype(int) - 127.5) <= 1).all()


def test_a_picture_of_the_right_shape_is_not_touched():
    pixels = RNG.integers(0, 256, (28, 30, 3), dtype=np.uint8)
    program = photo(resize="none", height=28, width=30, short_side=28)
    assert program.apply(pixels) is pixels
    np.testing.assert_array_equal(program.from_bytes(encoded(Image.fromarray(pixels), "PNG")), pixels)


def test_a_picture_of_another_shape_still_gets_through_a_program_that_resizes_none():
    program = photo(resize="none", height=28, width=28, short_side=28)
    image = np.zeros((56, 112, 3), np.uint8)
    image[:, 28:84] = 90
    got = program.apply(image)
    assert got.shape == (28, 28, 3)
    assert (got[:, 1:-1] == 90).all()


@given(
    high=st.integers(1, 90),
    wide=st.integers(1, 90),
    height=st.integers(1, 50),
    width=st.integers(1, 50),
    short=st.integers(1, 60),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_every_shape_comes_out_as_asked(high, wide, height, width, short):
    image = np.full((high, wide, 1), 77, np.uint8)
    for resize in ("none", "short-side"):
        got = photo(height=height, width=width, short_side=short, resize=resize, channels=1).apply(image)
        assert got.shape == (height, width, 1)
        assert (got == 77).all(), "nothing from outside the picture comes in"


def test_grey_is_the_integer_formula_that_is_promised():
    rgb = RNG.integers(0, 256, (50, 50, 3), dtype=np.uint8)
    red, green, blue = rgb.astype(int).transpose(2, 0, 1)
    want = (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16
    np.testing.assert_array_equal(Fit(None, 1).apply(rgb)[..., 0], want)


def test_grey_pixels_survive_the_way_through_colour():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    rgb = Fit(None, 3).apply(grey)
    np.testing.assert_array_equal(rgb, np.repeat(grey[..., None], 3, axis=2))
    np.testing.assert_array_equal(Fit(None, 1).apply(rgb)[..., 0], grey)


def test_raw_pixels_pass_a_program_of_their_own_shape_unchanged():
    pixels = RNG.integers(0, 256, (28, 28), dtype=np.uint8)
    program = plan_preprocess(shapes((28, 28), (28, 28)), 1, decoder=RAW_DECODER)
    assert np.shares_memory(program.apply(pixels), pixels)
    np.testing.assert_array_equal(program.from_bytes(encoded(Image.fromarray(pixels), "PNG"))[..., 0], pixels)


def test_fit_keeps_the_aspect_and_enlarges_nothing():
    assert Fit(100, 3).apply(np.zeros((300, 600, 3), np.uint8)).shape == (100, 200, 3)
    assert Fit(100, 3).apply(np.zeros((333, 200, 3), np.uint8)).shape == (166, 100, 3)
    small = np.zeros((60, 300, 3), np.uint8)
    assert Fit(100, 3).apply(small) is small
    assert Fit(None, 3).apply(small) is small


def test_large_jpegs_are_decoded_scaled_and_never_below_the_target():
    data = encoded(smooth((1600, 1200)), "JPEG")
    assert decode(data, min_side=photo().min_side).shape[:2] == (150, 200)
    assert Fit(291, 3).from_bytes(data).shape == (291, 388, 3)
    full = photo().apply(decode(data))
    np.testing.assert_allclose(photo().from_bytes(data), full, atol=8)


def test_broken_files_raise_what_the_decoder_says():
    for program in (photo(), Fit(20, 3)):
        with pytest.raises(DecodeError) as seen:
            program.from_bytes(b"<html>")
        assert seen.value.code == "E02"
        with pytest.raises(DecodeError, match="E06"):
            program.from_bytes(encoded(smooth(), "PNG"), Limits(max_pixels=10))


def test_arrays_that_are_no_images_are_refused():
    for program in (photo(), Fit(20, 3)):
        with pytest.raises(DataError, match="not an image"):
            program.apply(np.zeros((5, 5, 3)))


# ---- JSON and fingerprints -------------------------------------------------------------------------------------------

PROGRAMS = [photo(), photo(channels=1, mean=(0.1,), std=(0.2,)), photo(decoder=RAW_DECODER), Fit(None, 1), Fit(291, 3)]


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_survive_json(program):
    again = program_from_dict(json.loads(json.dumps(program.to_dict())))
    assert again == program
    assert again.fingerprint() == program.fingerprint()


def test_the_fingerprint_changes_with_every_field():
    other = {
        "height": 31, "width": 31, "channels": 1, "resize": "none", "short_side": 38, "mean": (0.5, 0.4, 0.31),
        "std": (0.2, 0.2, 0.21), "crop": "top", "interpolation": "nearest", "grey": "bt709", "decoder": RAW_DECODER,
        "allow": ("TIFF",),
    }  # fmt: skip
    assert set(other) == {field.name for field in dataclasses.fields(Preprocess)}
    prints = {photo(**{name: value}).fingerprint() for name, value in other.items()} | {photo().fingerprint()}
    assert len(prints) == len(other) + 1
    pixels = {photo(**{name: value}).pixel_fingerprint() for name, value in other.items()}
    assert len(pixels) == len(other) - 1, "mean and std change no pixel"
    fits = {Fit(*values).fingerprint() for values in ((None, 3), (None, 1), (20, 3), (20, 3, "nearest"))}
    fits |= {Fit(20, 3, grey="bt709").fingerprint(), Fit(20, 3, decoder=RAW_DECODER).fingerprint()}
    assert len(fits) == 6


def test_the_fingerprint_is_the_same_in_another_process():
    code = """if True:
        import json, sys
        from eyas.artifact.preprocess import program_from_dict
        print(program_from_dict(json.loads(sys.argv[1])).fingerprint())
    """
    told = json.dumps(photo().to_dict())
    found = subprocess.run([sys.executable, "-c", code, told], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == photo().fingerprint()


@pytest.mark.parametrize(
    "change",
    [
        {"colour": "blue"}, {"height": 0}, {"height": "32"}, {"width": 1.5}, {"channels": 2}, {"resize": "squash"},
        {"short_side": -1}, {"mean": [0.5]}, {"std": [0.2, 0.0, 0.2]}, {"std": [0.2, None, 0.2]}, {"crop": "top"},
        {"kind": "pickle"}, {"kind": None},
    ],
)  # fmt: skip
def test_descriptions_that_were_edited_or_damaged_are_refused(change):
    with pytest.raises(DataError, match="cannot be used") as seen:
        program_from_dict({**photo().to_dict(), **change})
    assert seen.value.code == "EY-D100"
    assert next(iter(change)) in str(seen.value)


def test_a_missing_key_is_named():
    found = photo().to_dict()
    del found["grey"]
    with pytest.raises(DataError, match="grey"):
        program_from_dict(found)


def test_a_decoder_of_another_time_is_named():
    with pytest.raises(DataError, match="pillow-9") as seen:
        program_from_dict({**Fit(20, 3).to_dict(), "decoder": "pillow-9"})
    assert seen.value.code == "EY-D101"


# ---- the plan --------------------------------------------------------------------------------------------------------


def test_sets_of_one_shape_keep_it():
    program = plan_preprocess(shapes((28, 30), (28, 30), (28, 30)), 3)
    assert (program.height, program.width, program.resize) == (28, 30, "none")


def test_sets_of_one_shape_are_scaled_without_cutting():
    program = plan_preprocess(shapes((100, 100), (100, 100)), 3, size=64)
    assert (program.height, program.width, program.resize, program.short_side) == (64, 64, "short-side", 64)
    program = plan_preprocess(shapes((480, 640), (480, 640)), 3, size=96)
    assert (program.height, program.width, program.short_side) == (96, 128, 96)
    assert plan_preprocess(shapes((64, 64)), 3, size=64).resize == "none"


def test_photographs_get_a_square_of_the_median_side():
    program = plan_preprocess(shapes((375, 500), (333, 500), (500, 375), (60, 70)), 3)
    assert (program.height, program.width, program.short_side) == (352, 352, 402)
    small = plan_preprocess(shapes((20, 30), (18, 40)), 3)
    assert (small.height, small.short_side) == (32, 37)


def test_the_size_asked_for_wins_over_the_model_and_the_model_over_the_data():
    mixed = shapes((375, 500), (333, 500))
    assert plan_preprocess(mixed, 3, size=64, declared=(224, 224)).height == 64
    declared = plan_preprocess(mixed, 3, declared=(224, 224))
    assert (declared.height, declared.short_side) == (224, 256)
    assert plan_preprocess(mixed, 3, declared=(224, 224), crop_fraction=0.95).short_side == 236
    assert plan_preprocess(shapes((32, 32), (32, 32)), 3, declared=(224, 224)).short_side == 224, "nothing is cut"
    assert plan_preprocess(shapes((375, 500), (375, 500)), 3, declared=(224, 224)).short_side == 256


def test_enormous_photographs_of_one_shape_still_give_a_size():
    assert plan_preprocess(shapes((6000, 9000), (6000, 9000)), 3).height == 4096


@pytest.mark.parametrize("size", [0, -3, 4097])
def test_impossible_sizes_are_named(size):
    with pytest.raises(DataError, match=str(size)) as seen:
        plan_preprocess(shapes((10, 12), (20, 30)), 3, size=size)
    assert seen.value.code == "EY-D103"


def test_no_images_give_no_size():
    with pytest.raises(DataError, match="no images") as seen:
        plan_preprocess(np.zeros((0, 2), int), 3)
    assert seen.value.code == "EY-D104"


def test_mean_and_std_come_later():
    program = plan_preprocess(shapes((8, 8)), 1)
    assert (program.mean, program.std) == ((0.0,), (1.0,))
    measured = program.normalised_by(np.array([0.25]), np.array([0.5]))
    assert (measured.mean, measured.std) == ((0.25,), (0.5,))
    assert measured.pixel_fingerprint() == program.pixel_fingerprint()
    assert Preprocess.from_dict(measured.to_dict()) == measured


# ---- real photographs ------------------------------------------------------------------------------------------------


def test_real_photographs_go_one_way():
    root = os.environ.get("EYAS_TEST_DATA")
    files = sorted(Path(root).rglob("*.[jJ][pP][gG]"))[:40] if root else []
    if not files:
        pytest.skip("EYAS_TEST_DATA names no folder of JPEGs")
    for file in files:
        data = file.read_bytes()
        for program in (photo(), Fit(20, 3)):
            got = program.from_bytes(data)
            np.testing.assert_array_equal(got, program.apply(decode(data, min_side=program.min_side)))
