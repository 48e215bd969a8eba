"""Near-duplicates: how many planted ones are found, how many pairs are false, how long it takes.

    EYAS_TEST_DATA=folder ./scripts/bench near planted   # folder/hands/<digit>/*.JPG, photos300/*.JPEG, cifar10/test
    EYAS_TEST_DATA=folder ./scripts/bench near cifar10   # the set's own duplicates between train and test
    ./scripts/bench near speed [--pictures 1000000]

planted: each original gets one copy of a kind, made with a fixed seed; both are decoded and described as for a pack.
A pair is true when it is an original and its copy, and false when it joins two originals (or their copies). The
tolerance is chosen on one half of the originals, the table is of the other half. `hands` holds photographs
of hands in ten poses on plain paper: they are alike on purpose, and hard. Two different photographs of which one could
say that they are nearly the same count as false, too; `examples` names them, so that they can be looked at.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from eyas.artifact.preprocess import Fit, Preprocess
from eyas.data.likeness import BYTES, describe
from eyas.data.near import LEFT_OVER, near_pairs
from eyas.evaluation.metrics import wilson
from paired import environment, keep

SEED = 4
MOST = 2000
"""Originals of one set."""
GRID = [round(0.03 + 0.005 * i, 3) for i in range(13)]
FOUND, FALSE = 0.96, 0.005
"""What the tolerance is chosen for, on the half for choosing: the least that finds so many of every kind."""
TRAIN = Fit(short_side=83, channels=3)
VAL = Preprocess(64, 64, 3, "short-side", 73, (0.0,) * 3, (1.0,) * 3)
VAL_LARGE = Preprocess(224, 224, 3, "short-side", 256, (0.0,) * 3, (1.0,) * 3)

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Picture = Image.Image
Draw = random.Random


# ---- planting --------------------------------------------------------------------------------------------------------


def jpeg(picture: Picture, quality: float) -> bytes:
    """The file of a picture."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=round(quality))
    return out.getvalue()


def resized(picture: Picture, draw: Draw, low: float = 0.3, high: float = 2.0) -> Picture:
    """0.3 to 2 times as large, by one of three filters."""
    factor = draw.uniform(low, high)
    size = (max(4, round(picture.width * factor)), max(4, round(picture.height * factor)))
    kernel = draw.choice([Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS])
    return picture.resize(size, kernel)


def cropped(picture: Picture, draw: Draw, share: float = 0.05) -> Picture:
    """`share` of the width and of the height cut off, somewhere."""
    wide, high = max(1, round(picture.width * (1 - share))), max(1, round(picture.height * (1 - share)))
    left, top = draw.randint(0, picture.width - wide), draw.randint(0, picture.height - high)
    return picture.crop((left, top, left + wide, top + high))


def mirrored(picture: Picture) -> Picture:
    """Left is right."""
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def brighter(picture: Picture, draw: Draw, most: float = 0.15) -> Picture:
    """Brighter or darker by up to `most`."""
    return ImageEnhance.Brightness(picture).enhance(draw.uniform(1 - most, 1 + most))


def mixed(picture: Picture, draw: Draw) -> bytes:
    """Resized, cropped, perhaps mirrored, brighter or darker, recompressed: all in one."""
    picture = cropped(resized(picture, draw, 0.5, 1.5), draw)
    if draw.random() < 0.5:
        picture = mirrored(picture)
    return jpeg(brighter(picture, draw, 0.1), draw.uniform(50, 95))


PLANT: dict[str, Callable[[Picture, Draw], bytes]] = {
    "resize 0.3-2": lambda picture, draw: jpeg(resized(picture, draw), 90),
    "recompress 30-95": lambda picture, draw: jpeg(picture, draw.uniform(30, 95)),
    "crop 5 %": lambda picture, draw: jpeg(cropped(picture, draw), 90),
    "flip": lambda picture, draw: jpeg(mirrored(picture), 90),
    "brightness": lambda picture, draw: jpeg(brighter(picture, draw), 90),
    "mix": mixed,
}
PROMISED = ("exact copy", *PLANT, "val pack", "large val pack")
BEYOND: dict[str, Callable[[Picture, Draw], bytes]] = {
    "crop 10 % (not promised)": lambda picture, draw: jpeg(cropped(picture, draw, 0.1), 90)
}


