"""Folders of photographs: packing, the first epoch and later ones, against torch's DataLoader; what feeding a net takes.

    ./scripts/bench photos --photos photos300.tar                # 3,000 of 500x375 and 300 of 12 megapixels, 5 rounds
    ./scripts/bench photos --photos photos300.tar --tiny         # the same in a minute, to see whether it runs

`--photos` is a tar or a folder of JPEGs (or EYAS_TEST_DATA names the folder that holds photos300.tar). They are repeated
to 3,000 files; 300 photographs of 4000x3000 are made of them by enlarging and adding the noise that cameras add.

The baseline is `torch.utils.data.DataLoader` with Pillow and the transforms of torchvision, written out here operation
by operation (torchvision itself does not have to be there), and the best of 0, 1, 2 and 4 workers, which persist. Both
arms cut the same boxes in distribution: what is done is printed. The baseline hands out normalised float32; eyas hands
out uint8, as its nets take it (they normalise inside), so a third arm normalises on top.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset

from eyas.artifact.preprocess import Fit, Preprocess
from eyas.data import packing
from eyas.data.augment import Augment
from eyas.data.order import Shuffled
from eyas.data.pack import Pack
from eyas.data.prefetch import ahead
from eyas.data.samples import FileSource, Samples
from eyas.data.stream import Stream
from eyas.machine import look
from eyas.training.feed import StreamFeed
from paired import Arm, environment, keep, measure, table

SIDE, PAD, BATCH = 224, 16, 32
SHARE = (0.35, 1.0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
FIT = Fit(short_side=291, channels=3)
COVER = Preprocess(SIDE, SIDE, 3, "none", SIDE, (0.0,) * 3, (1.0,) * 3)
AUGMENTATIONS = {
    "crop and flip": f"resize and centre crop to {SIDE}, reflect {PAD} around, random crop, random flip",
    "random resized crop": f"random box of {SHARE[0]:g}..{SHARE[1]:g} of the area (aspect 3/4..4/3) to {SIDE}, random flip",
}


# ---- the photographs ------------------------------------------------------------------------------------------------


def photographs(given: Path, work: Path) -> list[Path]:
    """The JPEGs of a folder or a tar (unpacked into the work folder)."""
    if given.is_file():
        folder = work / "given"
        with tarfile.open(given) as tar:
            tar.extractall(folder, filter="data")
        given = folder
    return sorted(p for p in given.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))


def repeated(photos: list[Path], n: int, folder: Path) -> list[Path]:
    """`n` files: the photographs again and again, in ten folders."""
    out: list[Path] = []
    for i, photo in zip(range(n), itertools.cycle(photos), strict=False):
        path = folder / f"class{i % 10}" / f"{i:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        out.append(Path(shutil.copyfile(photo, path)))
    return out


def enlarged(photos: list[Path], n: int, folder: Path) -> list[Path]:
    """`n` files of 12 megapixels, quality 90, with noise of three grey levels: about 3 to 5 MB each."""
    noise = np.random.default_rng(0).normal(0, 3, (3000, 4000, 3)).astype(np.int16)
    out: list[Path] = []
    for i, photo in zip(range(n), itertools.cycle(photos), strict=False):
        picture = Image.open(photo).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
        pixels = np.clip(np.asarray(picture) + np.roll(noise, 131 * i, axis=0), 0, 255).astype(np.uint8)
        path = folder / f"class{i % 10}" / f"{i:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=90)
        out.append(path)
    return out


# ---- the baseline: torchvision's transforms, written out ------------------------------------------------------------


def to_tensor(picture: Image.Image) -> torch.Tensor:
    """`ToTensor`, then `Normalize`."""
    pixels = torch.from_numpy(np.array(picture, copy=True)).permute(2, 0, 1).contiguous()
    image = pixels.to(torch.float32).div(255).clone()
    return image.sub_(torch.tensor(MEAN)[:, None, None]).div_(torch.tensor(STD)[:, None, None])


def crop_and_flip(picture: Image.Image) -> Image.Image:
    """`Resize(224)`, `CenterCrop(224)`, `RandomCrop(224, padding=16, padding_mode="reflect")`, a flip."""
    w, h = picture.size
    size = (SIDE, int(SIDE * h / w)) if w <= h else (int(SIDE * w / h), SIDE)
    picture = picture.resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - SIDE) / 2), round((size[1] - SIDE) / 2)
    picture = picture.crop((left, top, left + SIDE, top + SIDE))
    wide = Image.fromarray(np.pad(np.asarray(picture), ((PAD, PAD), (PAD, PAD), (0, 0)), mode="reflect"))
    left, top = random.randint(0, 2 * PAD), random.randint(0, 2 * PAD)
    picture = wide.crop((left, top, left + SIDE, top + SIDE))
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else picture


def resized_crop(picture: Image.Image) -> Image.Image:
    """`RandomResizedCrop(224, scale=(0.35, 1))`, a flip."""
    wide, high = picture.size
    for _ in range(10):
        area = wide * high * random.uniform(*SHARE)
        aspect = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= wide and 0 < h <= high:
            left, top = random.randint(0, wide - w), random.randint(0, high - h)
            break
    else:
        w, h = min(wide, round(high * 4 / 3)), min(high, round(wide * 4 / 3))
        left, top = (wide - w) // 2, (high - h) // 2
    picture = picture.crop((left, top, left + w, top + h)).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if random.random() < 0.5 else picture


TRANSFORMS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "crop and flip": crop_and_flip,
    "random resized crop": resized_crop,
}


class Photos(Dataset[tuple[torch.Tensor, int]]):
    """What torchvision's ImageFolder does."""

    def __init__(self, files: list[Path], transform: Callable[[Image.Image], Image.Image]) -> None:
        self.files = [str(path) for path in files]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        with open(self.files[number], "rb") as file:  # noqa: PTH123 - as torchvision does
            picture = Image.open(file).convert("RGB")
        return to_tensor(self.transform(picture)), number % 10


