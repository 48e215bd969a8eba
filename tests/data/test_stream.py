import itertools
import threading

import numpy as np
import pytest

from eyas.data.augment import Augment
from eyas.data.order import Balanced, Shuffled, Weighted
from eyas.data.pack import Pack
from eyas.data.stream import Stream

EVERYTHING = {
    "flip": "random", "pad_crop": 3, "resized_crop": (0.3, 1.0), "rotate": 20.0, "affine": (0.1, 0.2, 10.0),
    "colour": (0.3, 0.3, 0.3, 0.1), "erase": 0.5, "trivial": 0.7, "mixup": 0.4, "cutmix": 1.0,
}  # fmt: skip
SETTINGS = [{}, EVERYTHING, {"flip": "alternating"}, *({k: v} for k, v in EVERYTHING.items())]


def flat_pack(n, c=3, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 40, (n, 2))
    lengths = sizes.prod(axis=1) * c
    offsets = np.cumsum(lengths) - lengths
    return Pack(
        rows=np.arange(n), channels=c, uniform=None, flat=rng.integers(0, 256, lengths.sum(), np.uint8),
        index=np.column_stack([offsets, sizes]), shapes=sizes, hashes=np.zeros((n, 16), np.uint8), bad={}, address="",
    )  # fmt: skip


def stream(settings=None, *, n=50, c=3, flat=False, side=24, seed=0, rows=None):
    pixels = np.random.default_rng(1).integers(0, 256, (n, 24, 24, c), np.uint8)
    pack = flat_pack(n, c) if flat else Pack.in_memory(pixels)
    rows = np.arange(n) if rows is None else rows
    labels = np.arange(n, dtype=np.int32) % 7
    return Stream(
        pack, rows, labels, Shuffled(len(rows), seed), Augment(**(settings or {})).checked(), seed, side, side,
        weights=np.linspace(0, 1, n, dtype=np.float32),
    )  # fmt: skip


def same(a, b):
    for name in ("images", "labels", "index", "partner_labels", "own", "weights"):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None), name
        assert x is None or (x.dtype == y.dtype and x.shape == y.shape and (x == y).all()), name


def joined(parts, name):
    values = [getattr(part, name) for part in parts]
    return None if values[0] is None else np.concatenate(values)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("c", [1, 3])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "+".join(s) if len(s) < 3 else "all")
def test_slices_put_end_to_end_are_the_whole_batch(settings, c, flat):
    made = stream(settings, c=c, flat=flat)
    whole = made.batch(35, 32)
    assert whole.images.shape == (32, 24, 24, c)
    assert whole.images.dtype == np.uint8
    for cuts in ([0, 16, 32], [0, 1, 2, 31, 32], [0, 0, 32]):
        parts = [made.batch(35, 32, slice(a, b)) for a, b in itertools.pairwise(cuts)]
        assert [part.start for part in parts] == cuts[:-1]
        for name in ("images", "labels", "index", "partner_labels", "own", "weights"):
            expected = getattr(whole, name)
            assert expected is None or (joined(parts, name) == expected).all(), name


