"""Our updates are those of torch.optim, moments by name included."""

import pytest
import torch

from eyas.training.optimizer import Optimizer
from eyas.training.recipe import OptimizerChoice


def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8), torch.nn.Flatten(), torch.nn.Linear(32, 4)
    )


def theirs(choice, model):
    decayed = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": choice.weight_decay}, {"params": rest, "weight_decay": 0.0}]
    if choice.name == "sgd":
        return torch.optim.SGD(groups, lr=choice.lr, momentum=choice.momentum, nesterov=choice.nesterov)
    return torch.optim.AdamW(groups, lr=choice.lr, betas=choice.betas)


def learn(model, step):
    g = torch.Generator().manual_seed(1)
    for number in range(5):
        model.zero_grad()
        x = torch.randn(6, 3, 4, 4, generator=g)
        torch.nn.functional.cross_entropy(model(x), torch.randint(0, 4, (6,), generator=g)).backward()
        step(number)
    return [p.detach().clone() for p in model.parameters()]


@pytest.mark.parametrize(
    "choice",
    [
        OptimizerChoice("sgd", lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-2),
        OptimizerChoice("sgd", lr=0.1, momentum=0.5, nesterov=False, weight_decay=0.0),
        OptimizerChoice("sgd", lr=0.1, momentum=0.0, nesterov=True, weight_decay=1e-2),
        OptimizerChoice("adamw", lr=1e-2, weight_decay=0.05),
    ],
    ids=["nesterov", "heavy-ball", "plain", "adamw"],
)
def test_five_steps_are_torchs_five_steps(choice):
    a, b = net(), net()
    ours = Optimizer(choice, a)
    momentum_free = OptimizerChoice("sgd", lr=choice.lr, momentum=0.0, nesterov=False, weight_decay=choice.weight_decay)
    reference = theirs(momentum_free if choice.momentum == 0 else choice, b)
    mine = learn(a, lambda number: ours.step(choice.lr, number=number))
    other = learn(b, lambda number: reference.step())
    for x, y in zip(mine, other, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-5, atol=1e-6)


def test_norms_and_biases_do_not_decay():
    optimizer = Optimizer(OptimizerChoice(weight_decay=0.1), net())
    decayed = {n for g in optimizer.groups if g.weight_decay for n in g.names}
    assert decayed == {"0.weight", "3.weight"}


def test_a_parameter_may_have_a_rate_of_its_own():
    model = net()
    before = [p.detach().clone() for p in model.parameters()]
    model[3].weight.lr_scale = 0.0
    optimizer = Optimizer(OptimizerChoice("sgd", weight_decay=0.0), model)
    after = learn(model, lambda number: optimizer.step(0.1, number=number))
    names = [n for n, _ in model.named_parameters()]
    assert [n for n, x, y in zip(names, before, after, strict=True) if torch.equal(x, y)] == ["3.weight"]


def test_moments_are_kept_by_name_and_a_changed_head_starts_anew():
    model = net()
    optimizer = Optimizer(OptimizerChoice("adamw"), model)
    learn(model, lambda number: optimizer.step(1e-2, number=number))
    kept = {n: t.clone() for n, t in optimizer.moments().items()}
    assert {"0.weight/mean", "0.weight/square"} <= kept.keys()
    other = net()
    other[3] = torch.nn.Linear(32, 7)
    fresh = Optimizer(OptimizerChoice("adamw"), other)
    fresh.load(kept)
    found = fresh.moments()
    assert torch.equal(found["0.weight/mean"], kept["0.weight/mean"])
    assert not found["3.weight/mean"].any()


def test_moments_lie_in_memory_as_their_weights():
    model = net().to(memory_format=torch.channels_last)
    optimizer = Optimizer(OptimizerChoice("sgd"), model)
    assert optimizer.moments()["0.weight/momentum"].stride() == model[0].weight.stride()