def described(data: bytes, program: Fit | Preprocess = TRAIN) -> NDArray[np.uint8]:
    """uint8 (256,): as the packing process describes a file."""
    return np.frombuffer(describe(program.picture(data)), np.uint8)


def planted(files: list[Path]) -> dict[str, NDArray[np.uint8]]:
    """uint8 (n, 256) for the originals and for each kind of copy."""
    out: dict[str, list[NDArray[np.uint8]]] = {}
    for number, file in enumerate(files):
        data = file.read_bytes()
        picture = Fit(None, 3).picture(data).convert("RGB")
        out.setdefault("original", []).append(described(data))
        out.setdefault("exact copy", []).append(described(bytes(data)))
        for kind, plant in (PLANT | BEYOND).items():
            out.setdefault(kind, []).append(described(plant(picture, Draw(f"{SEED} {kind} {number}"))))
        # The same picture as another pack has it: decoded to another size, and cropped afterwards.
        again = jpeg(picture, 85)
        out.setdefault("val pack", []).append(described(again, VAL))
        out.setdefault("large val pack", []).append(described(again, VAL_LARGE))
    return {kind: np.stack(rows) for kind, rows in out.items()}


# ---- judging ---------------------------------------------------------------------------------------------------------


def judged(rows: dict[str, NDArray[np.uint8]], half: NDArray[np.int64], names: list[str]) -> dict[str, Any]:
    """For each kind and tolerance of the grid: copies found, pairs reported, false ones among them, and which."""
    n = len(half)
    out: dict[str, Any] = {}
    for kind in rows:
        if kind == "original":
            continue
        found = near_pairs(np.concatenate([rows["original"][half], rows[kind][half]]), tolerance=max(GRID))
        a, b = found.pairs.T
        true, false = b - a == n, a % n != b % n
        by: dict[str, Any] = {}
        for tolerance in GRID:
            near = found.left_over <= tolerance
            wrong = np.unique(np.sort(np.stack([a[near & false] % n, b[near & false] % n], 1), axis=1), axis=0)
            shown = [[names[half[i]], names[half[j]]] for i, j in wrong[:10].tolist()]
            k, reported, bad = int((true & near).sum()), int(near.sum()), int((near & false).sum())
            by[str(tolerance)] = {
                "n": n, "found": k, "share": k / n, "interval": wilson(k, n), "pairs": reported, "false": bad,
                "false_share": bad / max(1, reported), "false_interval": wilson(bad, max(1, reported)),
                "false_originals": len(wrong), "examples": shown,
            }  # fmt: skip
        out[kind] = by
    return out


def choose(tuning: dict[str, dict[str, Any]]) -> float | None:
    """The least tolerance that finds `FOUND` of every promised kind in every set with `FALSE` false pairs at most."""
    for tolerance in map(str, GRID):
        cells = [tuning[one][kind][tolerance] for one in tuning for kind in PROMISED]
        if all(cell["share"] >= FOUND and cell["false_share"] <= FALSE for cell in cells):
            return float(tolerance)
    return None


SETS = {"hands": "hands/*/*.JPG", "photos300": "photos300/*.JPEG", "cifar10": "cifar10/test/*/*.jpg"}
CHOOSE_ON = ("hands", "photos300")
"""Pictures of 32 pixels are not what the tolerance is chosen for: a third of them has ten."""


