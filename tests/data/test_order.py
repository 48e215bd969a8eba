import itertools
import math
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyas.data.order import Balanced, Shuffled, Weighted

LABELS = np.array([0] * 50 + [1] * 7 + [3] * 1)


def orders(seed=0):
    return [
        Shuffled(5, seed),
        Shuffled(3000, seed),
        Balanced(LABELS, seed),
        Weighted(np.linspace(0, 1, 40), seed),
    ]


@given(st.sampled_from([1, 2, 5, 1023, 1024, 2000]), st.integers(0, 5), st.integers(-9, 9))
def test_every_epoch_is_a_permutation(n, epoch, seed):
    assert sorted(Shuffled(n, seed).rows(epoch * n, n).tolist()) == list(range(n))


@pytest.mark.parametrize("kind", range(4))
def test_the_sequence_is_the_same_however_it_is_cut(kind):
    whole = orders()[kind].rows(0, 7000)
    order = orders()[kind]
    cuts = [0, 1, 3, 128, 2999, 3000, 3001, 6500, 7000]
    parts = [order.rows(a, b - a) for a, b in itertools.pairwise(cuts)]
    assert (np.concatenate(parts) == whole).all()
    assert whole.dtype == np.int64


@pytest.mark.parametrize("kind", range(4))
def test_going_back_gives_the_same_again(kind):
    order = orders()[kind]
    first = order.rows(10, 50)
    order.rows(90_000, 50)
    assert (order.rows(10, 50) == first).all()


@pytest.mark.parametrize("kind", range(4))
def test_seeds_and_epochs_differ(kind):
    a, b = orders(0)[kind], orders(1)[kind]
    n = 10 * a.length
    assert (a.rows(0, n) != b.rows(0, n)).any()
    assert (a.rows(0, n) != a.rows(n, n)).any()


def test_fewer_samples_than_a_batch_is_defined():
    rows = Shuffled(3, 0).rows(7, 20)
    assert len(rows) == 20
    assert (np.bincount(Shuffled(3, 0).rows(0, 21)) == 7).all()


def test_all_permutations_of_five_are_equally_likely():
    seen = Shuffled(5, 0).rows(0, 5 * 60_000).reshape(-1, 5)
    counts = np.unique(seen @ 10 ** np.arange(5), return_counts=True)[1]
    assert len(counts) == math.factorial(5)
    assert 70 < ((counts - 500) ** 2 / 500).sum() < 185  # 119 degrees of freedom


def test_threads_see_the_same_order():
    order = Shuffled(2000, 3)
    expected = Shuffled(2000, 3).rows(0, 20_000)
    got = {}

    def read(first):
        for at in range(first, 20_000, 700):
            got[at] = order.rows(at, min(100, 20_000 - at))

    threads = [threading.Thread(target=read, args=(first,)) for first in range(0, 700, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) > 100
    assert all((expected[at : at + len(rows)] == rows).all() for at, rows in got.items())


def test_preparing_changes_nothing():
    order = Shuffled(2000, 3)
    order.prepare(4000)
    assert (order.rows(3990, 30) == Shuffled(2000, 3).rows(3990, 30)).all()


def test_balanced_shows_every_class_equally_often_and_every_sample_in_turn():
    order = Balanced(LABELS, 0)
    assert order.length == 60
    epoch = order.rows(0, order.length)
    assert np.bincount(LABELS[epoch]).tolist() == [20, 20, 0, 20]
    fifty = order.rows(0, 50 * 60 // 20)  # class 0 passes through its 50 samples in 2.5 epochs
    assert len(set(fifty[LABELS[fifty] == 0].tolist())) >= 40
    many = order.rows(0, 5 * order.length)  # 100 of each class: exactly twice round class 0
    assert (np.bincount(many[LABELS[many] == 0]) == 2).all()


def test_weighted_follows_the_weights_and_never_draws_zero():
    rows = Weighted(np.array([0.0, 1.0, 3.0, 0.0]), 0).rows(0, 40_000)
    counts = np.bincount(rows, minlength=4)
    assert counts[0] == counts[3] == 0
    assert abs(counts[2] / 40_000 - 0.75) < 0.011


def test_orders_say_what_decides_them():
    said = [order.to_dict() for order in orders()]
    assert [s["order"] for s in said] == ["shuffled", "shuffled", "balanced", "weighted"]
    assert said[0] != Shuffled(5, 1).to_dict()


def test_an_epoch_of_every_order_is_defined_and_repeats_of_none_are_the_same():
    for order, length in ((Shuffled(50, 1), 50), (Balanced(np.arange(50) % 3, 1), 51), (Weighted(np.ones(50), 1), 50)):
        assert order.length == length
        epochs = order.rows(0, 3 * length).reshape(3, length)
        assert (order.epochs(0, 3 * length) == np.repeat(np.arange(3), length)).all()
        assert len({tuple(epoch) for epoch in epochs.tolist()}) == 3
    weighted = np.bincount(Weighted(np.array([1.0, 2.0, 5.0]), 4).rows(0, 80_000), minlength=3) / 10_000
    assert np.abs(weighted - [1, 2, 5]).max() < 0.06
