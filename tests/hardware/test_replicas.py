import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eyas.hardware.replicas import One, Tree, bounds, part_seed
from eyas.training.average import ema_keep
from eyas.training.losses import cross_entropy
from eyas.training.optimizer import Optimizer
from eyas.training.progress import Progress
from eyas.training.recipe import OptimizerChoice, Recipe
from eyas.training.state import State, twin
from eyas.training.step import Part, supervised, update


@given(st.integers(1, 300), st.integers(1, 40))
def test_bounds_cover_all_rows_once_nearly_equal(size, parts):
    ranges = bounds(size, parts)
    assert [r for a, b in ranges for r in range(a, b)] == list(range(size))
    lengths = {b - a for a, b in ranges}
    assert max(lengths) - min(lengths) <= 1
    assert len(ranges) == min(size, parts)


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=20))
def test_the_tree_sums_all_leaves(values):
    tree = Tree()
    for v in values:
        tree.add([torch.tensor([v], dtype=torch.float64)])
    assert math.isclose(float(tree.total()[0]), math.fsum(values), abs_tol=1e-6)


def test_seeds_of_parts_differ():
    assert len({part_seed(s, t, p) for s in range(3) for t in range(50) for p in range(8)}) == 3 * 50 * 8


def net(*, dropout=0.0, norm=False):
    torch.manual_seed(0)
    layers = [torch.nn.Flatten(), torch.nn.Linear(12, 16)]
    if norm:
        layers.append(torch.nn.BatchNorm1d(16))
    layers += [torch.nn.ReLU(), torch.nn.Dropout(dropout), torch.nn.Linear(16, 3)]

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.Sequential(*layers)

        def forward(self, images):
            return self.layers(images.float() / 255)

    return Net()


def state_of(recipe, **options):
    model = net(**options)
    return State(model, Optimizer(recipe.optimizer, model), twin(model))


def steps(recipe, count, *, parts, poison=None, stop=lambda: False, **options):
    state = state_of(recipe, **options)
    replicas = One(parts=parts, seed=recipe.seed, device=torch.device("cpu"))
    g = torch.Generator().manual_seed(1)
    outcomes = []
    for step in range(count):
        images = torch.randint(0, 256, (24, 2, 2, 3), generator=g, dtype=torch.uint8)
        labels = torch.randint(0, 3, (24,), generator=g)
        inner = supervised(recipe, autocast=None)

        def part_step(state, part, step=step, inner=inner):
            loss = inner(state, part)
            if poison == step:
                state.parameters[0].grad.fill_(math.nan)
            return loss

        at = Progress(step=step, steps=count)
        outcomes.append(
            replicas.apply(
                part_step,
                state,
                lambda a, b, images=images, labels=labels: Part(images[a:b], labels[a:b], 24),
                size=24,
                step=step,
                update=lambda s, loss, at=at: update(s, recipe, 0.05, at),
                stop=stop,
            )
        )
    return state, outcomes


def weights(state):
    return torch.cat([p.detach().flatten() for p in state.model.parameters()])


@pytest.mark.parametrize(
    "optimizer", [OptimizerChoice("sgd", momentum=0.9), OptimizerChoice("adamw", betas=(0.9, 0.99))]
)
def test_one_part_and_four_parts_learn_the_same(optimizer):
    recipe = Recipe("net", optimizer=optimizer, clip_norm=1.0, smoothing=0.1, ema=0.1)
    one, _ = steps(recipe, 5, parts=1)
    four, _ = steps(recipe, 5, parts=4)
    torch.testing.assert_close(weights(one), weights(four), rtol=1e-4, atol=1e-6)


def test_the_same_parts_give_the_same_bits():
    recipe = Recipe("net", ema=0.1)
    a, _ = steps(recipe, 6, parts=3, dropout=0.5, norm=True)
    b, _ = steps(recipe, 6, parts=3, dropout=0.5, norm=True)
    assert torch.equal(weights(a), weights(b))
    assert all(torch.equal(x, y) for x, y in zip(a.float_buffers, b.float_buffers, strict=True))


