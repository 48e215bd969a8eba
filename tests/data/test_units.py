import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from eyas.data.near import LEFT_OVER, Near
from eyas.data.units import FEW, LARGEST, components, units

PAIRS = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40)


def contents(names):
    rows = [list(hashlib.blake2b(str(name).encode(), digest_size=16).digest()) for name in names]
    return np.array(rows, np.uint8).reshape(-1, 16)


def near(n, pairs, rest=0.02):
    listed = np.array(sorted(pairs), np.int64).reshape(-1, 2)
    return Near(n, listed, np.broadcast_to(np.float32(rest), len(listed)).copy(), 0, 0)


def one_by_one(n, pairs):
    """The slow and plain way."""
    of = list(range(n))
    for _ in range(n):
        for a, b in pairs:
            of[a] = of[b] = min(of[a], of[b])
    return of


@settings(max_examples=100, deadline=None)
@given(PAIRS)
def test_components_are_what_is_tied_directly_or_not(pairs):
    assert components(30, np.array(pairs, np.int64).reshape(-1, 2)).tolist() == one_by_one(30, pairs)


def test_a_chain_of_a_hundred_thousand_is_one_component():
    n = 100_000
    order = np.random.default_rng(0).permutation(n)
    assert (components(n, np.stack([order[:-1], order[1:]], axis=1)) == 0).all()


@settings(max_examples=60, deadline=None)
@given(PAIRS, st.lists(st.integers(-1, 6), min_size=30, max_size=30), st.lists(st.booleans(), min_size=30, max_size=30))
def test_bytes_groups_and_likeness_bind_transitively_and_unreadable_ones_do_not(pairs, groups, good):
    hashes = contents(i % 25 for i in range(30))
    got = units(hashes, np.array(groups, np.int64), np.array(good), near(30, [p for p in pairs if p[0] < p[1]]))
    ties = [(i, i + 25) for i in range(5)] + [p for p in pairs if p[0] < p[1]]
    ties += [(i, j) for i in range(30) for j in range(i) if groups[i] == groups[j] >= 0]
    of = one_by_one(30, [(a, b) for a, b in ties if good[a] and good[b]])
    same = got.of[:, None] == got.of[None]
    assert (same == (np.array(of)[:, None] == np.array(of)[None])).all() or got.taken_apart


def test_a_long_chain_is_cut_where_it_is_weakest():
    n = 1000
    length = int(LARGEST * n) + 10
    pairs = [(i, i + 1) for i in range(length)]
    strong = near(n, pairs, LEFT_OVER / 3)
    strong.left_over[length // 2] = LEFT_OVER * 0.9
    good = np.ones(n, bool)
    got = units(contents(range(n)), None, good, strong)
    assert got.taken_apart == 1
    half = length // 2
    assert len(np.unique(got.of[: half + 1])) == len(np.unique(got.of[half + 1 : length + 1])) == 1
    assert got.of[0] != got.of[length]


def test_a_chain_without_a_weak_place_falls_back_to_exact_ties():
    n = 1000
    length = int(LARGEST * n) + 10
    hashes = contents([*range(n - 1), 5])  # the last one is a copy of number 5
    got = units(hashes, None, np.ones(n, bool), near(n, [(i, i + 1) for i in range(length)], 0.0))
    assert got.taken_apart == 1
    assert len(np.unique(got.of)) == n - 1
    assert got.of[5] == got.of[n - 1]


def test_few_pictures_may_be_one_unit_and_a_large_group_is_never_cut():
    n = FEW
    got = units(contents(range(n)), None, np.ones(n, bool), near(n, [(0, i) for i in range(1, n)]))
    assert got.taken_apart == 0
    assert len(got.keys) == 1
    n = 400
    groups = np.where(np.arange(n) < 300, 1, -1)
    got = units(contents(range(n)), groups, np.ones(n, bool), near(n, [(0, 350), (360, 361)]))
    assert len(np.unique(got.of[:300])) == 1
    assert got.of[350] != got.of[0], "nothing else is bound to what is too large already"
    assert got.of[360] == got.of[361]


def test_the_key_of_a_unit_is_that_of_a_member_whatever_else_there_is():
    good = np.ones(100, bool)
    few = units(contents(range(100)), None, good, near(100, [(3, 7), (7, 9)]))
    alone = units(contents(range(100)), None, good)
    keys = alone.keys[alone.of]
    assert few.keys[few.of[3]] == min(keys[3], keys[7], keys[9])
    rest = np.setdiff1d(np.arange(100), [3, 7, 9])
    assert (few.keys[few.of[rest]] == keys[rest]).all()
