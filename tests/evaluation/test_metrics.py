"""Metrics are checked against formulas written another way, not against stored numbers."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyas.errors import DataError
from eyas.evaluation import metrics


@st.composite
def scored(draw, least=1):
    n = draw(st.integers(least, 40))
    classes = draw(st.integers(2, 9))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    raw = rng.integers(0, 5, (n, classes)).astype(np.float64) + 0.01  # small integers: ties are common
    scores = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
    return scores, rng.integers(0, classes, n)


counts = st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.floats(0.5, 0.999))
def test_wilson_holds_the_rate_and_stays_within_0_and_1(pair, level):
    lo, hi = metrics.wilson(*pair, level=level)
    assert 0 <= lo <= pair[0] / pair[1] <= hi <= 1
    assert lo < hi


@given(counts)
def test_wilson_ends_solve_the_score_equation(pair):
    # The definition: at each end e, |p - e| is z standard errors of a true rate e.
    correct, n = pair
    z = 1.959963984540054
    for e in metrics.wilson(correct, n):
        assert (correct / n - e) ** 2 == pytest.approx(z * z * e * (1 - e) / n, rel=1e-6, abs=1e-12)


@given(counts)
def test_wilson_is_symmetric_and_wider_at_a_higher_level(pair):
    correct, n = pair
    lo, hi = metrics.wilson(correct, n)
    mirror = metrics.wilson(n - correct, n)
    assert (1 - hi, 1 - lo) == pytest.approx(mirror, abs=1e-12)
    wide = metrics.wilson(correct, n, level=0.99)
    assert wide[0] <= lo
    assert wide[1] >= hi


def test_wilson_of_nothing_is_everything():
    assert metrics.wilson(0, 0) == (0.0, 1.0)
    assert metrics.wilson(0, 10)[0] == 0.0
    assert metrics.wilson(10, 10)[1] == 1.0


def test_wilson_covers_the_truth_as_often_as_it_says():
    # Exact, over every outcome of a binomial: the mean coverage over many rates is 95 %.
    n = 60
    ends = [metrics.wilson(k, n) for k in range(n + 1)]
    cover = []
    for p in np.linspace(0.05, 0.95, 91):
        pmf = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
        cover.append(sum(m for m, (lo, hi) in zip(pmf, ends, strict=True) if lo <= p <= hi))
    assert 0.945 < np.mean(cover) < 0.96
    assert min(cover) > 0.9


@given(scored())
def test_top_k_agrees_with_a_stable_sort_and_top_1_is_accuracy(case):
    scores, labels = case
    order = np.argsort(-scores, axis=1, kind="stable")
    for k in (1, 3, 5):
        slow = np.mean([label in row[:k] for row, label in zip(order, labels, strict=True)])
        assert metrics.top_k(scores, labels, k=k) == pytest.approx(slow)
    assert metrics.top_k(scores, labels, k=1) == metrics.accuracy(scores, labels)
    assert metrics.top_k(scores, labels, k=scores.shape[1]) == 1


@given(scored())
def test_log_loss_agrees_with_a_plain_loop(case):
    scores, labels = case
    slow = [-math.log(min(max(float(row[label]), 1e-12), 1)) for row, label in zip(scores, labels, strict=True)]
    assert metrics.log_loss(scores, labels) == pytest.approx(sum(slow) / len(slow))


def test_an_impossible_label_costs_a_finite_loss():
    scores = np.array([[1, 0]], np.float32)
    assert metrics.log_loss(scores, np.array([1])) == pytest.approx(-math.log(1e-12))


@given(scored())
def test_confusion_counts_every_image_once(case):
    scores, labels = case
    counts = metrics.confusion(scores, labels)
    assert counts.sum() == len(labels)
    assert np.trace(counts) / len(labels) == pytest.approx(metrics.accuracy(scores, labels))
    slow = np.zeros_like(counts)
    for row, label in zip(scores, labels, strict=True):
        slow[label, int(np.argmax(row))] += 1
    assert np.array_equal(counts, slow)


@given(scored())
def test_class_scores_agree_with_their_definitions(case):
    scores, labels = case
    said = np.argmax(scores, axis=1)
    found = metrics.per_class(metrics.confusion(scores, labels))
    recalls, f1s = [], []
    for c, one in enumerate(found):
        support, taken, both = (labels == c).sum(), (said == c).sum(), ((labels == c) & (said == c)).sum()
        assert (one.support, one.predicted, one.correct) == (support, taken, both)
        assert one.interval == metrics.wilson(both, support)
        assert (one.recall is None) == (support == 0)
        assert (one.precision is None) == (taken == 0)
        if support:
            recalls.append(both / support)
        if support and taken and both:
            assert one.f1 == pytest.approx(2 / (1 / one.recall + 1 / one.precision))  # harmonic mean
        if one.f1 is not None:
            f1s.append(one.f1)
    counts = metrics.confusion(scores, labels)
    assert metrics.balanced_accuracy(counts) == pytest.approx(np.mean(recalls))
    assert metrics.macro_f1(counts) == pytest.approx(np.mean(f1s))


@given(scored())
def test_ece_agrees_with_binning_by_hand(case):
    scores, labels = case
    sure = scores.max(axis=1).astype(np.float64)
    right = np.argmax(scores, axis=1) == labels
    slow = 0.0
    for b in range(15):
        inside = [i for i in range(len(labels)) if b / 15 < sure[i] <= (b + 1) / 15]
        # a confidence within rounding of a bin's edge may fall on either side
        if any(abs(sure[i] * 15 - round(sure[i] * 15)) < 1e-9 for i in range(len(labels))):
            return
        if inside:
            slow += len(inside) / len(labels) * abs(np.mean(right[inside]) - np.mean(sure[inside]))
    assert metrics.ece(scores, labels) == pytest.approx(slow)


def test_ece_is_0_for_a_classifier_that_knows_and_large_for_one_that_only_believes():
    sure = np.tile(np.array([[1, 0]], np.float32), (10, 1))
    assert metrics.ece(sure, np.zeros(10, np.int64)) == 0
    assert metrics.ece(sure, np.ones(10, np.int64)) == 1


@given(scored(least=0))
def test_summary_is_json_and_names_its_classes(case):
    scores, labels = case
    names = [f"类{c}" for c in range(scores.shape[1])]
    found = metrics.summary(scores, labels)
    out = json.loads(json.dumps(found.to_dict(names), allow_nan=False))
    assert {"n", "accuracy", "interval", "top5", "loss", "ece", "per_class"} <= set(out)
    assert out["n"] == len(labels)
    assert out["interval"][0] <= out["accuracy"] <= out["interval"][1]
    assert [c["label"] for c in out["per_class"]] == names
    assert "class" in found.to_dict()["per_class"][0]


def test_scores_that_are_no_numbers_are_refused():
    scores = np.array([[0.5, 0.5], [np.nan, np.nan]], np.float32)
    with pytest.raises(DataError, match="EY-D170") as e:
        metrics.summary(scores, np.array([0, 0]))
    assert "1 of 2" in e.value.text("en")
    assert "EY-D170" in e.value.text("zh")
