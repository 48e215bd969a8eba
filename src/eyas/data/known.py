"""Data sets that are known by name: where they usually lie, what they must hold, and how they are fetched when asked.

    fashion-sample   10,000 + 2,000 real Fashion-MNIST images, shipped in the package
    fashion-mnist    the full set, where Debian, torchvision, Keras or an earlier download put it
    cifar10          as class folders of images in a usual place

Nothing is fetched unless `download=True`, and what is fetched must have the pinned SHA-256. fashion-sample is made by a
rule that anybody can follow: the first 1,000 training and the first 200 test images of each class, in their order.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import os
import urllib.error
import urllib.request
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from eyas.data.layouts.arrays import find_idx, read_idx_set
from eyas.data.layouts.names import listing
from eyas.data.layouts.scan import Seen
from eyas.data.samples import ArraySource, Samples
from eyas.errors import DataError
from eyas.errors.messages import say
from eyas.machine import cache_dir

NAMES = ("fashion-sample", "fashion-mnist", "cifar10")

FASHION_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


@final
@dataclass(frozen=True)
class Remote:
    """One file to fetch: its name at a mirror and the size and SHA-256 of what is inside the gzip."""

    name: str
    bytes: int
    sha256: str


#: Pinned by content, since a gzip header holds a time: the very same bytes come in differently packed files.
FASHION_FILES = (
    Remote("train-images-idx3-ubyte.gz", 47040016, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
    Remote("train-labels-idx1-ubyte.gz", 60008, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
    Remote("t10k-images-idx3-ubyte.gz", 7840016, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
    Remote("t10k-labels-idx1-ubyte.gz", 10008, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
)
FASHION_MIRRORS = (
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
#: `identity` of the samples read from the canonical files
FASHION_IDENTITY = "df105d34d15942ee924f70dbef2d77eb3f36c93d7bb21d6988d0d3a0200ab1c2"
SAMPLE_IDENTITY = "b5268f4e6552737c7ab5d0d26a8d0d30524e36a7abf61546546627c7922015e9"


def fashion_places(environ: Mapping[str, str], here: Path) -> list[Path]:
    """Folders where Fashion-MNIST usually lies, in the order in which they are looked at."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()
    torch_home = Path(environ.get("TORCH_HOME") or Path(environ.get("XDG_CACHE_HOME") or home / ".cache") / "torch")
    keras_home = Path(environ.get("KERAS_HOME") or home / ".keras")
    raw = Path("FashionMNIST", "raw")
    return [
        fetched_dir("fashion-mnist", environ),
        Path("/usr/share/datasets/fashion-mnist"),
        here / "fashion-mnist",
        here / raw,
        here / "data" / raw,
        here / "data" / "fashion-mnist",
        home / "data" / raw,
        torch_home / "datasets" / raw,
        home / ".cache" / "torchvision" / raw,
        keras_home / "datasets" / "fashion-mnist",
    ]


def cifar10_places(environ: Mapping[str, str], here: Path) -> list[Path]:
    """Folders where CIFAR-10 may lie as images in class folders."""
    home = Path(environ.get("HOME") or environ.get("USERPROFILE") or "~").expanduser()
    roots = [fetched_dir("", environ), here, here / "data", home / "data", Path("/usr/share/datasets")]
    return [root / name for root in roots for name in ("cifar10", "cifar-10", "CIFAR10")]


def fetched_dir(name: str, environ: Mapping[str, str] | None = None) -> Path:
    """Where a fetched set is kept."""
    return cache_dir(environ) / "data" / name


def fashion_sample() -> Samples:
    """The 10,000 + 2,000 images that ship with the package."""
    return _fashion(Path(__file__).with_name("builtin"), SAMPLE_IDENTITY, "fashion-sample")


def fashion_mnist(
    *,
    download: bool = False,
    places: Sequence[Path] | None = None,
    into: Path | None = None,
    mirrors: Sequence[str] = FASHION_MIRRORS,
) -> Samples:
    """The 60,000 + 10,000 images, found in one of `places` or, with `download`, fetched into the cache.

    Raises EY-D070 when they are nowhere, EY-D071 when no mirror answers, EY-D072 when the content is not the known one.
    """
    if places is None:
        places = fashion_places(os.environ, Path.cwd())
    wanted = [remote.name.removesuffix(".gz") for remote in FASHION_FILES]
    for place in places:
        if all((place / name).is_file() or (place / f"{name}.gz").is_file() for name in wanted):
            return _fashion(place, FASHION_IDENTITY, "fashion-mnist")
    if not download:
        raise DataError("EY-D070", name="fashion-mnist", places=listing([str(p) for p in places], most=20))
    into = fetched_dir("fashion-mnist") if into is None else into
    for remote in FASHION_FILES:
        fetch(remote, into, mirrors)
    return _fashion(into, FASHION_IDENTITY, "fashion-mnist")


