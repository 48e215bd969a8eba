"""Workload F: Fashion-MNIST with the net of the XLA article, against the article's own loop.

    ./scripts/bench fashion            # alternating epochs, then one cold run of 50 epochs and one of 2
    ./scripts/bench fashion --rounds 4 --skip-cold

The article: 50 epochs, batch 128 on each of 8 TPU cores, SGD 0.01 x 8, momentum 0.5: 269 s, over 89 %. Its loop is
written out below: `DataLoader` with 4 workers, images as PIL, ToTensor and Normalize one by one, fp32, default layout.
All arms train the same net on the same 60,000 images; an epoch of each in turn. Headline: equal batch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from eyas.data.augment import Augment
from eyas.data.order import Shuffled
from eyas.data.pack import Pack
from eyas.data.samples import ArraySource, Split
from eyas.data.source import find
from eyas.data.stream import Stream
from eyas.hardware.plan import Job, Wishes, decide
from eyas.hardware.replicas import One
from eyas.machine import look
from eyas.models import catalog
from eyas.training.feed import StreamFeed
from eyas.training.loop import Hooks, start, train
from eyas.training.optimizer import Optimizer
from eyas.training.recipe import OptimizerChoice, Recipe
from eyas.training.schedule import ScheduleChoice
from eyas.training.state import State
from eyas.training.step import supervised
from paired import Arm, environment, keep, measure, table

ARTICLE = "article's loop, 4 workers"


class ArticleNet(nn.Module):
    """The article's net as published: log-softmax at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(1, 10, 5), nn.BatchNorm2d(10)
        self.conv2, self.bn2 = nn.Conv2d(10, 20, 5), nn.BatchNorm2d(20)
        self.fc1, self.fc2 = nn.Linear(320, 50), nn.Linear(50, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Log-probabilities (n, 10)."""
        x = self.bn1(F.relu(F.max_pool2d(self.conv1(x), 2)))
        x = self.bn2(F.relu(F.max_pool2d(self.conv2(x), 2)))
        x = F.relu(self.fc1(x.flatten(1)))
        return F.log_softmax(self.fc2(x), dim=1)


class PerSample(Dataset[tuple[torch.Tensor, int]]):
    """What torchvision's FashionMNIST with Compose([ToTensor(), Normalize()]) does, written out."""

    def __init__(self, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> None:
        self.images, self.labels = torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64))
        self.mean, self.std = torch.tensor([0.1307]).view(-1, 1, 1), torch.tensor([0.3081]).view(-1, 1, 1)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        picture = Image.fromarray(self.images[i].numpy(), mode=None)
        x = torch.from_numpy(np.array(picture, np.uint8, copy=True)).view(28, 28, 1).permute(2, 0, 1).contiguous()
        x = x.to(torch.float32).div(255)
        return x.clone().sub_(self.mean).div_(self.std), int(self.labels[i])


def article(data: PerSample, workers: int) -> Callable[[], int]:
    """An epoch of the article's loop; the net goes on learning from call to call."""
    torch.manual_seed(0)
    net = ArticleNet()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.5)
    loader = DataLoader(data, batch_size=128, shuffle=True, num_workers=workers, drop_last=True)

    def epoch() -> int:
        net.train()
        for images, labels in loader:
            optimizer.zero_grad()
            F.nll_loss(net(images), labels).backward()
            optimizer.step()
        return len(data)

    return epoch