def loader(files: list[Path], augmentation: str, workers: int) -> DataLoader[tuple[torch.Tensor, int]]:
    return DataLoader(
        Photos(files, TRANSFORMS[augmentation]),
        batch_size=BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def drained(batches: Iterator[Any]) -> int:
    """How many images came."""
    return sum(len(batch[0]) for batch in batches)


def best_workers(files: list[Path], augmentation: str, counts: tuple[int, ...] = (0, 1, 2, 4)) -> dict[str, Any]:
    """Images a second for each number of workers, in a second epoch, and the best of them."""
    rates: dict[int, float] = {}
    for workers in counts:
        made = loader(files, augmentation, workers)
        drained(iter(made))
        begun = time.perf_counter()
        rates[workers] = drained(iter(made)) / (time.perf_counter() - begun)
        del made
    return {"rates": rates, "best": max(rates, key=lambda workers: rates[workers])}


# ---- ours -----------------------------------------------------------------------------------------------------------


def samples_of(files: list[Path], folder: Path) -> Samples:
    names = tuple(path.relative_to(folder).as_posix() for path in files)
    labels = (np.arange(len(files)) % 10).astype(np.int32)
    classes = tuple(f"class{i}" for i in range(10))
    return Samples(FileSource(folder, names), classes, labels, np.zeros(len(files), np.uint8), "class folders", folder)


def packed(samples: Samples, augmentation: str, cache: Path) -> Pack:
    program = COVER if augmentation == "crop and flip" else FIT
    return packing.build(samples, np.arange(len(samples)), program=program, cache=cache, workers=look().cores)


def stream_of(pack: Pack, samples: Samples, augmentation: str) -> Stream:
    n = len(samples)
    if augmentation == "crop and flip":
        augment = Augment(flip="random", pad_crop=PAD)
    else:
        augment = Augment(flip="random", resized_crop=SHARE)
    return Stream(pack, np.arange(n), samples.labels, Shuffled(n, 0), augment, 0, SIDE, SIDE)


def epoch(stream: Stream, *, normalise: bool = False) -> int:
    """Every batch of one epoch, made by a thread for each core; normalised as the baseline does, when asked."""
    n, threads = stream.epoch_size, look().cores
    keys = [(at, min(BATCH, n - at)) for at in range(0, n, BATCH)]
    seen = 0
    mean, std = (torch.tensor(v)[None, :, None, None] * 255 for v in (MEAN, STD))
    for batch in ahead(lambda key: stream.batch(*key), keys, depth=2 * threads, threads=threads):
        if normalise:
            (torch.from_numpy(batch.images).permute(0, 3, 1, 2).float() - mean) / std
        seen += len(batch)
    return seen


# ---- the limit: the same decoding and nothing else, on all cores by processes ---------------------------------------

BARE = f"""
import io, sys
import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
side = {FIT.short_side}
print("ready", flush=True)
for line in sys.stdin:
    for name in line.rstrip("\\n").split("|"):
        with open(name, "rb") as file:
            picture = JpegImageFile(io.BytesIO(file.read()))
        picture.draft(None, (side, side))
        picture.load()
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        w, h = picture.size
        scale = side / min(w, h)
        if scale < 1:
            picture = picture.resize((round(w * scale), round(h * scale)), Image.Resampling.BILINEAR)
        np.asarray(picture)
    print("done", flush=True)
"""


class Limit:
    """Processes that decode what they are told and throw it away."""

    def __init__(self, workers: int) -> None:
        command = [sys.executable, "-c", BARE]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.crew = [subprocess.Popen(command, **pipes) for _ in range(workers)]
        for process in self.crew:
            assert process.stdout is not None
            process.stdout.readline()

    def run(self, files: list[Path]) -> int:
        """Decodes all files, a few for each process at a time."""
        pieces = iter([files[i : i + 8] for i in range(0, len(files), 8)])

        def work(process: subprocess.Popen[str]) -> Iterator[None]:
            assert process.stdin is not None
            assert process.stdout is not None
            for piece in pieces:
                process.stdin.write("|".join(map(str, piece)) + "\n")
                process.stdin.flush()
                process.stdout.readline()
                yield

        list(ahead(lambda process: list(work(process)), self.crew, depth=len(self.crew), threads=len(self.crew)))
        return len(files)

    def close(self) -> None:
        """Ends them."""
        for process in self.crew:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()


# ---- what feeding a net takes ---------------------------------------------------------------------------------------


class Block(nn.Module):
    """The basic block of He et al. 2016, https://arxiv.org/abs/1512.03385."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.way = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = stride == 1 and inputs == outputs
        self.past = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.way(x) + self.past(x))


def resnet18(classes: int) -> nn.Module:
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    width = 64
    for number, outputs in enumerate((64, 128, 256, 512)):
        layers += [Block(width, outputs, 1 if number == 0 else 2), Block(outputs, outputs, 1)]
        width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes))


def loader_tax(stream: Stream, steps: int) -> dict[str, float]:
    """Shares of the time of ResNet-18 steps (batch 32, 224 px) that waiting and gathering, and augmentation, took."""
    machine, cpu = look(), torch.device("cpu")
    torch.set_num_threads(machine.cores)
    model = resnet18(10).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    bf16 = any(flag in machine.isa for flag in ("amx_bf16", "avx512_bf16"))
    mean, std = (torch.tensor(v)[None, :, None, None] * 255 for v in (MEAN, STD))
    feed = StreamFeed(stream, device=cpu, threads=1, cores=machine.cores)
    begun, before = 0.0, feed.tax()
    for step in range(-2, steps):
        if step == 0:
            begun, before = time.perf_counter(), feed.tax()
        part = feed(step * BATCH + 2 * BATCH, BATCH)(0, BATCH)
        images = ((part.images.permute(0, 3, 1, 2) - mean) / std).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = nn.functional.cross_entropy(model(images), part.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    wall, tax = time.perf_counter() - begun, feed.tax()
    feed.close()
    return {
        "wait": (tax.wait_s - before.wait_s) / wall,
        "gather": (tax.gather_s - before.gather_s) / wall,
        "loader_tax": (tax.wait_s - before.wait_s + tax.gather_s - before.gather_s) / wall,
        "augment_tax": (tax.augment_s - before.augment_s) / wall,
        "images_per_second": steps * BATCH / wall,
    }


# ---- the story ------------------------------------------------------------------------------------------------------


def compare(name: str, files: list[Path], folder: Path, work: Path, *, rounds: int, probe: int) -> dict[str, Any]:
    """Every measurement on one set of photographs."""
    samples, found = samples_of(files, folder), {}
    for augmentation, what in AUGMENTATIONS.items():
        print(f"\n{name}, {augmentation}: {what}", file=sys.stderr)
        workers = best_workers(files[:probe], augmentation)
        print(f"DataLoader: {json.dumps(workers)}", file=sys.stderr)
        said = {"photos": name, "n": len(files), "augmentation": what, "workers": workers}

        def theirs_first(augmentation: str = augmentation, count: int = workers["best"]) -> int:
            return drained(iter(loader(files, augmentation, count)))

        def ours_first(augmentation: str = augmentation) -> int:
            with tempfile.TemporaryDirectory(dir=work) as cache:
                return epoch(stream_of(packed(samples, augmentation, Path(cache)), samples, augmentation))

        arms = [Arm("DataLoader", theirs_first), Arm("packing and first epoch", ours_first)]
        first = measure(arms, baseline="DataLoader", rounds=rounds, warmup=0, settings=said)
        print(table(first))

        cache = work / f"cache-{name}-{augmentation}".replace(" ", "-")
        shown = stream_of(packed(samples, augmentation, cache), samples, augmentation)
        again = loader(files, augmentation, workers["best"])
        # An epoch of ours is far shorter than one of theirs: several, so that both are timed well.
        times = 20 if augmentation == "crop and flip" else 4

        def ours(stream: Stream = shown, times: int = times, *, normalise: bool = False) -> int:
            return sum(epoch(stream, normalise=normalise) for _ in range(times))

        arms = [
            Arm("DataLoader", lambda again=again: drained(iter(again))),
            Arm("later epoch", ours),
            Arm("later epoch, normalised too", lambda ours=ours: ours(normalise=True)),
        ]
        later = measure(arms, baseline="DataLoader", rounds=rounds, settings=said | {"epochs of ours": times})
        print(table(later))
        found[augmentation] = {"first": first, "later": later}
        del again
    limit = Limit(look().cores)

    def pack_only() -> int:
        with tempfile.TemporaryDirectory(dir=work) as cache:
            return packed(samples, "random resized crop", Path(cache)).n

    arms = [Arm("bare decoding", lambda: limit.run(files)), Arm("packing", pack_only)]
    share = measure(arms, baseline="bare decoding", rounds=rounds, settings={"photos": name, "n": len(files)})
    limit.close()
    print(table(share))
    return {"augmentations": found, "share_of_decode_limit": share}


def main() -> None:
    """Make the photographs, measure, keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--work", type=Path, help="folder for generated files (default: a temporary one)")
    parser.add_argument("--n", type=int, default=3000)
    parser.add_argument("--big", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--tiny", action="store_true", help="see whether it runs; nothing is kept")
    told = parser.parse_args()
    if told.tiny:
        told.n, told.big, told.rounds, told.steps = 60, 6, 2, 2
    given = told.photos or Path(os.environ.get("EYAS_TEST_DATA", "-")) / "photos300.tar"
    if not given.exists():
        sys.exit("--photos names a tar or a folder of JPEGs; or set EYAS_TEST_DATA to the folder of photos300.tar")
    with tempfile.TemporaryDirectory(dir=told.work) as name:
        work = Path(name)
        photos = photographs(given, work)
        small = repeated(photos, told.n, work / "small")
        big = enlarged(photos, told.big, work / "big")
        sizes = {"500x375": small, "12 megapixels": big}
        result: dict[str, Any] = {"settings": {"side": SIDE, "batch": BATCH, "rounds": told.rounds}}
        for label, files in sizes.items():
            folder = files[0].parents[1]
            mean = sum(path.stat().st_size for path in files) / len(files)
            print(f"{label}: {len(files)} files of {mean / 1e3:.0f} kB", file=sys.stderr)
            probe = min(len(files), 600 if label == "500x375" else 64)
            result[label] = compare(label, files, folder, work, rounds=told.rounds, probe=probe)
            result[label]["bytes_per_file"] = mean
        samples = samples_of(small, work / "small")
        for augmentation in AUGMENTATIONS:
            cache = work / f"cache-500x375-{augmentation}".replace(" ", "-")
            taxes = [
                loader_tax(stream_of(packed(samples, augmentation, cache), samples, augmentation), told.steps)
                for _ in range(min(told.rounds, 3))
            ]
            result.setdefault("resnet18", {})[augmentation] = taxes
            print(f"ResNet-18, {augmentation}: {json.dumps(taxes[-1])}")
    if not told.tiny:
        print(keep("photos", environment() | result))


if __name__ == "__main__":
    main()