def run_planted(where: Path) -> dict[str, Any]:
    """The planted sets that are there."""
    tuning: dict[str, Any] = {}
    report: dict[str, Any] = {}
    for name, pattern in SETS.items():
        files = sorted(where.glob(pattern))
        if not files:
            print(f"{name}: nothing at {pattern}, left out", file=sys.stderr)
            continue
        shuffled = Draw(f"{SEED} {name}").sample(files, min(MOST, len(files)))
        names = [str(file.relative_to(where)) for file in shuffled]
        rows = planted(shuffled)
        halves = np.array_split(np.arange(len(shuffled)), 2)
        if name in CHOOSE_ON:
            tuning[name] = judged(rows, halves[0], names)
        report[name] = judged(rows, halves[1], names)
        at = min(map(str, GRID), key=lambda t: abs(float(t) - LEFT_OVER))
        print(f"{name}: {len(halves[1])} originals, tolerance {at}")
        for kind, by in report[name].items():
            cell = by[at]
            low, high = (100 * end for end in cell["interval"])
            said = f"found {100 * cell['share']:6.2f} % [{low:.1f}, {high:.1f}]"
            print(f"  {kind:<26} {said}   false {cell['false']} of {cell['pairs']} ({100 * cell['false_share']:.2f} %)")
    chosen = choose(tuning) if tuning else None
    print(f"chosen on the other halves: {chosen}; in use: {LEFT_OVER}")
    return {"seed": SEED, "tolerance": LEFT_OVER, "chosen": chosen, "tuning": tuning, "report": report}


# ---- CIFAR-10's own --------------------------------------------------------------------------------------------------


def run_cifar10(where: Path) -> dict[str, Any]:
    """Pictures of test that train has, too; ciFAIR (Barz and Denzler, 2020) found 3.3 % by eye and features."""
    files = sorted((where / "cifar10").glob("*/*/*.jpg"))
    in_test = np.array([file.parts[-3] == "test" for file in files])
    contents = [file.read_bytes() for file in files]
    rows = np.stack([described(data, Fit(None, 3)) for data in contents])
    begun = time.perf_counter()
    found = near_pairs(rows)
    seconds = time.perf_counter() - begun
    a, b = found.pairs.T
    across = in_test[a] != in_test[b]
    test = np.where(in_test[a], a, b)[across]
    train = np.where(in_test[a], b, a)[across]
    order = np.argsort(found.left_over[across], kind="stable")
    same = sum(contents[i] == contents[j] for i, j in zip(test.tolist(), train.tolist(), strict=True))
    shown = [[str(files[test[i]].relative_to(where)), str(files[train[i]].relative_to(where))] for i in order]
    document = {
        "images": len(files),
        "seconds": seconds,
        "pairs": len(found.pairs),
        "pairs_across": int(across.sum()),
        "same_bytes_across": same,
        "test_images_with_a_near_duplicate_in_train": len(np.unique(test)),
        "of_test": int(in_test.sum()),
        "labels_differ": sum(Path(x).parent.name != Path(y).parent.name for x, y in shown),
        "examples_closest": shown[:10],
        "examples_furthest": shown[-20:],
    }
    print(json.dumps({k: v for k, v in document.items() if not k.startswith("examples")}, indent=1))
    return document


# ---- speed -----------------------------------------------------------------------------------------------------------


def run_speed(pictures: int) -> dict[str, Any]:
    """Microseconds of a description beside those of decoding, and the search among many pictures in its own process."""
    smooth = Image.effect_noise((25, 19), 120).resize((500, 375), Image.Resampling.BICUBIC)
    grain = Image.blend(smooth, Image.effect_noise((500, 375), 60), 0.3)  # as large a file as a photograph's
    data = jpeg(Image.merge("RGB", [grain, mirrored(smooth), smooth.transpose(Image.Transpose.ROTATE_180)]), 90)
    whole, small = Fit(None, 3), TRAIN
    large, thumbnail = whole.picture(data), small.picture(data).resize((110, 83))
    cost = {
        "decode 500x375": best(lambda: whole.picture(data)),
        "describe 500x375": best(lambda: describe(large)),
        "describe 110x83": best(lambda: describe(thumbnail)),
    }
    print(json.dumps({"microseconds": cost, "file_bytes": len(data)}))
    searches = {
        f"{kind} {n}": search(kind, n)
        for kind, n in (("photographs", pictures), ("frames", 100_000), ("white pages", 100_000), ("constant", 100_000))
    }
    return {"microseconds": cost, "describe_of_decode": cost["describe 500x375"] / cost["decode 500x375"], **searches}


