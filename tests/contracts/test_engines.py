"""One suite over every engine: shapes, batch invariance, order, emptiness, agreement with the module."""

import numpy as np
import pytest
import torch

from eyas.engines.eager import Eager
from eyas.models import catalog

SHAPES = {"small-net": (32, 32, 3), "fashion-cnn": (28, 28, 1)}


@pytest.fixture(params=sorted(SHAPES))
def engine(request):
    h, w, c = SHAPES[request.param]
    inputs = catalog.Inputs(7, h, w, c, [0.5] * c, [0.25] * c)
    model = catalog.build(catalog.find(request.param), inputs, arguments={}, seed=3)
    return Eager(model, batch=8), (h, w, c)


def some(shape, n):
    return np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)


def test_one_row_of_probabilities_per_image(engine):
    made, shape = engine
    p = made.probabilities(some(shape, 11))
    assert p.shape == (11, 7)
    assert p.dtype == np.float32
    np.testing.assert_allclose(p.sum(1), 1, rtol=1e-5)


def test_no_images_give_no_rows(engine):
    made, shape = engine
    assert made.probabilities(some(shape, 0)).shape == (0, 7)


def test_an_answer_does_not_depend_on_its_batch(engine):
    made, shape = engine
    images = some(shape, 21)
    whole = made.logits(images)
    assert np.array_equal(whole, np.concatenate([made.logits(images[i : i + 1]) for i in range(21)]))
    assert np.array_equal(whole[::-1], made.logits(images[::-1]))


def test_the_module_is_left_in_the_mode_it_was_in(engine):
    made, shape = engine
    made.module.train()
    made.logits(some(shape, 3))
    assert made.module.training


def test_it_answers_what_the_module_answers(engine):
    made, shape = engine
    images = some(shape, 8)
    with torch.inference_mode():
        expected = made.module.eval()(torch.from_numpy(images)).numpy()
    np.testing.assert_allclose(made.logits(images), expected, rtol=1e-4, atol=1e-5)
