import numpy as np
import pytest

from eyas.data.draws import Draw, beta, bits, key, normal, uniform, uniforms

AT = np.arange(200_000, dtype=np.int64)


def bins(u, k=100):
    counts = np.bincount((u * k).astype(int), minlength=k)
    return ((counts - len(u) / k) ** 2 / (len(u) / k)).sum()  # chi-square, k - 1 degrees of freedom


@pytest.mark.parametrize("seed", [0, 1, -5, 2**80 + 3])
@pytest.mark.parametrize("offset", [0, 10**12])
def test_draws_are_uniform_in_the_half_open_unit_interval(seed, offset):
    u = uniform(seed, AT + offset, Draw.FLIP)
    assert u.min() >= 0
    assert u.max() < 1
    assert 50 < bins(u) < 165  # 99 degrees of freedom: 1e-4 on either side


def test_a_draw_depends_on_its_own_position_only():
    some = np.array([5, 3, 10**15, 7], np.int64)
    for make in (uniform, normal, lambda s, p, d: beta(s, p, d, alpha=0.3)):
        alone = [make(9, some[i : i + 1], Draw.MIXUP)[0] for i in range(4)]
        assert make(9, some, Draw.MIXUP).tolist() == alone


def test_streams_seeds_and_repeats_are_independent():
    draws = [uniform(s, AT, stream, again=a) for s in (0, 1) for stream in Draw for a in (0, 1)]
    table = np.corrcoef(np.stack([d[:20_000] for d in draws]))
    np.fill_diagonal(table, 0)
    assert np.abs(table).max() < 0.04  # 6 sigma at n = 20,000
    pairs = [(0, 1), (0, 2), (3, 77), (10, 11)]
    for a, b in pairs:  # joint, not only linear: a grid of 10 x 10 cells
        assert 45 < bins((np.floor(draws[a] * 10) + draws[b]) / 10) < 170


def test_neighbouring_positions_are_independent():
    u = uniform(3, AT, Draw.CROP_X)
    for lag in (1, 2, 64, 128):
        assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 0.015


def test_every_bit_is_a_fair_coin():
    b = bits(0, AT, Draw.ORDER)
    shares = [float(((b >> np.uint64(i)) & np.uint64(1)).mean()) for i in range(64)]
    assert max(abs(s - 0.5) for s in shares) < 0.006


def test_keys_differ_for_all_streams_and_repeats():
    keys = {key(s, d, a) for s in range(20) for d in Draw for a in range(20)}
    assert len(keys) == 20 * 20 * len(Draw)


def test_stream_numbers_are_distinct():
    assert len({int(d) for d in Draw}) == len(Draw.__members__)


def test_several_streams_at_once_are_the_same_draws():
    table = uniforms(4, AT[:100], (Draw.AREA, Draw.RATIO), again=3)
    assert (table[0] == uniform(4, AT[:100], Draw.AREA, again=3)).all()
    assert (table[1] == uniform(4, AT[:100], Draw.RATIO, again=3)).all()


def test_normal_has_the_moments_of_a_normal():
    x = normal(1, AT, Draw.MIXUP)
    assert abs(x.mean()) < 0.012
    assert abs(x.std() - 1) < 0.01
    assert abs((x**3).mean()) < 0.04
    assert abs((x**4).mean() - 3) < 0.15


@pytest.mark.parametrize("alpha", [0.05, 0.2, 1.0, 4.0])
def test_beta_has_the_moments_of_a_beta(alpha):
    x = beta(2, AT[:50_000], Draw.MIXUP, alpha=alpha)
    assert x.min() >= 0
    assert x.max() <= 1
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(x.mean() - 0.5) < 5 * np.sqrt(variance / 50_000)
    assert abs(x.var() / variance - 1) < 0.05
    if alpha == 1:  # Beta(1, 1) is uniform
        assert 50 < bins(np.minimum(x, 1 - 1e-16)) < 165
