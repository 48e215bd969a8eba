import itertools

import numpy as np
import pytest
from PIL import Image

from eyas.data import apply
from eyas.data.augment import Augment, draw
from eyas.data.pack import Pack
from eyas.errors import DataError

EVERYTHING = Augment(
    flip="random", pad_crop=3, resized_crop=(0.3, 1.0), rotate=20, affine=(0.1, 0.2, 10), colour=(0.3, 0.3, 0.3, 0.1),
    erase=0.5, mixup=0.4, cutmix=1.0, trivial=0.7,
)  # fmt: skip


def draws_of(augment, n=4000, *, position=0, shape=(32, 32), side=32, seed=0, epochs=None, samples=None):
    return draw(
        augment,
        seed,
        positions=np.arange(position, position + n),
        samples=np.arange(n) if samples is None else samples,
        epochs=np.zeros(n, np.int64) if epochs is None else epochs,
        shapes=np.tile(np.array(shape, np.int64), (n, 1)),
        height=side,
        width=side,
    )


def picture(h, w, c=3):
    y, x = np.mgrid[:h, :w]
    waves = [128 + 90 * np.sin(x / w * 5 + k) * np.cos(y / h * 4 - k) for k in range(c)]
    return np.stack(waves, axis=2).astype(np.uint8)


def rendered(augment, image, n=200, side=None, seed=0):
    pack = Pack.in_memory(np.repeat(image[None], n, axis=0))
    h, w = (side, side) if side else image.shape[:2]
    draws = draw(
        augment, seed, positions=np.arange(n), samples=np.arange(n), epochs=np.zeros(n, np.int64),
        shapes=pack.sizes, height=h, width=w,
    )  # fmt: skip
    return draws, apply.render(pack, np.arange(n), draws, height=h, width=w, pad=augment.pad_crop)


# --- what is drawn


def test_nothing_is_drawn_by_default():
    draws = draws_of(Augment())
    assert all(v is None for k, v in vars(draws).items() if k != "n")
    assert draws.take(slice(3, 9)).n == 6


def test_draws_are_keyed_by_position_whatever_the_batch():
    whole = draws_of(EVERYTHING, 100, position=1000)
    later = draws_of(EVERYTHING, 40, position=1060)
    for name in ("flip", "shift", "box", "warp", "colour", "erase", "paint", "trivial", "blend", "paste", "own"):
        assert (getattr(whole, name)[60:] == getattr(later, name)).all(), name


def test_taking_rows_takes_them_of_every_field():
    whole = draws_of(EVERYTHING, 50)
    rows = np.array([4, 40, 7])
    part = whole.take(rows)
    assert part.n == 3
    for name, value in vars(part).items():
        if name != "n":
            assert (value == getattr(whole, name)[rows]).all()


def test_random_flips_are_a_fair_coin():
    assert abs(draws_of(Augment(flip="random")).flip.mean() - 0.5) < 0.03


def test_alternating_flips_change_sides_every_epoch():
    augment, samples = Augment(flip="alternating"), np.arange(1000)
    first, second, third = (
        draws_of(augment, 1000, position=e * 1000, epochs=np.full(1000, e), samples=samples).flip for e in range(3)
    )
    assert (first != second).all()
    assert (first == third).all()
    assert abs(first.mean() - 0.5) < 0.06


def test_crops_reach_every_offset():
    shift = draws_of(Augment(pad_crop=2)).shift
    counts = np.unique(shift @ [10, 1], return_counts=True)[1]
    assert len(counts) == 25
    assert counts.min() > 100


@pytest.mark.parametrize("shape", [(32, 32), (300, 500), (1000, 40), (1, 1), (3, 900)])
def test_resized_crops_lie_inside_with_area_and_aspect_as_asked(shape):
    box = draws_of(Augment(resized_crop=(0.2, 0.9)), shape=shape).box
    w, h = box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]
    assert box.min() >= 0
    assert (box[:, 2] <= shape[1]).all()
    assert (box[:, 3] <= shape[0]).all()
    assert (w > 0).all()
    assert (h > 0).all()
    assert ((w / h > 0.7499) & (w / h < 1.3334)).all()
    if shape in ((32, 32), (300, 500)):
        share = w * h / (shape[0] * shape[1])
        assert share.min() >= 0.1999
        assert share.max() <= 0.9001
        assert 0.4 < share.mean() < 0.6


