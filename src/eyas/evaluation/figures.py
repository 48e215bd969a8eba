"""Pictures of results, as PNG bytes: grids of images with their answers (Pillow), curves and confusion (matplotlib).

Names are drawn only in fonts that have their characters. Where this machine has none (Chinese names on a bare server),
they are drawn as `#1`, `#2`… and `legend` gives the text that says which is which: never a row of empty boxes.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from eyas.errors import MissingError
from eyas.errors.messages import PHRASES, say
from eyas.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE = (29, 78, 216)
"""Of right answers, as in the article that this grid comes from; readable on white (contrast 6.7)."""

RED = (185, 28, 28)
"""Of wrong answers (contrast 6.5)."""

INK = (31, 35, 40)

# ---- fonts -----------------------------------------------------------------------------------------------------------

#: parts of file names, best first; DejaVu has Latin, Greek and Cyrillic, the others Chinese and Japanese as well
_FONTS = (
    "DejaVuSans.ttf",
    "NotoSansCJK-Regular",
    "NotoSansCJKsc-Regular",
    "NotoSansSC",
    "SourceHanSansSC-Regular",
    "SourceHanSansCN-Regular",
    "wqy-microhei",
    "wqy-zenhei",
    "msyh",
    "PingFang",
    "Hiragino Sans GB",
    "STHeiti",
    "simhei",
    "simsun",
    "DroidSansFallback",
    "uming",
    "ukai",
    "Arial Unicode",
    "NotoSans-Regular",
    "LiberationSans-Regular",
)


def _font_folders() -> list[Path]:
    home = Path.home()
    found = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts"), home / ".local/share/fonts", home / ".fonts"]
    found += [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    if "WINDIR" in os.environ:
        found.append(Path(os.environ["WINDIR"]) / "Fonts")
    spec = importlib.util.find_spec("matplotlib")  # finds its folder without importing it
    if spec is not None and spec.origin is not None:
        found.append(Path(spec.origin).parent / "mpl-data/fonts/ttf")
    return found


@functools.cache
def font_files() -> tuple[Path, ...]:
    """Fonts of this machine that are good for names, best first."""
    best: dict[str, Path] = {}
    for folder in _font_folders():
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.suffix.lower() in (".ttf", ".ttc", ".otf"):
                for wanted in _FONTS:
                    if path.name.lower().startswith(wanted.lower()):
                        best.setdefault(wanted, path)
    return tuple(best[name] for name in _FONTS if name in best)


@functools.cache
def _has(path: Path, character: str) -> bool:
    """Whether a font has a character: it draws it otherwise than one that no font has."""
    font = ImageFont.truetype(path, 24)
    absent = _drawn(font, "\U0010ffff")
    return _drawn(font, character) != absent


def _drawn(font: ImageFont.FreeTypeFont, character: str) -> bytes:
    picture = Image.new("L", (48, 48))
    ImageDraw.Draw(picture).text((8, 8), character, font=font, fill=255)
    return picture.tobytes()


def font_for(texts: Sequence[str]) -> Path | None:
    """The first font that has every character of `texts`; None when there is none."""
    needed = sorted({c for text in texts for c in text if not c.isspace()})
    if not all(c.isprintable() for c in needed):
        return None
    return next((path for path in font_files() if all(_has(path, c) for c in needed)), None)


def drawable(names: Sequence[str]) -> tuple[str, ...]:
    """`names` as they can be drawn here: all as they are, or all as `#1`, `#2`… when a character has no font.

    Class names that differ stay different; use `legend` to say what the numbers mean.
    """
    if not names or font_for(names) is not None or all(n.isascii() and n.isprintable() for n in names):
        return tuple(names)
    return tuple(f"#{i}" for i in range(1, len(names) + 1))


def legend(names: Sequence[str]) -> str:
    """Which number stands for which name, one a line; empty when the names themselves are drawn."""
    shown = drawable(names)
    return "" if shown == tuple(names) else "".join(f"{s}\t{n}\n" for s, n in zip(shown, names, strict=True))


def _safe(text: str) -> str:
    """`text`, or its escaped form when no font has it."""
    if (text.isascii() and text.isprintable()) or font_for((text,)) is not None:
        return text
    return text.encode("ascii", "backslashreplace").decode("ascii")


# ---- grids of images -------------------------------------------------------------------------------------------------


def answer(predicted: str, actual: str, probability: float) -> str:
    """The title of one picture in a prediction grid: `actual/predicted p%`.

    >>> answer("cat", "dog", 0.934)
    'dog/cat 93%'
    """
    return f"{actual}/{predicted} {100 * probability:.0f}%"


def _tile(image: NDArray[np.uint8], side: int) -> Image.Image:
    """One image fitted into a square; small ones grow by whole pixels, so that they stay sharp."""
    array = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(array)).convert("RGB")
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.NEAREST if scale > 1.5 else Image.Resampling.LANCZOS)


def _font(texts: Sequence[str], size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    path = font_for(texts)
    return ImageFont.truetype(path, size) if path is not None else ImageFont.load_default(size)


def _fit(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """`text` on one line of `width` pixels: the middle makes way for an ellipsis, both ends are what is read."""
    if font.getlength(text) <= width:
        return text
    for keep in range(len(text) - 1, 1, -1):
        short = text[: (keep + 1) // 2] + ".." + text[len(text) - keep // 2 :]
        if font.getlength(short) <= width:
            return short
    return ".."


def grid(
    images: Sequence[NDArray[np.uint8]],
    titles: Sequence[str],
    *,
    right: Sequence[bool] | NDArray[np.bool_] | None = None,
    columns: int | None = None,
    side: int = 128,
) -> bytes:
    """PNG bytes: images under their titles, blue where `right`, red where not, dark without `right`.

    `images`: uint8 (h, w), (h, w, 1) or (h, w, 3), any sizes, each drawn within `side` pixels. `columns` defaults to
    what makes the whole a little wider than high.
    """
    assert len(images) == len(titles)
    assert right is None or len(right) == len(images)
    count = len(images)
    columns = min(count, columns or max(1, math.ceil(math.sqrt(count * 1.3)))) or 1
    rows = math.ceil(count / columns)
    shown = [_safe(t) for t in titles]
    font = _font(shown, max(11, side // 10))
    title, gap = round(side * 0.16) + 4, max(6, side // 16)
    sheet = Image.new("RGB", (columns * (side + gap) + gap, max(1, rows) * (side + title + gap) + gap), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    for i, (image, text) in enumerate(zip(images, shown, strict=True)):
        x, y = gap + i % columns * (side + gap), gap + i // columns * (side + title + gap)
        colour = INK if right is None else BLUE if right[i] else RED
        line = _fit(text, font, side)
        draw.text((x + (side - font.getlength(line)) / 2, y), line, font=font, fill=colour)
        tile = _tile(image, side)
        left, top = x + (side - tile.width) // 2, y + title + (side - tile.height) // 2
        sheet.paste(tile, (left, top))
        if right is not None and not right[i]:
            # A frame as well: red and blue are alike to some eyes and on some printers.
            draw.rectangle((left - 2, top - 2, left + tile.width + 1, top + tile.height + 1), outline=RED, width=2)
    out = io.BytesIO()
    sheet.save(out, "PNG", optimize=True)
    return out.getvalue()


def sample_grid(
    images: Sequence[NDArray[np.uint8]], labels: Sequence[str], *, columns: int | None = None, side: int = 128
) -> bytes:
    """PNG bytes: training images as the model will see them, with their labels (`eyas show`).

    Give `drawable(classes)[label]` as labels where class names may have no font.
    """
    return grid(images, labels, columns=columns, side=side)


def prediction_grid(
    predictions: Predictions,
    images: Sequence[NDArray[np.uint8]],
    which: Sequence[int] | NDArray[np.int64],
    *,
    columns: int | None = None,
    side: int = 128,
) -> bytes:
    """PNG bytes: the images at positions `which` of `predictions`, titled `actual/predicted p%`."""
    names = drawable(predictions.classes)
    p = predictions
    titles = [
        answer(names[int(p.predicted[i])], names[int(p.labels[i])], float(p.probability[i]))
        for i in (int(w) for w in which)
    ]
    return grid(images, titles, right=p.correct[np.asarray(which, np.int64)], columns=columns, side=side)


# ---- matplotlib ------------------------------------------------------------------------------------------------------


def _figure(width: float, height: float) -> Figure:
    """An empty figure in inches. No pyplot: it keeps global state and may look for a display."""
    try:
        from matplotlib.figure import Figure as New
    except ImportError:
        raise MissingError("EY-M001", package="matplotlib", hint="eyas[train]") from None
    return New(figsize=(width, height), dpi=110, layout="constrained")


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    out = io.BytesIO()
    FigureCanvasAgg(figure).print_png(out)
    return out.getvalue()


def _quiet(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="y", alpha=0.25)


def _words(*keys: str) -> tuple[list[str], dict[str, Any]]:
    """Phrases in the reader's language, with the font to draw them in; English where no font here has them."""
    said = [say(f"report.{key}") for key in keys]
    if all(text.isascii() for text in said):
        return said, {}
    path = font_for(said)
    if path is None:
        return [PHRASES[f"report.{key}"][0] for key in keys], {}
    from matplotlib.font_manager import FontProperties

    return said, {"fontproperties": FontProperties(fname=str(path), size=10)}