def cifar10_folder(places: Sequence[Path] | None = None) -> Path:
    """The folder that holds CIFAR-10 as images; EY-D073 lists the places that were looked at."""
    if places is None:
        places = cifar10_places(os.environ, Path.cwd())
    for place in places:
        if (place / "train").is_dir() and (place / "test").is_dir():
            return place
    raise DataError("EY-D073", places=listing([str(p) for p in places], most=20))


def _fashion(folder: Path, identity: str, name: str) -> Samples:
    found = find_idx(folder, of="train-images-idx3-ubyte.gz") or find_idx(folder, of="train-images-idx3-ubyte")
    assert found is not None, folder
    seen = Seen()
    samples = read_idx_set(found, seen, classes=FASHION_CLASSES)
    assert isinstance(samples.source, ArraySource)
    if samples.source.identity != identity:
        raise DataError("EY-D072", path=folder, name=name)
    seen.note(say("known_at", name=name, path=folder))
    return Samples(
        source=samples.source,
        classes=samples.classes,
        labels=samples.labels,
        splits=samples.splits,
        layout=say("layout_known", name=name),
        root=folder,
        notes=seen.notes(),
    )


# ---- fetching ----------------------------------------------------------------------------------------------------


def fetch(remote: Remote, into: Path, mirrors: Sequence[str], *, timeout_s: float = 30.0) -> Path:
    """The file in `into`, fetched from the first mirror that has the pinned content; goes on where it was cut off.

    The file appears under its name only when it is whole and right. Raises EY-D071 and EY-D072.
    """
    target = into / remote.name
    if target.is_file() and _content(target, remote.bytes) == remote.sha256:
        return target
    into.mkdir(parents=True, exist_ok=True)
    part = into / f"{remote.name}.part"
    failures: list[str] = []
    wrong = False
    for mirror in mirrors:
        # a part from elsewhere, or one that ends wrongly, costs one more try from the start
        for resume in (True, False) if part.exists() else (False,):
            try:
                _download(
                    mirror.rstrip("/") + "/" + remote.name,
                    part,
                    resume=resume,
                    most=remote.bytes + 65536,
                    timeout_s=timeout_s,
                )
            except (OSError, urllib.error.URLError, ValueError) as error:
                failures.append(f"{mirror}: {error}")
                break
            if _content(part, remote.bytes) == remote.sha256:
                with part.open("rb") as file:
                    os.fsync(file.fileno())
                part.replace(target)
                return target
            wrong = True
            part.unlink()
    if wrong:
        raise DataError("EY-D072", path=listing(mirrors), name=remote.name)
    raise DataError("EY-D071", name=remote.name, reasons="; ".join(failures) or "-", path=into)


def _download(url: str, part: Path, *, resume: bool, most: int, timeout_s: float) -> None:
    """Appends to `part` what it lacks (or starts anew); stops with an OSError beyond `most` bytes or when cut off."""
    if not url.startswith(("https://", "http://")):
        raise ValueError(url)
    have = part.stat().st_size if resume and part.exists() else 0
    request = urllib.request.Request(
        url, headers={"User-Agent": "eyas", **({"Range": f"bytes={have}-"} if have else {})}
    )
    try:
        answer = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            if error.code == 416 and have:  # nothing is missing, or the part is of something else: its content decides
                return
            raise OSError(f"HTTP {error.code}") from None
    with answer:
        going_on = have and answer.status == 206
        total = have if going_on else 0
        length = answer.headers.get("Content-Length")
        expected = None if length is None else total + int(length)
        with part.open("ab" if going_on else "wb") as file:
            while chunk := answer.read(1 << 18):
                total += len(chunk)
                if total > most:
                    raise OSError(say("download_too_long", n=most))
                file.write(chunk)
        if expected is not None and total < expected:
            raise OSError(say("download_cut", got=total, want=expected))


def _content(path: Path, most: int) -> str:
    """SHA-256 of what is inside a gzip (or of the file itself), or an empty string when it is damaged or too long."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as probe:
            zipped = probe.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:
            total = 0
            while chunk := file.read(1 << 20):
                total += len(chunk)
                if total > most:
                    return ""
                digest.update(chunk)
    except (OSError, EOFError, zlib.error):
        return ""
    return digest.hexdigest()
