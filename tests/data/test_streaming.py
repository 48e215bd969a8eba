import errno
import os

import numpy as np
import pytest
from PIL import Image

from eyas.artifact.preprocess import Fit
from eyas.data import pack, places
from eyas.data.augment import Augment
from eyas.data.batch import Spent
from eyas.data.order import Shuffled
from eyas.data.pack import channel_sums
from eyas.data.packing import build
from eyas.data.samples import FileSource, Samples
from eyas.data.stream import Stream
from eyas.errors import DataError, StorageError

EVERYTHING = Augment(flip="random", resized_crop=(0.3, 1.0), rotate=10.0, colour=(0.2, 0.2, 0.2, 0.1), mixup=0.3)
N = 24


def photos(root, sizes=((40, 50), (61, 33), (35, 35))):
    root.mkdir()
    rng = np.random.default_rng(0)
    for i in range(N):
        pixels = rng.integers(0, 256, (*sizes[i % len(sizes)], 3), np.uint8)
        Image.fromarray(pixels).save(root / f"{i:02d}{('.png', '.jpg')[i % 2]}")
    (root / "07.jpg").write_bytes((root / "07.jpg").read_bytes()[:300])
    names = tuple(sorted(path.name for path in root.iterdir()))
    labels = (np.arange(N) % 3).astype(np.int32)
    return Samples(FileSource(root, names), ("a", "b", "c"), labels, np.zeros(N, np.uint8), "flat", root)


def both(samples, cache, **options):
    program = Fit(short_side=30, channels=3)
    rows = np.arange(len(samples))
    return [
        build(samples, rows, program=program, cache=cache, workers=1, keep=keep, **options) for keep in (True, False)
    ]


def stream(samples, made, augment=EVERYTHING):
    return Stream(made, made.good, samples.labels, Shuffled(len(made.good), 5), augment, 5, 24, 24)


@pytest.mark.parametrize("sizes", [((40, 50), (61, 33), (35, 35)), ((40, 50),), ((24, 24),)])
@pytest.mark.parametrize("augment", [EVERYTHING, Augment(pad_crop=2)])
def test_streamed_batches_are_those_of_the_pack_bit_for_bit(tmp_path, sizes, augment):
    samples = photos(tmp_path / "photos", sizes)
    kept, streamed = both(samples, tmp_path / "cache")
    assert streamed.streams
    assert streamed.bytes == 0
    assert set(kept.bad) == set(streamed.bad) == {7}
    assert kept.one_shape == streamed.one_shape
    good = kept.slots(kept.good)
    for name in ("shapes", "hashes", "likeness", "formats", "notes", "sizes", "crc"):
        assert (getattr(kept, name)[good] == getattr(streamed, name)[good]).all(), name
    a, b = stream(samples, kept, augment), stream(samples, streamed, augment)
    for position, rows in ((0, None), (37, slice(3, 9)), (100, None)):
        one, other = a.batch(position, 16, rows), b.batch(position, 16, rows)
        assert (one.images == other.images).all()
        assert (one.index == other.index).all()
        assert (one.labels == other.labels).all()


def test_a_survey_keeps_no_pixels_and_knows_their_sums(tmp_path):
    samples = photos(tmp_path / "photos")
    kept, streamed = both(samples, tmp_path / "cache")
    assert not (streamed.folder / "images.npy").exists()
    rows = kept.good[::2]
    for one, other in zip(channel_sums(kept, rows), channel_sums(streamed, rows), strict=True):
        assert np.array_equal(one, other)
    again = both(samples, tmp_path / "cache")[1]
    assert not again.built
    assert (again.at(3) == streamed.at(3)).all()


def test_a_file_that_changes_while_it_is_streamed_stops_the_run(tmp_path):
    samples = photos(tmp_path / "photos")
    made = stream(samples, both(samples, tmp_path / "cache")[1])
    Image.new("RGB", (50, 40), "red").save(tmp_path / "photos/04.png")
    with pytest.raises(DataError) as caught:
        made.batch(0, N)
    assert caught.value.code == "EY-D142"
    assert "04.png" in str(caught.value)