def curves(history: Mapping[str, Sequence[Any]]) -> bytes:
    """PNG bytes: loss, accuracy with its interval, and learning rate by epoch.

    `history`: columns of metrics.csv (`eyas.observe.jsonl.read_metrics`): `epoch`, `train_loss`, `val_loss`,
    `val_accuracy`, `val_low`, `val_high`, `lr`; NaN where nothing was measured.
    """
    figure = _figure(12, 3.4)
    loss, accuracy, rate = figure.subplots(1, 3)
    column = {k: np.array(v, np.float64) for k, v in history.items() if k not in ("weights", "best")}
    none = np.zeros(0)
    epoch = column.get("epoch", none)
    marker = "o" if len(epoch) < 3 else None
    blue, orange = "#1d4ed8", "#c2570c"

    def line(axes: Axes, name: str, colour: str, label: str) -> None:
        y = column.get(name, none)
        if np.isfinite(y).any():
            axes.plot(epoch, y, color=colour, label=label, marker=marker)

    words, font = _words("train", "val", "interval95", "loss", "accuracy", "lr", "epoch")
    train, val, interval, *titles, epochs = words
    line(loss, "train_loss", orange, train)
    line(loss, "val_loss", blue, val)
    line(accuracy, "val_accuracy", blue, val)
    low, high = column.get("val_low", none), column.get("val_high", none)
    if np.isfinite(low).any():
        accuracy.fill_between(epoch, low, high, color=blue, alpha=0.15, linewidth=0, label=interval)
    line(rate, "lr", "#57606a", titles[2])
    for axes, title in zip((loss, accuracy, rate), titles, strict=True):
        axes.set_title(title, **(font or {"fontsize": 11}))
        axes.set_xlabel(epochs, **font)
        _quiet(axes)
        if len(axes.get_legend_handles_labels()[0]) > 1:
            axes.legend(frameon=False, prop=font.get("fontproperties"))
    return _png(figure)