def test_erased_boxes_lie_inside_and_are_as_frequent_as_asked():
    draws = draws_of(Augment(erase=0.3))
    y0, y1, x0, x1 = draws.erase.T
    some = y1 > y0
    assert abs(some.mean() - 0.3) < 0.03
    assert y0.min() >= 0
    assert x0.min() >= 0
    assert y1.max() <= 32
    assert x1.max() <= 32
    share = ((y1 - y0) * (x1 - x0))[some] / 1024
    assert share.max() < 0.4
    assert share.mean() > 0.1


def test_nobody_is_its_own_partner_and_everybody_is_one():
    for n in (2, 3, 100):
        partner = draws_of(Augment(mixup=0.2), n).partner
        assert (partner != np.arange(n)).all()
        assert sorted(partner.tolist()) == list(range(n))
    assert draws_of(Augment(mixup=0.2), 1).partner.tolist() == [0]


def test_mixup_and_cutmix_share_the_samples_evenly():
    draws = draws_of(Augment(mixup=1.0, cutmix=1.0))
    pasted = (draws.paste[:, 1] - draws.paste[:, 0]) * (draws.paste[:, 3] - draws.paste[:, 2]) / 1024
    blended = draws.blend < 256
    assert not (blended & (pasted > 0)).any()
    assert abs(blended.mean() - 0.5) < 0.05
    assert np.allclose(draws.own, draws.blend / 256 * (1 - pasted))


def test_cutmix_alone_never_blends():
    assert (draws_of(Augment(cutmix=1.0)).blend == 256).all()


def test_trivial_draws_all_operations_levels_and_signs():
    kind, level, sign = draws_of(Augment(trivial=0.5)).trivial.T
    assert abs((kind == -1).mean() - 0.5) < 0.03
    assert sorted(set(kind.tolist())) == list(range(-1, 14))
    assert sorted(set(level.tolist())) == list(range(31))
    assert set(sign.tolist()) == {-1, 1}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("flip", "sometimes"), ("pad_crop", -1), ("resized_crop", (0.9, 0.1)), ("resized_crop", (0.0, 1.0)),
        ("rotate", 181.0), ("affine", (2.0, 0.0, 0.0)), ("colour", (0.1, 0.1, 0.1, 0.9)), ("erase", 1.5),
        ("mixup", -0.1), ("cutmix", float("nan")), ("trivial", 2.0),
    ],
)  # fmt: skip
def test_a_setting_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(DataError, match=name) as caught:
        Augment(**{name: value}).checked()
    assert caught.value.code == "EY-D140"
    assert EVERYTHING.checked() is EVERYTHING


# --- what it does to pixels


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("pad", [1, 4, 20])
def test_a_crop_is_that_of_numpy_with_reflected_borders(c, pad):
    images = np.random.default_rng(0).integers(0, 256, (9, 21, 34, c), np.uint8)
    shift = np.random.default_rng(1).integers(0, 2 * pad + 1, (9, 2))
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad), (0, 0)), mode="reflect")
    expected = [padded[i, y : y + 21, x : x + 34] for i, (y, x) in enumerate(shift.tolist())]
    assert (apply.cropped(images, shift, pad) == np.stack(expected)).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (2, 2)])
def test_tiny_images_can_be_padded_too(shape):
    images = np.arange(2 * shape[0] * shape[1], dtype=np.uint8).reshape(2, *shape, 1)
    for y, x in itertools.product(range(7), range(7)):
        assert apply.cropped(images, np.array([[y, x]] * 2), 3).shape == images.shape
    assert (apply.cropped(images, np.array([[3, 3]] * 2), 3) == images).all()


def test_flips_mirror_and_nothing_else():
    image = picture(9, 14)
    draws, out = rendered(Augment(flip="random"), image)
    for row, flipped in enumerate(draws.flip):
        assert (out[row] == (image[:, ::-1] if flipped else image)).all()
    assert 0 < draws.flip.sum() < 200


def test_the_pack_is_never_written_to():
    image = picture(16, 16)
    pack = Pack.in_memory(np.repeat(image[None], 40, axis=0))
    before = pack.uniform.copy()
    draws = draws_of(EVERYTHING, 40, shape=(16, 16), side=16)
    apply.render(pack, np.arange(40), draws, height=16, width=16, pad=3)
    assert (pack.uniform == before).all()