def ours(images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], *, batch: int) -> Callable[[], int]:
    """An epoch of eyas's own loop: the same stream, replicas, guard and update as `eyas train`, no evaluation."""
    n = len(labels)
    recipe = Recipe(
        "fashion-cnn",
        epochs=1_000,
        batch_size=batch,
        optimizer=OptimizerChoice("sgd", lr=0.01 * batch / 128, momentum=0.5, nesterov=False, weight_decay=0.0),
        schedule=ScheduleChoice("constant"),
    )
    plan = decide(look(), Job(784, per_image_resampling=False, batch_size=batch, cuda=False), Wishes())
    pack = Pack.in_memory(np.ascontiguousarray(images[..., None]))
    stream = Stream(pack, np.arange(n), labels, Shuffled(n, 0), Augment(), 0, 28, 28)
    inputs = catalog.Inputs(10, 28, 28, 1, [0.2860], [0.3530])
    model = catalog.build(catalog.find("fashion-cnn"), inputs, arguments={}, seed=0)
    state = State(model, Optimizer(recipe.optimizer, model))
    feed = StreamFeed(stream, device=torch.device("cpu"), threads=plan.whole("loader_threads"))
    autocast = torch.bfloat16 if plan["precision"] == "bf16" else None
    hooks = Hooks(None, lambda state, at, best: iter(()), lambda at: False, lambda at: None, lambda: None)
    replicas = One(parts=1, seed=0, device=torch.device("cpu"))
    loop = train(
        state,
        start(recipe, n),
        recipe,
        replicas=replicas,
        part_step=supervised(recipe, autocast=autocast),
        feed=feed,
        hooks=hooks,
    )
    steps = -(-n // batch)

    def epoch() -> int:
        done = 0
        for event in loop:
            done += type(event).__name__ == "Stepped"
            if done == steps:
                break
        return steps * batch

    return epoch


def best_workers(data: PerSample) -> int:
    """The worker count with the fastest epoch of the article's loop, one epoch each."""
    took = {}
    for workers in (0, 1, 2, 4):
        run = article(data, workers)
        begun = time.perf_counter()
        run()
        took[workers] = time.perf_counter() - begun
        print(f"article's loop with {workers} workers: {took[workers]:.1f} s an epoch", file=sys.stderr)
    return min(took, key=lambda w: took[w])


def cold(*arguments: str) -> dict[str, Any]:
    """One `eyas train` from process start to its end: seconds and test accuracy."""
    with tempfile.TemporaryDirectory() as folder:
        eyas = str(Path(sys.executable).with_name("eyas"))
        command = [eyas, "train", "fashion-mnist", "--model", "fashion-cnn", "--val", "none", *arguments, "--json"]
        begun = time.perf_counter()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        seconds = time.perf_counter() - begun
        told = json.loads(done.stdout)
    test = told["test"]
    found = {
        "command": command[1:],
        "seconds": seconds,
        "test_accuracy": test["accuracy"],
        "interval": test["interval"],
    }
    found |= {"images_per_second": told["images_per_second"], "loader_tax": told["loader_tax"]}
    print(f"{' '.join(command[1:])}: {seconds:.1f} s, test accuracy {test['accuracy']:.4f}", file=sys.stderr)
    return found


def main() -> None:
    """Run and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--chosen-batch", type=int, default=512)
    parser.add_argument("--skip-cold", action="store_true")
    told = parser.parse_args()

    samples = find("fashion-mnist")
    assert isinstance(samples.source, ArraySource)
    rows = samples.rows(Split.TRAIN)
    images, labels = samples.source.images[rows].reshape(-1, 28, 28), samples.labels[rows]
    torch.set_num_threads(look().cores)
    data = PerSample(images, labels)
    workers = best_workers(data)
    arms = [
        Arm(ARTICLE, article(data, 4)),
        Arm(f"article's loop, {workers} workers (its best)", article(data, workers)),
        Arm("eyas, batch 128", ours(images, labels, batch=128)),
        Arm(f"eyas, batch {told.chosen_batch}", ours(images, labels, batch=told.chosen_batch)),
    ]
    attempt = measure(arms, baseline=ARTICLE, rounds=told.rounds, settings={"best_workers": workers})
    print(table(attempt))
    if not told.skip_cold:
        attempt["cold"] = [
            cold("--epochs", "50"),
            cold("--epochs", "50", "--batch-size", "128", "--lr", "0.01", "--momentum", "0.5", "--weight-decay", "0",
                 "--schedule", "constant"),
            cold("--epochs", "2"),
        ]  # fmt: skip
    print(keep("fashion", attempt | {"environment": environment()}))


if __name__ == "__main__":
    main()