def confusion(counts: NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """PNG bytes: the confusion matrix (C, C), shaded by the share of each label's images; with counts up to 20 classes.

    Names that no font here has are numbered (see `legend`); beyond 60 classes only every n-th is named.
    """
    side = len(classes)
    assert counts.shape == (side, side)
    names = [n if len(n) <= 24 else f"{n[:12]}..{n[-10:]}" for n in drawable(classes)]
    inches = min(14.0, max(4.5, 2.0 + 0.42 * side))
    figure = _figure(inches + 0.6, inches)
    axes = figure.subplots()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = list(range(0, side, max(1, math.ceil(side / 60))))
    path = font_for(names)
    size = max(5.0, min(10.0, 320 / max(side, 1)))
    if path is not None:
        from matplotlib.font_manager import FontProperties

        font: dict[str, Any] = {"fontproperties": FontProperties(fname=str(path), size=size)}
    else:
        font = {"fontsize": size}
    font["parse_math"] = False  # a class may be called "$5"
    axes.set_xticks(ticks, [names[t] for t in ticks], rotation=90, **font)
    axes.set_yticks(ticks, [names[t] for t in ticks], **font)
    (predicted, label), worded = _words("predicted", "label")
    axes.set_xlabel(predicted, **worded)
    axes.set_ylabel(label, **worded)
    if side <= 20:
        for i in range(side):
            for j in range(side):
                if counts[i, j]:
                    colour = "white" if share[i, j] > 0.55 else "#1f2328"
                    axes.text(j, i, str(int(counts[i, j])), ha="center", va="center", fontsize=8, color=colour)
    return _png(figure)


def plots(history: Mapping[str, Sequence[Any]], predictions: Predictions | None) -> dict[str, bytes]:
    """`{file name: bytes}` for `plots/` of a run: curves, confusion, classes.txt where names are numbered."""
    out = {"curves.png": curves(history)}
    if predictions is not None:
        out["confusion.png"] = confusion(predictions.confusion, predictions.classes)
        text = legend(predictions.classes)
        if text:
            out["classes.txt"] = text.encode("utf-8", "backslashreplace")
    return out
