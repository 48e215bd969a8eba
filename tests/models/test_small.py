import numpy as np
import pytest
import torch

from eyas.errors import UsageError
from eyas.models import catalog


def inputs(h=32, w=32, c=3, classes=10):
    return catalog.Inputs(classes, h, w, c, [0.5] * c, [0.25] * c)


def build(name="small-net", *, seed=0, arguments=None, **shape):
    return catalog.build(catalog.find(name), inputs(**shape), arguments=arguments or {}, seed=seed)


def test_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    a = build(seed=5).state_dict()
    torch.manual_seed(2)
    b = build(seed=5).state_dict()
    assert all(torch.equal(a[k], b[k]) for k in a)
    c = build(seed=6).state_dict()
    assert any(not torch.equal(a[k], c[k]) for k in a)


def test_building_leaves_the_callers_generator_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    build()
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(("h", "w", "c"), [(24, 24, 1), (32, 32, 3), (64, 48, 3), (100, 100, 3)])
def test_the_small_net_takes_any_size(h, w, c):
    logits = build(h=h, w=w, c=c)(torch.zeros(2, h, w, c, dtype=torch.uint8))
    assert logits.shape == (2, 10)


def test_the_whitened_layer_gives_uncorrelated_outputs():
    net = build()
    g = np.random.default_rng(0)
    rough = g.integers(0, 256, (64, 16, 16, 3)).repeat(2, 1).repeat(2, 2).astype(np.uint8)
    net.prepare(torch.from_numpy(rough))
    x = net.normalise(torch.from_numpy(rough))
    filters = net.whiten.weight[:12]
    out = torch.nn.functional.conv2d(x, filters).transpose(0, 1).flatten(1)
    covariance = torch.cov(out)
    off = covariance - torch.diag(covariance.diagonal())
    assert float(off.abs().max()) < 0.05 * float(covariance.diagonal().max())


@pytest.mark.parametrize(
    ("code", "attempt"),
    [
        ("EY-U120", lambda: catalog.find("smal-net")),
        ("EY-U121", lambda: build(h=16)),
        ("EY-U121", lambda: build("fashion-cnn")),
        ("EY-U122", lambda: build(arguments={"widht": 8})),
        ("EY-U122", lambda: build(arguments={"width": 0})),
    ],
)
def test_what_a_net_cannot_take_is_said(code, attempt):
    with pytest.raises(UsageError, match=code):
        attempt()


def test_a_misspelt_model_gets_the_nearest_name():
    with pytest.raises(UsageError, match="small-net"):
        catalog.find("smal-net")
