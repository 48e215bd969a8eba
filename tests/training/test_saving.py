"""What the background saver keeps: the last two, and the best however long ago it was."""

import torch

from eyas.training import checkpoint
from eyas.training.optimizer import Optimizer
from eyas.training.progress import Progress
from eyas.training.recipe import OptimizerChoice
from eyas.training.saving import Saver
from eyas.training.state import State


def test_the_best_survives_all_later_saves(tmp_path):
    model = torch.nn.Linear(3, 2)
    state = State(model, Optimizer(OptimizerChoice(), model))
    saver = Saver(tmp_path, fingerprints={}, small=lambda state, at: {"step": at.step})
    weights = {}
    for step in range(6):
        with torch.no_grad():
            model.weight.fill_(step)
        weights[step] = model.weight.detach().numpy().copy()
        list(saver.save(state, Progress(step=step), step == 1))
        assert all(saved.ok for saved in saver.drain())
    kept = sorted(p.name for p in checkpoint.listed(tmp_path))
    assert kept == [checkpoint.name_of(s, 0) for s in (1, 4, 5)]
    found = checkpoint.read(tmp_path / checkpoint.name_of(1, 0))
    assert (found.tensors["model"]["weight"] == weights[1]).all()
