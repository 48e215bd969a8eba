import threading
import traceback

import numpy as np
import pytest
import torch

from eyas.data.augment import Augment
from eyas.data.order import Shuffled
from eyas.data.pack import Pack
from eyas.data.prefetch import depth_within
from eyas.data.stream import Stream
from eyas.training import feed as feeds
from eyas.training.feed import StreamFeed

CPU = torch.device("cpu")
N = 40


def stream(pack=None):
    pixels = np.random.default_rng(0).integers(0, 256, (N, 20, 20, 3), np.uint8)
    augment = Augment(flip="random", resized_crop=(0.3, 1.0), mixup=0.2, erase=0.3)
    labels = (np.arange(N) % 4).astype(np.int32)
    return Stream(pack or Pack.in_memory(pixels), np.arange(N), labels, Shuffled(N, 1), augment, 1, 20, 20)


def parts(threads, keys):
    feed = StreamFeed(stream(), device=CPU, threads=threads)
    out = [feed(position, size)(0, size) for position, size in keys]
    feed.close()
    return out


@pytest.mark.parametrize("threads", [1, 2, 8])
def test_any_number_of_threads_gives_the_same_batches(threads):
    keys = [(p, 16) for p in range(0, 320, 16)]
    keys = [*keys[:7], *keys[9:], (5, 16), (21, 16), (0, 12)]  # a window is skipped, a run goes back, a size changes
    for one, other in zip(parts(0, keys), parts(threads, keys), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.partner_labels, other.partner_labels)
        assert torch.equal(one.own, other.own)


class Failing:
    """A pack of which one image cannot be had, for a while."""

    def __init__(self):
        self.inner = stream().pack
        self.failing = True

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def ask(self, slots):
        if self.failing and (slots == 11).any():
            raise OSError(5, "no such luck")


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_an_error_reaches_the_trainer_once_and_whole_and_nothing_hangs(threads):
    before = set(threading.enumerate())
    pack = Failing()
    feed = StreamFeed(stream(pack), device=CPU, threads=threads)
    failed = []
    for position in range(0, N, 8):
        try:
            feed(position, 8)
        except OSError as error:
            failed.append((position, error))
    ((where, error),) = failed
    assert "ask" in traceback_of(error)
    pack.failing = False
    assert feed(where, 8)(0, 8).images.shape == (8, 20, 20, 3)  # asked again, it is made again
    feed.close()
    feed.close()
    assert set(threading.enumerate()) == before


def traceback_of(error):
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def test_what_waits_is_bounded_in_bytes(monkeypatch):
    each = 16 * 20 * 20 * 3
    made = []
    monkeypatch.setattr(feeds, "READ_AHEAD_BYTES", 3 * each)
    shown = stream()
    batch = Stream.batch
    monkeypatch.setattr(
        Stream, "batch", lambda self, p, *rest, **more: (made.append(p), batch(self, p, *rest, **more))[1]
    )
    feed = StreamFeed(shown, device=CPU, threads=8)
    feed(0, 16)
    feed.close()
    assert len(made) <= 4  # the one that was taken, and three that wait


def test_depth_follows_threads_and_bytes():
    assert depth_within(1000, 10, threads=0) == 0
    assert depth_within(1000, 10, threads=2) == 4
    assert depth_within(1000, 300, threads=8) == 3
    assert depth_within(1000, 5000, threads=8) == 1


def test_the_tax_says_what_waiting_gathering_and_augmentation_took():
    inline, ahead = (StreamFeed(stream(), device=CPU, threads=t, cores=2) for t in (0, 1))
    for feed in (inline, ahead):
        for position in range(0, 160, 16):
            feed(position, 16)
        feed.close()
        tax = feed.tax()
        assert tax.gather_s > 0
        assert tax.augment_s > 0
    assert inline.tax().wait_s == 0
    assert inline.tax().gather_s + inline.tax().augment_s <= inline.waited_s
    assert 0 < ahead.tax().wait_s <= ahead.waited_s