def best(call: Callable[[], object], rounds: int = 20, each: int = 100) -> float:
    """Microseconds of one call: the least mean of several rounds."""
    took: list[float] = []
    for _ in range(rounds):
        begun = time.perf_counter()
        for _ in range(each):
            call()
        took.append((time.perf_counter() - begun) / each)
    return 1e6 * min(took)


def peak_bytes(*, anew: bool = False) -> int:
    """The most memory that this process has had, since the start or since it was last asked `anew` (Linux)."""
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def search(kind: str, n: int) -> dict[str, Any]:
    """Seconds and memory of `near_pairs`, measured in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "told.json"
        child = os.fork()
        if child == 0:
            rows = MAKE[kind](n)
            before = peak_bytes(anew=True)
            begun = time.perf_counter()
            found = near_pairs(rows)
            told = {
                "seconds": time.perf_counter() - begun,
                "memory_bytes": peak_bytes() - before,
                "descriptions_bytes": rows.nbytes,
                "pairs": len(found.pairs),
                "plain": found.plain,
                "crowded": found.crowded,
            }
            path.write_text(json.dumps(told))
            os._exit(0)
        os.waitpid(child, 0)
        told = json.loads(path.read_text())
    print(kind, n, json.dumps(told))
    return told


def smooth_fields(n: int) -> NDArray[np.uint8]:
    """Pictures with the spectrum of photographs (amplitude falls with frequency) and random phases."""
    out = np.empty((n, BYTES), np.uint8)
    g = np.random.default_rng(SEED)
    v, h = np.meshgrid(np.fft.fftfreq(16, 1 / 16), np.fft.rfftfreq(16, 1 / 16), indexing="ij")
    fall = 1 / np.maximum(np.hypot(v, h), 1) ** 1.5
    for start in range(0, n, 50_000):
        m = min(50_000, n - start)
        field = np.fft.irfft2(np.fft.rfft2(g.normal(size=(m, 16, 16))) * fall, s=(16, 16))
        field /= field.std(axis=(1, 2), keepdims=True)
        out[start : start + m] = np.clip(128 + 45 * field, 0, 255).reshape(m, BYTES)
    return out


def frames(n: int) -> NDArray[np.uint8]:
    """A camera that stands still: one picture with noise."""
    one = smooth_fields(1).astype(np.float32)
    return np.clip(one + np.random.default_rng(SEED).normal(0, 2, (n, BYTES)), 0, 255).astype(np.uint8)


def white_pages(n: int) -> NDArray[np.uint8]:
    """One round thing on white each."""
    g = np.random.default_rng(SEED)
    down, across = np.mgrid[:16, :16]
    out = np.empty((n, BYTES), np.uint8)
    for row in range(n):
        y, x, r, depth = g.uniform(6, 10), g.uniform(6, 10), g.uniform(2, 5), g.uniform(50, 200)
        page = 250 - depth * np.exp(-((down - y) ** 2 + (across - x) ** 2) / r**2)
        out[row] = np.clip(page + g.normal(0, 1, (16, 16)), 0, 255).reshape(-1)
    return out


def constant(n: int) -> NDArray[np.uint8]:
    """Empty pages."""
    return np.clip(np.random.default_rng(SEED).normal(250, 1, (n, BYTES)), 0, 255).astype(np.uint8)


MAKE = {"photographs": smooth_fields, "frames": frames, "white pages": white_pages, "constant": constant}


def main() -> None:
    """Run and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("planted", "cifar10", "speed"))
    parser.add_argument("--pictures", type=int, default=1_000_000)
    told = parser.parse_args()
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":  # as in the packing processes; it is read when numpy is imported
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | dict.fromkeys(THREADS, "1"))
    if told.what == "speed":
        result = run_speed(told.pictures)
    else:
        where = os.environ.get("EYAS_TEST_DATA")
        if not where or not Path(where).is_dir():
            sys.exit("set EYAS_TEST_DATA to the folder that holds hands/, photos300/ and cifar10/")
        result = run_planted(Path(where)) if told.what == "planted" else run_cifar10(Path(where))
    print(keep(f"near-{told.what}", environment() | result))


if __name__ == "__main__":
    main()
