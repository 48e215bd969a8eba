"""The fast way of computing the Fashion net is the net: logits, gradients and statistics agree with the modules'."""

import copy
import io

import pytest
import torch
from torch.nn import functional as F

from eyas.data.source import find
from eyas.models.fashion import FashionCNN
from eyas.models.normalise import Normalise


def pair(seed=0):
    torch.manual_seed(seed)
    fast = FashionCNN(classes=10, normalise=Normalise([0.286], [0.353]))
    with torch.no_grad():
        for bn in (fast.bn1, fast.bn2):
            bn.weight.uniform_(0.5, 1.5)
            bn.bias.normal_(0, 0.3)
            bn.running_mean.normal_()
            bn.running_var.uniform_(0.5, 2)
    plain = copy.deepcopy(fast)
    plain.plain = True
    return fast, plain


def images(n, kind):
    samples = find("fashion-sample")
    labels = torch.from_numpy(samples.labels[:n].astype("int64"))
    if kind == "real":
        return torch.from_numpy(samples.source.images[:n].reshape(n, 28, 28, 1).copy()), labels
    if kind == "flat":  # every pooling window is a tie
        levels = (torch.arange(n) % 200).to(torch.uint8)
        return levels[:, None, None, None].expand(n, 28, 28, 1).contiguous(), labels
    return torch.randint(0, 256, (n, 28, 28, 1), dtype=torch.uint8), labels


def distance(a, b):
    a, b = a.detach().double(), b.detach().double()
    return float((a - b).norm() / b.norm().clamp_min(1e-12))


def learn(model, x, y):
    model.zero_grad()
    logits = model(x)
    F.cross_entropy(logits, y).backward()
    return {"logits": logits, **{k: p.grad for k, p in model.named_parameters()}, **dict(model.named_buffers())}


@pytest.mark.parametrize("n", [2, 3, 32, 128, 257])
@pytest.mark.parametrize("kind", ["real", "noise"])
@pytest.mark.parametrize("mode", ["train", "eval", "bn1-frozen"])
def test_it_is_as_near_to_the_exact_net_as_the_modules_are(n, kind, mode):
    fast, plain = pair()
    exact = copy.deepcopy(plain).double()
    exact.normalise.float()
    exact.normalise.forward = lambda x, inner=plain.normalise: inner(x).double()
    x, y = images(n, kind)
    for model in (fast, plain, exact):
        model.train(mode != "eval")
        if mode == "bn1-frozen":
            model.bn1.eval()
    found, modules, truth = learn(fast, x, y), learn(plain, x, y), learn(exact, x, y)
    for name, value in truth.items():
        if name.endswith("num_batches_tracked"):
            assert found[name] == value
        elif "normalise" not in name:
            allowed = max(1e-5, 4 * distance(modules[name], value))  # sums that cancel are noisy either way
            assert distance(found[name], value) < allowed, name


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_its_way_past_autograd_gives_the_loss_and_the_gradients_of_autograd_and_adds_them_up(smoothing):
    fast, other = pair()[0], pair()[0]
    x, y = images(96, "real")
    told = [fast.supervise(x, y, smoothing=smoothing, batch_size=200) for _ in range(2)]
    losses = [F.cross_entropy(other(x), y, label_smoothing=smoothing, reduction="sum") for _ in range(2)]
    for loss, expected in zip(told, losses, strict=True):
        (expected / 200).backward()
        assert distance(loss, expected) < 1e-6
    for (name, p), q in zip(fast.named_parameters(), other.parameters(), strict=True):
        assert distance(p.grad, q.grad) < 1e-5, name
        p.grad.mul_(2)  # as clipping would
    for (name, a), b in zip(fast.named_buffers(), other.buffers(), strict=True):
        assert torch.equal(a, b), name


def test_its_way_past_autograd_is_not_taken_where_it_does_not_apply():
    fast, plain = pair()
    x, y = images(16, "real")
    assert plain.supervise(x, y, smoothing=0.0, batch_size=16) is None
    fast.fc2.weight.requires_grad_(False)
    assert fast.supervise(x, y, smoothing=0.0, batch_size=16) is None
    assert all(p.grad is None for p in fast.parameters())


def test_ties_in_a_pooling_window_go_to_the_first_as_in_torch():
    fast, plain = pair()
    x, y = images(64, "flat")
    found, expected = learn(fast, x, y), learn(plain, x, y)
    assert distance(found["conv1.weight"], expected["conv1.weight"]) < 1e-3


def test_the_same_batch_gives_the_same_bits_and_forwards_may_nest():
    fast, _ = pair()
    other = copy.deepcopy(fast)
    x, y = images(128, "real")
    a, b = learn(fast, x, y), learn(other, x, y)
    assert all(torch.equal(a[k], b[k]) for k in a)
    nested, plain = pair(1)
    x2, y2 = images(128, "noise")
    for model in (nested, plain):
        first = F.cross_entropy(model(x), y)
        (first + F.cross_entropy(model(x2), y2)).backward()
    for (name, p), q in zip(nested.named_parameters(), plain.parameters(), strict=True):
        assert distance(p.grad, q.grad) < 1e-3, name


def test_a_second_backward_is_refused_not_wrong():
    fast, _ = pair()
    x, y = images(8, "real")
    loss = F.cross_entropy(fast(x), y)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="second backward"):
        loss.backward()


def test_scoring_without_a_graph_gives_the_same_logits():
    fast, _ = pair()
    fast.eval()
    x, _ = images(33, "real")
    with torch.inference_mode():
        a = fast(x)
    assert torch.equal(a, fast(x).detach())


def test_other_cases_take_the_ordinary_modules():
    fast, plain = pair()
    x, _ = images(4, "real")
    fast.eval()
    plain.eval()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(fast(x), plain(x))
    seen = []
    fast.conv1.register_forward_hook(lambda *a: seen.append(1))
    assert torch.equal(fast(x), plain(x))
    assert seen


def test_weights_are_those_of_the_plain_net():
    fast, plain = pair()
    buffer = io.BytesIO()
    torch.save(fast.state_dict(), buffer)
    buffer.seek(0)
    plain.load_state_dict(torch.load(buffer, weights_only=True))
    assert fast.state_dict().keys() == plain.state_dict().keys()