def test_a_file_that_cannot_be_read_is_tried_again_and_then_stops_the_run(tmp_path, monkeypatch):
    samples = photos(tmp_path / "photos")
    made = stream(samples, both(samples, tmp_path / "cache")[1])
    whole = made.batch(0, N)
    opened, failures = os.open, []

    def failing(path, *rest, **options):
        if str(path).endswith("04.png") and len(failures) < limit:
            failures.append(path)
            raise OSError(errno.EIO, "input/output error")
        return opened(path, *rest, **options)

    monkeypatch.setattr(os, "open", failing)
    limit = places.RETRIES - 1
    assert (made.batch(0, N).images == whole.images).all()  # a passing hiccup is not seen
    limit = 10**9
    with pytest.raises(StorageError) as caught:
        made.batch(0, N)
    assert caught.value.code == "EY-S107"
    assert caught.value.exit_code == 74


def spoiled(samples, made, names):
    """Damages files behind their unchanged sizes, times and inodes."""
    for name in names:
        path = samples.source.root / name
        stat = path.stat()
        with path.open("rb+") as file:
            file.write(b"\0" * stat.st_size)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_one_that_breaks_later_is_replaced_by_another_of_its_class_whoever_asks(tmp_path):
    samples = photos(tmp_path / "photos")
    made = stream(samples, both(samples, tmp_path / "cache")[1])
    before = made.batch(0, 23)
    spoiled(samples, made, ["04.png", "10.png"])
    broken = np.isin(before.index, [4, 10])
    assert broken.sum() == 2
    whole = made.batch(0, 23)
    assert (whole.index[~broken] == before.index[~broken]).all()
    assert (whole.labels == before.labels).all()
    assert not np.isin(whole.index, [4, 10]).any()
    parts = [made.batch(0, 23, slice(a, a + 1)) for a in range(23)]
    assert (np.concatenate([part.index for part in parts]) == whole.index).all()
    assert (np.concatenate([part.images for part in parts]) == whole.images).all()
    assert (stream(samples, both(samples, tmp_path / "cache")[1]).batch(0, 23).index == whole.index).all()


def test_a_class_of_which_nothing_is_left_is_named(tmp_path):
    samples = photos(tmp_path / "photos")
    made = stream(samples, both(samples, tmp_path / "cache")[1])
    spoiled(samples, made, [name for row, name in enumerate(samples.source.names) if row % 3 == 1])
    with pytest.raises(DataError) as caught:
        made.batch(0, 23)
    assert caught.value.code == "EY-D143"


def test_gathering_and_augmentation_are_timed_apart(tmp_path):
    samples = photos(tmp_path / "photos")
    kept, streamed = both(samples, tmp_path / "cache")
    spent = Spent()
    stream(samples, kept).batch(0, N, spent=spent)
    assert spent.gather_s > 0
    assert spent.augment_s > spent.gather_s
    decoding = Spent()
    stream(samples, streamed).batch(0, N, spent=decoding)
    assert decoding.gather_s > spent.gather_s  # decoding is gathering


def test_a_survey_without_its_decoder_is_not_taken_for_a_pack(tmp_path):
    samples = photos(tmp_path / "photos")
    made = both(samples, tmp_path / "cache")[1]
    found = pack.find(made.folder, made.rows)
    assert found.uniform is None
    assert not found.streams
    assert found.damaged() == []


def test_images_of_one_shape_are_taken_together(tmp_path):
    samples = photos(tmp_path / "photos", ((24, 24),))
    kept, streamed = both(samples, tmp_path / "cache")
    slots = np.array([5, 1, 1, 20])
    assert (kept.take(slots) == streamed.take(slots)).all()
    assert streamed.take(slots[:0]).shape == (0, 24, 24, 3)
    spoiled(samples, stream(samples, streamed), ["01.jpg"])
    with pytest.raises(pack.Broken, match=r"01\.jpg"):
        streamed.take(slots)