def test_a_batch_is_the_same_every_time_and_in_every_thread():
    one, other, got = stream(EVERYTHING), stream(EVERYTHING), {}

    def read(first):
        for at in range(first, 400, 80):
            got[at] = one.batch(at, 20)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(0, 80, 20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 20
    for at, batch in got.items():
        same(batch, other.batch(at, 20))


def test_batches_straddle_epochs_and_show_every_sample_once_an_epoch():
    made = stream(n=50)
    index = np.concatenate([made.batch(at, 16).index for at in range(0, 800, 16)])
    assert (np.sort(index.reshape(16, 50), axis=1) == np.arange(50)).all()


def test_how_the_stream_is_cut_into_batches_does_not_matter_without_mixing():
    made = stream({k: v for k, v in EVERYTHING.items() if k not in ("mixup", "cutmix")})
    whole, halves = made.batch(40, 32), [made.batch(40, 16), made.batch(56, 16)]
    assert (joined(halves, "images") == whole.images).all()
    assert (joined(halves, "index") == whole.index).all()


@pytest.mark.parametrize("settings", [{}, EVERYTHING], ids=["none", "all"])
def test_fewer_samples_than_a_batch_is_defined(settings):
    batch = stream(settings, n=3).batch(7, 32)
    assert batch.images.shape == (32, 24, 24, 3)
    assert set(batch.index.tolist()) == {0, 1, 2}


def test_repeats_of_a_sample_in_one_batch_are_augmented_differently():
    batch = stream({"resized_crop": (0.2, 1.0)}, n=1).batch(0, 16)
    assert len({image.tobytes() for image in batch.images}) == 16


def test_seeds_and_epochs_give_other_pixels():
    made = stream({"pad_crop": 4}, n=1)
    assert (made.batch(0, 16).images != made.batch(16, 16).images).any()
    assert (made.batch(0, 16).images != stream({"pad_crop": 4}, n=1, seed=1).batch(0, 16).images).any()


def test_nothing_drawn_gives_the_pixels_of_the_pack():
    made = stream()
    batch = made.batch(10, 30)
    assert (batch.images == made.pack.uniform[batch.index]).all()
    assert (batch.labels == batch.index % 7).all()
    assert (batch.weights == np.linspace(0, 1, 50, dtype=np.float32)[batch.index]).all()


def test_a_batch_may_be_written_to():
    made = stream()
    before = made.pack.uniform.copy()
    made.batch(0, 8).images[:] = 0
    assert (made.pack.uniform == before).all()


def test_a_stream_of_some_rows_shows_only_these():
    rows = np.array([3, 8, 9, 30, 44])
    batch = stream(rows=rows).batch(0, 10)
    assert sorted(set(batch.index.tolist())) == rows.tolist()
    assert (batch.images == stream().pack.uniform[batch.index]).all()


def test_partners_are_of_the_same_batch_and_targets_add_up():
    made = stream({"mixup": 1.0}, n=200)
    batch = made.batch(0, 64)
    assert (np.sort(batch.partner_labels) == np.sort(batch.labels)).all()
    assert batch.own.dtype == np.float32
    own = batch.own[:, None, None, None]
    plain = made.pack.uniform[batch.index].astype(float)
    rest = (batch.images - own * plain)[batch.own < 0.9] / (1 - own[batch.own < 0.9])
    assert rest.min() > -6
    assert rest.max() < 261  # what is left of a blend is again an image


def test_only_the_rows_that_are_asked_for_and_their_partners_are_built(monkeypatch):
    made = stream(EVERYTHING)
    asked = []
    render = Stream._render
    monkeypatch.setattr(
        Stream, "_render", lambda self, at, slots, *rest: (asked.append(len(slots)), render(self, at, slots, *rest))[1]
    )
    made.batch(0, 32, slice(4, 8))
    assert 4 <= asked[0] <= 8


def test_other_orders_fit_in():
    n = 50
    for order in (Balanced(np.arange(n) % 7, 0), Weighted(np.arange(n), 0)):
        base = stream(n=n)
        made = Stream(base.pack, base.rows, base.labels, order, Augment(flip="alternating"), 0, 24, 24)
        assert len(made.batch(order.length - 5, 16)) == 16
        assert made.epoch_size == order.length


def test_a_stream_says_what_decides_its_pixels():
    said = [stream(settings).to_dict() for settings in SETTINGS]
    assert all(a != b for i, a in enumerate(said) for b in said[:i])
    assert said[0]["applier"] == "host-1"


def test_a_large_stream_makes_a_batch_from_its_own_rows_only():
    # 1.2 million rows of one stored image: what a batch touches does not grow with the stream.
    n = 1_200_000
    pack = Pack.in_memory(
        np.broadcast_to(np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3), (n, 4, 4, 3)),
        shapes=np.broadcast_to(np.array([4, 4]), (n, 2)),
        hashes=np.broadcast_to(np.zeros(16, np.uint8), (n, 16)),
    )
    made = Stream(pack, np.arange(n), np.zeros(n, np.int32), Shuffled(n, 0), Augment(flip="random"), 0, 4, 4)
    a, b = made.batch(0, 64), made.batch(n - 32, 64)  # across the end of the first epoch
    assert len(set(a.index.tolist())) == 64
    assert len(b) == 64
    assert (made.batch(0, 64).index == a.index).all()
