"""What names mean: which files are images, which are litter, which folders are splits, and what comes before what."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from eyas.data.samples import Split
from eyas.errors.messages import printable

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".gif"})
"""Names of the formats that the decoder reads; the content decides, the name only says what to look at."""

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
    shown = ", ".join(printable(n).replace("\n", "\\n") for n in names[:most])
    return shown + (", …" if len(names) > most else "")