def test_a_resized_crop_is_the_box_seen_at_the_output_size():
    image = picture(90, 120)
    draws, out = rendered(Augment(resized_crop=(0.2, 1.0)), image, n=30, side=24)
    for row in range(30):
        whole = Image.fromarray(image).resize((24, 24), Image.Resampling.BILINEAR, box=tuple(draws.box[row]))
        assert np.abs(out[row].astype(int) - np.asarray(whole).astype(int)).max() <= 1


@pytest.mark.parametrize("c", [1, 3])
def test_images_of_other_sizes_are_scaled_to_cover_the_output(c):
    image = picture(60, 100, c)
    _, out = rendered(Augment(), image, n=2, side=30)
    expected = Image.fromarray(image[:, :, 0] if c == 1 else image).resize((30, 30), 2, box=(20, 0, 80, 60))
    assert (out[0].squeeze() == np.asarray(expected)).all()


@pytest.mark.parametrize("factor", [1, 2, 3, 7])
def test_a_warp_by_nothing_is_a_plain_resize(factor):
    image = picture(32 * factor, 32 * factor)
    _, still = rendered(Augment(rotate=1e-9), image, n=1, side=32)
    _, plain = rendered(Augment(), image, n=1, side=32)
    assert np.abs(still[0].astype(int) - plain[0].astype(int)).max() <= 3  # averaged blocks against a triangle


def test_a_quarter_turn_is_exact():
    image = picture(32, 32)
    pack = Pack.in_memory(image[None])
    base = draws_of(Augment(rotate=1.0), 1)
    for turns in (1, 2, 3):
        warp = np.array([[turns * np.pi / 2, 0.0, 1.0, 0.0, 0.0]])
        out = apply.base(pack, np.array([0]), type(base)(n=1, warp=warp), height=32, width=32)
        assert np.abs(out[0].astype(int) - np.rot90(image, -turns).astype(int)).max() <= 1


def test_a_warp_shifts_and_scales_about_the_centre():
    image = np.zeros((40, 40, 1), np.uint8)
    image[18:22, 18:22] = 255
    pack = Pack.in_memory(image[None])

    def centre(warp):
        draws = draws_of(Augment(), 1)
        out = apply.base(pack, np.array([0]), type(draws)(n=1, warp=np.array([warp])), height=40, width=40)[0, :, :, 0]
        y, x = np.mgrid[:40, :40] + 0.5
        return np.array([(out * y).sum(), (out * x).sum()]) / out.sum(), out.sum() / image.sum()

    assert np.allclose(centre([0, 0, 1, 0.1, -0.2])[0], [24, 12], atol=0.05)
    assert np.allclose(centre([0.3, 0.2, 1, 0, 0])[0], [20, 20], atol=0.05)
    assert np.isclose(centre([0, 0, 2.0, 0, 0])[1], 4, rtol=0.05)
    assert np.isclose(centre([0, 0, 1.0, 0, 0])[1], 1)


@pytest.mark.parametrize("c", [1, 3])
def test_colour_by_nothing_changes_nothing(c):
    image = picture(20, 20, c)
    _, out = rendered(Augment(colour=(0, 0, 0, 0)), image, n=3)
    assert np.abs(out.astype(int) - image.astype(int)).max() <= 1


def test_colour_changes_what_its_name_says():
    image = picture(40, 40) // 2 + 60
    mean = image.mean()
    bright, out = rendered(Augment(colour=(0.3, 0, 0, 0)), image)
    assert np.allclose(out.mean(axis=(1, 2, 3)), bright.colour[:, 0] * mean, atol=1.0)
    contrast, out = rendered(Augment(colour=(0, 0.3, 0, 0)), image)
    grey = (out @ np.array([0.299, 0.587, 0.114])).mean(axis=(1, 2))
    assert grey.std() < 0.5
    assert np.allclose(out.std(axis=(1, 2, 3)), contrast.colour[:, 1] * image.std(), rtol=0.05)
    _, out = rendered(Augment(colour=(0, 0, 0, 0.5)), np.full((4, 4, 3), 120, np.uint8))
    assert np.abs(out.astype(int) - 120).max() <= 1  # hue and saturation leave grey alone
    turned, out = rendered(Augment(colour=(0, 0, 0, 0.5)), np.full((4, 4, 3), [150, 110, 110], np.uint8))
    assert np.ptp(out[:, 0, 0].astype(int), axis=0).min() > 20
    assert np.ptp(out[:, 0, 0] @ np.array([0.299, 0.587, 0.114])) < 2
    assert turned.colour[:, 3].min() < -2


