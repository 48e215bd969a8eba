import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from eyas.data import likeness
from eyas.data.likeness import BYTES, MIRRORED, describe, hashes
from eyas.data.near import left_over


def scene(seed, size=(160, 120)):
    """A picture with large and small things in it."""
    g = np.random.default_rng(seed)
    out = np.zeros((size[1], size[0], 3), np.float32)
    for cells, strength in ((4, 70), (9, 45), (21, 20), (60, 8)):
        grid = Image.fromarray(g.normal(0, 1, (cells, cells)).astype(np.float32))
        out += strength * np.asarray(grid.resize(size, Image.Resampling.BICUBIC))[..., None]
    tint = g.uniform(0.7, 1.3, 3)
    return Image.fromarray(np.clip(128 + out * tint, 0, 255).astype(np.uint8))


def row(picture):
    return np.frombuffer(describe(picture), np.uint8)


def apart(a, b):
    return int(np.bitwise_count(hashes(row(a)[None]) ^ hashes(row(b)[None]))[0])


def rest(a, b):
    grey = [row(picture).reshape(1, 16, 16).astype(np.float32) for picture in (a, b)]
    return float(left_over(*grey)[0])


def test_a_description_is_256_bytes_whatever_the_picture():
    for size in ((1, 1), (7, 300), (3000, 2), (16, 16), (500, 375)):
        assert len(describe(Image.new("RGB", size, "red"))) == BYTES == 256
        assert len(describe(np.zeros((size[1], size[0], 1), np.uint8))) == BYTES


def test_one_colour_is_described_by_its_grey_value():
    for value in (0, 1, 127, 254, 255):
        assert (row(Image.new("L", (90, 70), value)) == value).all()


def test_an_array_is_described_as_the_picture_that_it_holds():
    picture = scene(1)
    assert describe(np.asarray(picture)) == describe(picture)
    grey = picture.convert("L")
    assert describe(np.asarray(grey)[..., None]) == describe(grey) == describe(picture)


def test_sums_are_exact_so_that_their_order_does_not_matter():
    for length in (*range(1, 200), 400, 1000):
        weights = likeness._low_pass(length)
        assert (weights == np.round(weights)).all()
        assert (weights.sum(axis=1) == 128).all()
        assert np.abs(weights).sum(axis=1).max() ** 2 * 255 < 2**24


@pytest.mark.parametrize("seed", range(5))
def test_mirroring_flips_the_bits_of_odd_horizontal_frequency(seed):
    a = scene(seed)
    b = a.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    both = hashes(np.stack([row(a), row(b)]))
    assert np.bitwise_count(both[0] ^ both[1] ^ MIRRORED) <= 2
    assert np.bitwise_count(both[0] ^ both[1]) > 20


@pytest.mark.parametrize("seed", range(5))
def test_brightness_size_and_quality_change_few_bits(seed):
    a = scene(seed, (240, 180))
    small = a.resize((80, 60), Image.Resampling.BILINEAR)
    file = io.BytesIO()
    a.save(file, "JPEG", quality=30)
    for b in (ImageEnhance.Brightness(a).enhance(1.1), small, a.resize((400, 300)), Image.open(file)):
        assert apart(a, b) <= 6
        assert rest(a, b) < 0.02


def test_different_pictures_differ_in_many_bits():
    pictures = np.stack([row(scene(seed)) for seed in range(40)])
    bits = np.bitwise_count(hashes(pictures)[:, None] ^ hashes(pictures)[None])
    assert bits[~np.eye(40, dtype=bool)].min() > 12


def test_large_and_small_pictures_are_described_alike():
    """Up to a size all pixels count, above it every few: there must be no step between the two."""
    just_small = scene(3, (112, 108))
    assert just_small.width * just_small.height <= likeness.SMALL
    for larger in ((120, 116), (300, 280), (1200, 1100)):
        assert rest(just_small, just_small.resize(larger, Image.Resampling.BICUBIC)) < 0.01