def test_dropout_differs_from_part_to_part_and_step_to_step():
    recipe = Recipe("net")
    seen = []
    state = state_of(recipe, dropout=0.5)
    replicas = One(parts=2, seed=0, device=torch.device("cpu"))

    def part_step(state, part):
        seen.append(torch.rand(4))
        return supervised(recipe, autocast=None)(state, part)

    images, labels = torch.zeros(4, 2, 2, 3, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64)
    for step in range(2):
        replicas.apply(
            part_step,
            state,
            lambda a, b: Part(images[a:b], labels[a:b], 4),
            size=4,
            step=step,
            update=lambda s, loss: True,
            stop=lambda: False,
        )
    assert len({tuple(t.tolist()) for t in seen}) == 4


def test_a_gradient_that_is_not_finite_changes_nothing():
    recipe = Recipe("net", ema=0.1)
    before, _ = steps(recipe, 2, parts=2, norm=True)
    after, outcomes = steps(recipe, 3, parts=2, norm=True, poison=2)
    assert [o.accepted for o in outcomes] == [True, True, False]
    assert torch.equal(weights(before), weights(after))
    assert all(torch.equal(x, y) for x, y in zip(before.float_buffers, after.float_buffers, strict=True))
    assert all(torch.equal(x, y) for x, y in zip(before.averages, after.averages, strict=True))


def test_being_asked_to_stop_drops_the_half_done_step():
    recipe = Recipe("net")
    fresh = state_of(recipe, norm=True)
    stopped, outcomes = steps(recipe, 1, parts=2, norm=True, stop=lambda: True)
    assert outcomes == [None]
    assert torch.equal(weights(fresh), weights(stopped))
    assert all(torch.equal(x, y) for x, y in zip(fresh.float_buffers, stopped.float_buffers, strict=True))


def test_mixed_targets_are_the_weighted_sum():
    logits = torch.randn(5, 3)
    a, b = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 1, 0, 2, 0])
    own = torch.tensor([1.0, 0.3, 0.5, 0.0, 0.8])
    expected = (
        own * torch.nn.functional.cross_entropy(logits, a, reduction="none")
        + (1 - own) * torch.nn.functional.cross_entropy(logits, b, reduction="none")
    ).sum()
    torch.testing.assert_close(cross_entropy(logits, a, partner_labels=b, own=own), expected)


def test_clipping_makes_the_norm_what_was_asked():
    recipe = Recipe("net", clip_norm=0.01, optimizer=OptimizerChoice("sgd", momentum=0.0, weight_decay=0.0))
    state = state_of(recipe)
    before = weights(state)
    for p in state.parameters:
        p.grad = torch.full_like(p, 3.0)
    assert update(state, recipe, 1.0, Progress())
    assert math.isclose(float((weights(state) - before).norm()), 0.01, rel_tol=1e-3)


def test_the_average_follows_the_weights_by_its_rule():
    recipe = Recipe("net", ema=0.5)
    state = state_of(recipe, norm=True)
    expected = [t.clone() for t in state.averages]
    for step in range(3):
        at = Progress(step=step, steps=3)
        for p in state.parameters:
            p.grad = torch.ones_like(p)
        assert update(state, recipe, 0.1, at)
        keep = ema_keep(at, recipe.ema)
        expected = [keep * e + (1 - keep) * t for e, t in zip(expected, state.averaged, strict=True)]
    assert not torch.equal(state.averages[0], state.averaged[0])
    for found, wanted in zip(state.averages, expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_part_step_uses_the_smoothing_of_its_recipe():
    images = torch.randint(0, 256, (8, 2, 2, 3), dtype=torch.uint8)
    labels = torch.arange(8) % 3
    state = state_of(Recipe("net"))
    losses = {}
    for smoothing in (0.0, 0.3):
        part_step = supervised(Recipe("net", smoothing=smoothing), autocast=None)
        losses[smoothing] = part_step(state, Part(images, labels, 8))
        logits = state.model(images)
        wanted = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")
        torch.testing.assert_close(losses[smoothing], wanted.detach())
    assert losses[0.0] != losses[0.3]
