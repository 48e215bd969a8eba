import math

from hypothesis import given
from hypothesis import strategies as st

from eyas.training.progress import Progress
from eyas.training.schedule import ScheduleChoice, constant, cosine, one_cycle, steps_down, warm_up

NAMES = ("1cycle", "cosine", "step", "constant")


def at(step, steps=1000):
    return Progress(step=step, steps=steps)


@given(st.sampled_from(NAMES), st.floats(0, 0.5), st.integers(0, 1000))
def test_every_factor_is_between_nothing_and_the_peak(name, warmup, step):
    assert 0 <= ScheduleChoice(name, warmup).build()(at(step)) <= 1


def test_one_cycle_peaks_once_where_it_should():
    factors = [one_cycle(peak=0.3)(at(s)) for s in range(1001)]
    assert max(range(1001), key=factors.__getitem__) == 300
    assert factors[300] == 1
    assert factors[:301] == sorted(factors[:301])
    assert factors[300:] == sorted(factors[300:], reverse=True)


def test_cosine_goes_from_one_to_its_end():
    assert cosine(0.1)(at(0)) == 1
    assert math.isclose(cosine(0.1)(at(1000)), 0.1)


def test_steps_down_falls_at_its_milestones():
    f = steps_down((0.5,), 0.1)
    assert (f(at(499)), f(at(500))) == (1.0, 0.1)


def test_warm_up_rises_and_hands_over():
    f = warm_up(constant(), 0.1)
    ramp = [f(at(s)) for s in range(100)]
    assert ramp == sorted(ramp)
    assert ramp[0] < 0.02
    assert f(at(100)) == 1


def test_with_an_unknown_total_the_rate_stays_at_its_start():
    f = one_cycle(start=0.04)
    assert math.isclose(f(Progress(step=500, steps=1_000_000_000)), 0.04, rel_tol=1e-3)
