"""What names mean: which files are images, which are litter, which folders are splits, and what comes before what."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from eyas.data.samples import Split
from eyas.errors.messages import one_line

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif"}
    | {".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".jxl"}
)
"""Names of photographs; the content decides, the name only says what to look at.

Those of the second line are not read, or only when asked (`--allow`): a photo is refused aloud, not passed over.
"""

PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".pt", ".pth", ".joblib"})
"""Files that run code when they are loaded."""

_LITTER = frozenset(
    {
        "__macosx",
        "thumbs.db",
        "desktop.ini",
        "ehthumbs.db",
        "@eadir",
        "$recycle.bin",
        "lost+found",
        "system volume information",
    }
)

_SPLIT_NAMES: dict[Split, tuple[str, ...]] = {
    Split.TRAIN: ("train", "training", "训练集", "训练"),
    Split.VAL: ("val", "valid", "validation", "dev", "验证集", "验证"),
    Split.TEST: ("test", "testing", "eval", "evaluation", "测试集", "测试"),
}
_SPLIT_OF = {name: split for split, names in _SPLIT_NAMES.items() for name in names}

_DIGITS = re.compile(r"[0-9]+")


def nfc(text: str) -> str:
    """`text` in Unicode form C: macOS writes é as two characters, everybody else as one."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def natural(name: str) -> str:
    """A sort key that puts `img2` before `img10`; case counts only between names that are otherwise equal.

    >>> sorted(["img10", "img2", "Img1"], key=natural)
    ['Img1', 'img2', 'img10']
    """
    return f"{_DIGITS.sub(_number_key, name.casefold())}\0{name}"


def natural_path(name: str) -> str:
    """The natural key of a `/`-separated name, folder by folder."""
    return "\0".join(map(natural, name.split("/")))


def _number_key(hit: re.Match[str]) -> str:
    # "0", then how many digits, then the digits: orders like the number, however long it is, and as one short string
    digits = hit[0].lstrip("0")
    return f"0{chr(len(digits) + 1)}{digits}"


def suffix(name: str) -> str:
    """The suffix in lower case with its dot, or an empty string.

    >>> suffix("a/b.c/Photo.JPG")
    '.jpg'
    """
    stem, dot, last = name.rpartition(".")
    return f".{last.lower()}" if dot and stem and "/" not in last else ""


def is_image(name: str) -> bool:
    """Whether a file of this name is taken for an image."""
    return suffix(name) in IMAGE_SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a name is hidden, or litter of an operating system or an archiver."""
    return name.startswith(".") or name.casefold() in _LITTER


def is_text(name: str) -> bool:
    """Whether the bytes of a file name are valid UTF-8 (Python keeps other bytes as lone surrogates)."""
    return name.isascii() or not any("\ud800" <= c <= "\udfff" for c in name)


def split_of(name: str) -> Split | None:
    """Which split a folder or a cell of a table names, or None.

    >>> split_of("Validation"), split_of("训练集"), split_of("cat")
    (<Split.VAL: 2>, <Split.TRAIN: 1>, None)
    """
    return _SPLIT_OF.get(nfc(name).strip().casefold())


def split_in(path: str) -> Split | None:
    """The one split that the name of a shard, or a folder above it, speaks of; None for none or several.

    >>> split_in("imagenet-train-0001.tar"), split_in("validation/0.parquet"), split_in("x/test-train.tar")
    (<Split.TRAIN: 1>, <Split.VAL: 2>, None)
    """
    for part in reversed(path.split("/")):
        found = {split for word in re.split(r"[-_. ]+", part) if (split := split_of(word)) is not None}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def split_names() -> str:
    """All names of splits, for messages."""
    return "; ".join(", ".join(names) for names in _SPLIT_NAMES.values())


def nearest(name: str, among: Sequence[str], *, n: int = 1) -> list[str]:
    """The `n` names most like `name`, whatever their case."""
    folded: dict[str, str] = {}
    for other in among:
        folded.setdefault(other.casefold(), other)
    return [folded[hit] for hit in difflib.get_close_matches(name.casefold(), list(folded), n=n, cutoff=0.5)]


def listing(names: Iterable[str], *, most: int = 5) -> str:
    """The first names of many, safe to print: `a, b, c, …`."""
    names = list(names)
    shown = ", ".join(one_line(n) for n in names[:most])
    return shown + (", …" if len(names) > most else "")
