import io

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from test_likeness import row, scene

from eyas.artifact.preprocess import Fit, Preprocess
from eyas.data.alike import alike
from eyas.data.near import PLAIN, near_pairs
from eyas.data.packing import build
from eyas.data.samples import ArraySource, FileSource, Samples, Split
from eyas.data.units import components

ORIGINALS = [scene(seed) for seed in range(150)]


def jpeg(picture, quality):
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return Image.open(file)


def cropped(picture, g):
    wide, high = round(picture.width * 0.95), round(picture.height * 0.95)
    left, top = g.integers(0, picture.width - wide + 1), g.integers(0, picture.height - high + 1)
    return picture.crop((left, top, left + wide, top + high))


def resized(picture, g):
    factor = g.uniform(0.3, 2)
    return picture.resize((round(picture.width * factor), round(picture.height * factor)), Image.Resampling.BILINEAR)


def mirrored(picture):
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


PLANT = {
    "resized": resized,
    "recompressed": lambda p, g: jpeg(p, int(g.integers(30, 96))),
    "cropped": cropped,
    "mirrored": lambda p, g: mirrored(p),
    "brightness": lambda p, g: ImageEnhance.Brightness(p).enhance(g.uniform(0.85, 1.15)),
    "all at once": lambda p, g: jpeg(mirrored(cropped(resized(p, g), g)), 60),
}


def rows(pictures):
    return np.stack([row(picture) for picture in pictures])


@pytest.mark.parametrize("kind", PLANT)
def test_planted_copies_are_found_and_no_others(kind):
    g = np.random.default_rng(0)
    n = len(ORIGINALS)
    found = near_pairs(np.concatenate([rows(ORIGINALS), rows([PLANT[kind](p, g) for p in ORIGINALS])]))
    true = found.pairs[:, 1] - found.pairs[:, 0] == n
    assert true.sum() >= 0.95 * n
    assert (~true).sum() <= 0.01 * n


def test_equal_descriptions_are_always_found():
    some = rows(ORIGINALS[:20])
    found = near_pairs(np.concatenate([some, some, some]))
    assert set(map(tuple, found.pairs.tolist())) == {(i, i + k) for i in range(20) for k in (20, 40)}
    assert (found.left_over == 0).all()


def test_pairs_are_ascending_and_do_not_depend_on_the_order_of_pictures():
    g = np.random.default_rng(1)
    some = rows([*ORIGINALS[:60], *(cropped(p, g) for p in ORIGINALS[:60])])
    found = near_pairs(some)
    assert (found.pairs[:, 0] < found.pairs[:, 1]).all()
    assert (np.diff(found.pairs[:, 0] * 1000 + found.pairs[:, 1]) > 0).all()
    order = g.permutation(len(some))
    other = np.sort(order[near_pairs(some[order]).pairs], axis=1)
    assert set(map(tuple, other.tolist())) == set(map(tuple, found.pairs.tolist()))


def test_pictures_without_contrast_are_near_to_nothing():
    g = np.random.default_rng(2)
    pages = np.clip(g.normal(250, PLAIN / 3, (500, 256)), 0, 255).astype(np.uint8)
    pages[:100] = 250
    found = near_pairs(pages)
    assert len(found.pairs) == 0
    assert found.plain == 500


def test_none_and_one_picture_have_no_pairs():
    for n in (0, 1):
        found = near_pairs(rows(ORIGINALS[:1])[:n])
        assert found.pairs.shape == (0, 2)


def test_a_crowd_takes_bounded_work_and_is_found_to_belong_together():
    """Frames of a camera that stands still: all are near to all, which would be four million pairs."""
    g = np.random.default_rng(3)
    frames = np.clip(rows(ORIGINALS[:1]) + g.normal(0, 2, (3000, 256)), 0, 255).astype(np.uint8)
    found = near_pairs(np.concatenate([frames, rows(ORIGINALS[1:50])]))
    assert found.crowded >= 2900
    assert len(found.pairs) < 200_000
    of = components(3049, found.pairs)
    assert (of[:3000] == 0).all()
    assert len(np.unique(of[3000:])) == 49


# ---- through packs ---------------------------------------------------------------------------------------------------


def packed(tmp_path, count=12):
    """A pack as for training, and one of copies as for val: another size, and cropped."""
    names: list[str] = []
    for i in range(count):
        for name, picture in ((f"{i}.png", ORIGINALS[i]), (f"copy {i}.jpg", mirrored(ORIGINALS[i]))):
            picture.resize((200 + i, 140)).save(tmp_path / name)
            names.append(name)
    labels = np.zeros(len(names), np.int32)
    splits = np.array([Split.TRAIN, Split.VAL] * count, np.uint8)
    samples = Samples(FileSource(tmp_path, tuple(names)), ("a",), labels, splits, "test", tmp_path)
    programs = (Fit(42, 3), Preprocess(32, 32, 3, "short-side", 37, (0.0,) * 3, (1.0,) * 3))
    parts = (Split.TRAIN, Split.VAL)
    return [
        build(samples, samples.rows(part), program=program, cache=tmp_path / "cache", workers=1)
        for part, program in zip(parts, programs, strict=True)
    ]


def test_pictures_are_compared_whole_whatever_size_and_crop_their_packs_keep(tmp_path):
    packs = packed(tmp_path)
    assert packs[1].at(0).shape == (32, 32, 3)
    found = alike(packs)
    assert found is not None
    assert found.pairs.tolist() == [[i, i + 1] for i in range(0, 24, 2)]


def test_what_was_found_is_kept_beside_the_pack_and_looked_for_again_when_that_is_damaged(tmp_path):
    packs = packed(tmp_path, 4)
    first = alike(packs)
    (kept,) = packs[0].folder.glob("near-*.npz")
    whole, written = kept.read_bytes(), kept.stat().st_ino
    assert (alike(packs).pairs == first.pairs).all()
    assert kept.stat().st_ino == written, "it was read, not made again"
    for damaged in (whole[:100], b"", b"no archive"):
        kept.write_bytes(damaged)
        again = alike(packs)
        assert (again.pairs == first.pairs).all()
        assert again.n == 8
        assert len(kept.read_bytes()) == len(whole), "it was made again"
    assert [path.name for path in packs[0].folder.glob("*near*")] == [kept.name]


def test_raw_pixels_have_no_near_duplicates(tmp_path):
    images = np.zeros((4, 16, 16), np.uint8)
    samples = Samples(ArraySource(images, "x"), ("a",), np.zeros(4, np.int32), np.zeros(4, np.uint8), "test")
    pack = build(samples, np.arange(4), program=Fit(None, 1), cache=tmp_path, workers=1)
    assert alike([pack]) is None
