"""The page of `eyas check`: one HTML file with pictures of what was found. No script, no network.

Written with string templates: `check` must work where Jinja2 is not installed.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from string import Template

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyas.errors.messages import language, printable, say

SIDE = 128
"""Longest side of a picture on the page, pixels."""


@dataclass(frozen=True, eq=False)
class Tile:
    """One example: uint8 (h, w), (h, w, 1) or (h, w, 3), or no picture."""

    name: str
    detail: str
    pixels: NDArray[np.uint8] | None
    other: NDArray[np.uint8] | None = None
    """What it is nearly the same as."""


@dataclass(frozen=True)
class Card:
    """One finding and its first examples."""

    code: str
    count: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class Facts:
    """What was looked at."""

    data: str
    layout: str
    images: int
    usable: int
    classes: int
    ok: bool
    notes: tuple[str, ...]


_PAGE = Template("""<!doctype html>
<html lang="$lang">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>$title · eyas</title>
<style>
:root { --paper: #fbfbfa; --card: #fff; --ink: #1f2328; --soft: #59636e; --rule: #e3e5e8; --well: #f2f3f5;
  --red: #b91c1c; --blue: #1d4ed8; --amber: #b45309; }
@media (prefers-color-scheme: dark) { :root { --paper: #111418; --card: #191d23; --ink: #e6e8eb; --soft: #9aa4b0;
  --rule: #2c323a; --well: #21262e; --red: #ff9b94; --blue: #8ab4ff; --amber: #f2b45c; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55; font-family: system-ui, -apple-system,
  "Segoe UI", Roboto, "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", sans-serif; }
main { max-width: 1100px; margin: 0 auto; padding: 28px 20px 64px; }
h1 { font-size: 1.25rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 10px; display: flex; gap: 12px; align-items: baseline; flex-wrap: wrap; }
h2 .n { margin-left: auto; font-variant-numeric: tabular-nums; }
.soft { color: var(--soft); }
.code { font-family: ui-monospace, Consolas, monospace; font-weight: 700; }
.E .code, .L .code { color: var(--red); } .C .code { color: var(--amber); } .W .code { color: var(--blue); }
.verdict { font-size: 1.6rem; font-weight: 650; margin: 16px 0 4px; } .bad { color: var(--red); }
section { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; padding: 16px 18px;
  margin-top: 18px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(128px, 1fr)); gap: 12px; }
figure { margin: 0; min-width: 0; }
figure img, figure .none { width: 100%; aspect-ratio: 1; object-fit: contain; display: block; background: var(--well);
  border-radius: 6px; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; }
section ul { margin: 0; overflow-wrap: anywhere; }
figure .none { display: grid; place-items: center; color: var(--soft); font-size: 1.6rem; }
figcaption { font-size: .78rem; line-height: 1.35; margin-top: 5px; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; font-size: .86rem; }
ul { padding-left: 1.2em; } footer { margin-top: 40px; color: var(--soft); font-size: .85rem; }
</style>
</head>
<body>
<main>
<h1>$title</h1>
<div class="soft">$facts</div>
<p class="verdict$bad">$verdict</p>
$body
<footer>$footer</footer>
</main>
</body>
</html>
""")


def render(facts: Facts, cards: Sequence[Card], refused: Sequence[str], *, lang: str | None = None) -> bytes:
    """The page as UTF-8, in the user's language."""
    lang = lang or language()

    def word(key: str, **values: object) -> str:
        return _safe(say(key, lang=lang, **values))

    parts = [f"<section class='E'><pre>{_safe(text)}</pre></section>" for text in refused]
    for card in cards:
        if any(tile.pixels is not None for tile in card.tiles):
            examples = f"<div class='tiles'>{''.join(map(_figure, card.tiles))}</div>"
        else:  # broken files and classes have no pictures
            examples = f"<ul>{''.join(map(_entry, card.tiles))}</ul>"
        more = card.count - len(card.tiles)
        rest = f"<p class='soft'>{word('check.more', n=f'{more:,}')}</p>" if more > 0 else ""
        parts.append(
            f"<section class='{card.code[0]}'><h2><span class='code'>{card.code}</span>"
            f"<span>{word(f'finding.{card.code}')}</span><span class='n'>{card.count:,}</span></h2>"
            f"{examples}{rest}</section>"
        )
    if facts.notes:
        parts.append("<ul class='soft'>" + "".join(f"<li>{_safe(note)}</li>" for note in facts.notes) + "</ul>")
    said = word(
        "check.facts",
        layout=facts.layout,
        images=f"{facts.images:,}",
        usable=f"{facts.usable:,}",
        classes=f"{facts.classes:,}",
    )
    return _PAGE.substitute(
        lang="zh-CN" if lang == "zh" else "en",
        title=_safe(facts.data),
        facts=said,
        verdict=word("check.ok" if facts.ok else "check.not_ok"),
        bad="" if facts.ok else " bad",
        body="\n".join(parts),
        footer=word("check.footer"),
    ).encode("utf-8", "backslashreplace")


def _safe(text: str) -> str:
    return escape(printable(text))


def _line(text: str) -> str:
    return _safe(text.replace("\n", "\\n"))


def _entry(tile: Tile) -> str:
    detail = f" <span class='soft'>{_line(tile.detail)}</span>" if tile.detail else ""
    return f"<li>{_line(tile.name)}{detail}</li>"


def _figure(tile: Tile) -> str:
    name = _line(tile.name)
    shown = f'<img src="{_uri(tile.pixels)}" alt="{name}">' if tile.pixels is not None else "<div class='none'>×</div>"
    if tile.other is not None:
        shown = f'<div class="two">{shown}<img src="{_uri(tile.other)}" alt=""></div>'
    detail = f"<br><span class='soft'>{_line(tile.detail)}</span>" if tile.detail else ""
    return f"<figure>{shown}<figcaption>{name}{detail}</figcaption></figure>"


def _uri(pixels: NDArray[np.uint8]) -> str:
    """A small picture as a data URI: PNG where it is tiny, so that its pixels stay sharp, else JPEG."""
    array = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    image = Image.fromarray(np.ascontiguousarray(array))
    kind, options = ("PNG", {}) if max(image.size) <= 64 else ("JPEG", {"quality": 80})
    image.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    image.save(out, kind, **options)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