@pytest.mark.parametrize("c", [1, 3])
def test_erasing_paints_one_box_in_one_colour(c):
    image = picture(30, 30, c)
    draws, out = rendered(Augment(erase=0.5), image)
    for row, (y0, y1, x0, x1) in enumerate(draws.erase.tolist()):
        expected = image.copy()
        if y1 > y0:
            expected[y0:y1, x0:x1] = draws.paint[row, :c]
        assert (out[row] == expected).all()


@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("number", range(14))
def test_every_operation_of_trivial_augment_works_and_grows_with_its_level(number, c):
    name, operation = apply.TRIVIAL[number]
    image = Image.fromarray(picture(40, 48, c).squeeze())
    differences = []
    for level, sign in itertools.product((0, 15, 30), (-1, 1)):
        out = operation(image, level, sign)
        assert out.size == image.size
        assert out.mode == image.mode
        differences.append(np.abs(np.asarray(out).astype(int) - np.asarray(image)).mean())
    still = name in ("identity",) or (name == "colour" and c == 1)
    assert (max(differences) == 0) == still
    if name not in ("identity", "auto-contrast", "equalize", "colour"):
        assert max(differences[:2]) <= 1  # level 0 is (nearly) nothing
        assert max(differences[4:]) > max(differences[:2])


def test_mixing_blends_rounded_and_pastes_boxes():
    draws = draws_of(Augment(mixup=1.0, cutmix=1.0), 300)
    rng = np.random.default_rng(0)
    own, partner = rng.integers(0, 256, (2, 300, 32, 32, 3), np.uint8)
    out = apply.mixed(own, partner, draws)
    for row in range(300):
        share = draws.blend[row] / 256
        expected = np.floor(own[row] * share + partner[row] * (1 - share) + 0.5)
        y0, y1, x0, x1 = draws.paste[row]
        expected[y0:y1, x0:x1] = partner[row, y0:y1, x0:x1]
        assert (out[row] == expected).all()


def test_settings_say_themselves():
    assert EVERYTHING.to_dict()["resized_crop"] == (0.3, 1.0)
    assert EVERYTHING.mixes
    assert EVERYTHING.warps


@pytest.mark.parametrize("shape", [(24, 24, 3), (31, 17, 1), (9, 26, 3), (5, 5, 3)])
@pytest.mark.parametrize("pad", [0, 1, 3, 4])
def test_large_images_are_cropped_to_the_same_pixels_as_small_ones(monkeypatch, shape, pad):
    g = np.random.default_rng(pad)
    images, shift = g.integers(0, 256, (20, *shape), np.uint8), g.integers(0, 2 * pad + 1, (20, 2))
    h, w, _ = shape
    expected = [
        np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="reflect")[y : y + h, x : x + w]
        for image, (y, x) in zip(images, shift, strict=True)
    ]
    for limit in (0, 10**9):
        monkeypatch.setattr(apply, "LARGE_BYTES", limit)
        assert (apply.cropped(images, shift, pad) == expected).all()
        flip = g.random(20) < 0.5
        mirrored = [image[:, ::-1] if turn else image for image, turn in zip(expected, flip, strict=True)]
        assert (apply.cropped(images, shift, pad, flip) == mirrored).all()


def test_a_flip_is_the_mirror_image_wherever_it_happens():
    pixels = np.random.default_rng(3).integers(0, 256, (6, 30, 40, 3), np.uint8)
    pack, slots = Pack.in_memory(pixels), np.arange(6)
    for height, width in ((30, 40), (20, 24)):
        plain = draws_of(Augment(), 6)
        turned = type(plain)(n=6, flip=np.array([True, False, True, True, False, False]))
        one = apply.render(pack, slots, plain, height=height, width=width, pad=0)
        other = apply.render(pack, slots, turned, height=height, width=width, pad=0)
        for row in range(6):
            assert (other[row] == (one[row][:, ::-1] if turned.flip[row] else one[row])).all()
