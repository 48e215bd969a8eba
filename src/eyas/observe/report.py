"""report.html: what happened, how good it is, which pictures are wrong, in one file that opens anywhere.

Made from the run's folder alone (run.json, metrics.csv, events.jsonl, predictions.*), so it can be made again at any
time. No script, no network, no external reference; the browser is told so too (Content-Security-Policy). Curves are SVG
written here; pictures are small data URIs.
"""

from __future__ import annotations

import base64
import functools
import io
import json
import math
import shlex
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from eyas.errors import DataError, EyasError, MissingError
from eyas.errors.messages import PHRASES, language, printable, say
from eyas.evaluation import predictions as stored
from eyas.evaluation.metrics import Summary
from eyas.evaluation.predictions import Predictions
from eyas.observe import jsonl

SCHEMA = "eyas.run/1"

PICTURES = 30
"""In the grid of predictions; an even walk through the split, nothing hand-picked."""

WORST = 24
"""Of the worst mistakes."""

MATRIX = 30
"""Classes in the confusion matrix; with more, those with the most mistakes."""

SIDE = 144
"""Longest side of a picture in the report, pixels."""

STAGES = ("scan", "pack", "plan", "train", "evaluate", "save", "wait", "report")

#: keys that the report looks at; a run that was killed early lacks some
RUN_KEYS = "name command status created versions machine seed fingerprints plan recipe preprocess chosen result resumes"
DATA_KEYS = "layout root n classes splits findings notes"
RESULT_KEYS = "epochs seconds images_per_second loader_tax augment_tax loader seconds_by val test test_looks"

Thumbnails = Callable[[int], NDArray[np.uint8]]

# ---- reading ---------------------------------------------------------------------------------------------------------


def read_run(folder: Path) -> dict[str, Any]:
    """run.json of a run, what it lacks filled in. EY-D180: no run, EY-D181: damaged, EY-D182: other schema."""
    path = folder / "run.json"
    if not path.is_file():
        raise DataError("EY-D180", path=folder)
    try:
        run = json.loads(path.read_text("utf-8"))
    except ValueError as e:
        raise DataError("EY-D181", path=path, detail=e) from None
    if not isinstance(run, dict):
        raise DataError("EY-D181", path=path, detail=type(run).__name__)
    if run.get("schema") != SCHEMA:
        raise DataError("EY-D182", schema=run.get("schema"), path=path, allowed=SCHEMA)
    full = _complete(run, RUN_KEYS)
    full["data"] = _complete(run.get("data"), DATA_KEYS)
    if run.get("result"):
        full["result"] = _complete(run["result"], RESULT_KEYS)
    return full


def _complete(found: Mapping[str, Any] | None, keys: str) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(keys.split())
    return empty | dict(found or {})


def read_predictions(folder: Path, run: Mapping[str, Any]) -> tuple[str, Predictions | None]:
    """The split that the report is about, and its predictions: test when it was scored, else val."""
    classes = (run.get("data") or {}).get("classes") or ()
    for split in ("test", "val"):
        if classes and all(path.is_file() for path in stored.files(folder, split)):
            return split, stored.read(folder, split, classes=classes)
    return "", None


# ---- SVG -------------------------------------------------------------------------------------------------------------

W, H = 360, 220
LEFT, RIGHT, TOP, BOTTOM = 44, 10, 12, 30


@dataclass(frozen=True)
class Line:
    """One line of a chart: points with finite y are drawn; `style` is a CSS class of the template."""

    x: Sequence[float]
    y: Sequence[float]
    style: str
    name: str = ""


def escape(text: str) -> str:
    """`text` for HTML and SVG."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def ticks(lo: float, hi: float, count: int = 5) -> list[float]:
    """About `count` round numbers that span [lo, hi]; the first is <= lo and the last >= hi.

    >>> ticks(0.12, 0.93)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if not hi > lo:
        pad = abs(lo) * 0.1 or 1.0
        lo, hi = lo - pad, hi + pad
    raw = (hi - lo) / count
    base = 10.0 ** math.floor(math.log10(raw))
    step = next(base * m for m in (1, 2, 2.5, 5, 10) if base * m >= raw * 0.999)
    first = math.floor(lo / step + 1e-9)
    last = math.ceil(hi / step - 1e-9)
    return [float(f"{i * step:.12g}") for i in range(first, last + 1)]


def chart(lines: Sequence[Line], *, title: str, percent: bool = False, band: tuple[Line, Line] | None = None) -> str:
    """An SVG line chart, W x H; empty when there is nothing to draw. `band`: lower and upper end of an interval."""
    drawn = [_finite(line) for line in lines]
    drawn = [line for line in drawn if len(line.x)]
    if not drawn:
        return ""
    ends = tuple(_finite(line) for line in band) if band else ()
    xs = [x for line in drawn for x in line.x]
    ys = [y for line in (*drawn, *ends) for y in line.y]
    high = max(ys)
    if not percent and len(ys) > 20:  # one spike at the start must not flatten the rest
        high = min(high, 1.5 * float(np.quantile(ys, 0.97)))
    marks = [t for t in ticks(min(ys), high) if not percent or 0 <= t <= 1]
    if len(marks) < 2:
        marks = ticks(min(ys), max(ys))
    across = [t for t in ticks(0.0 if min(xs) > 0 else min(xs), max(xs), 4) if t <= max(xs) * 1.0001] or [0.0]
    x0, x1 = min(0.0, min(xs)), max(xs) or 1.0
    y0, y1 = marks[0], marks[-1]

    def px(x: float) -> float:
        return LEFT + (x - x0) / ((x1 - x0) or 1) * (W - LEFT - RIGHT)

    def py(y: float) -> float:
        return TOP + (1 - (min(max(y, y0), y1) - y0) / ((y1 - y0) or 1)) * (H - TOP - BOTTOM)

    out = [f'<svg viewBox="0 0 {W} {H}" role="img" aria-label="{escape(title)}"><g class="axis">']
    for t in marks:
        label = f"{100 * t:.4g} %" if percent else _tick(t)
        out.append(f'<line x1="{LEFT}" x2="{W - RIGHT}" y1="{py(t):.1f}" y2="{py(t):.1f}"/>')
        out.append(f'<text x="{LEFT - 6}" y="{py(t) + 4:.1f}" text-anchor="end">{label}</text>')
    out += [f'<text x="{px(t):.1f}" y="{H - BOTTOM + 18}" text-anchor="middle">{t:g}</text>' for t in across]
    out.append("</g>")
    if len(ends) == 2 and len(ends[0].x) > 1:
        there = [f"{px(x):.1f},{py(y):.1f}" for x, y in zip(ends[0].x, ends[0].y, strict=True)]
        back = [f"{px(x):.1f},{py(y):.1f}" for x, y in zip(ends[1].x, ends[1].y, strict=True)]
        out.append(f'<polygon class="band" points="{" ".join(there + back[::-1])}"/>')
    for line in drawn:
        points = " ".join(f"{px(x):.1f},{py(y):.1f}" for x, y in zip(line.x, line.y, strict=True))
        out.append(f'<polyline class="line {line.style}" points="{points}"/>')
        if len(line.x) <= 12:
            for x, y in zip(line.x, line.y, strict=True):
                out.append(f'<circle class="dot {line.style}" cx="{px(x):.1f}" cy="{py(y):.1f}" r="2.5"/>')
    out.append("</svg>")
    return "".join(out)


def _finite(line: Line) -> Line:
    """The points that can be drawn, x rising: where a run went back and came again, what it then did counts."""
    kept: list[tuple[float, float]] = []
    for x, y in zip(line.x, line.y, strict=True):
        if math.isfinite(x):
            while kept and kept[-1][0] >= x:
                kept.pop()
            if math.isfinite(y):
                kept.append((x, y))
    return Line([x for x, _ in kept], [y for _, y in kept], line.style, line.name)


def _tick(value: float) -> str:
    return f"{value:.0e}".replace("e-0", "e-") if 0 < abs(value) < 1e-3 else f"{value:.4g}"


def interval_bar(accuracy: float, interval: tuple[float, float]) -> str:
    """A small SVG of an interval and its middle on a scale from 0 to 1; meant to sit in a table row."""
    lo, hi = (100 * end for end in interval)
    return (
        '<svg class="interval" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rail" x="0" y="4" width="100" height="2"/>'
        f'<rect class="span" x="{lo:.2f}" y="2.5" width="{max(hi - lo, 0.5):.2f}" height="5"/>'
        f'<rect class="mark" x="{min(max(100 * accuracy - 0.6, 0), 98.8):.2f}" y="0" width="1.2" height="10"/></svg>'
    )


# ---- pictures --------------------------------------------------------------------------------------------------------


def data_uri(image: NDArray[np.uint8]) -> str:
    """A picture as a data URI, longest side at most SIDE: PNG where it is tiny (sharp pixels), else JPEG."""
    array = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    picture = Image.fromarray(np.ascontiguousarray(array))
    out = io.BytesIO()
    if max(picture.size) <= 40:
        picture.save(out, "PNG", optimize=True)
        kind = "png"
    else:
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        picture.convert("RGB").save(out, "JPEG", quality=78, optimize=True)
        kind = "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(out.getvalue()).decode('ascii')}"


def tiles(p: Predictions, which: Sequence[int], thumbnails: Thumbnails | None) -> list[dict[str, Any]]:
    """What the template needs for each picture; a picture that cannot be had is left out, its words are not."""
    out: list[dict[str, Any]] = []
    for i in which:
        uri, small = "", False
        if thumbnails is not None:
            try:
                image = thumbnails(int(p.rows[i]))
                uri, small = data_uri(image), max(image.shape[:2]) < 72
            except (OSError, EyasError):
                uri = ""
        out.append(
            {
                "uri": uri,
                "small": small,
                "name": printable(p.names[i]),
                "predicted": printable(p.classes[int(p.predicted[i])]),
                "actual": printable(p.classes[int(p.labels[i])]),
                "probability": f"{100 * float(p.probability[i]):.0f}",
                "label_probability": f"{100 * float(p.label_probability[i]):.2g}",
                "right": bool(p.correct[i]),
            }
        )
    return out


# ---- the sections ----------------------------------------------------------------------------------------------------


def out_of(interval: Sequence[float]) -> tuple[int, int, int]:
    """(of how many, low, high) for "of 100 new pictures about 92 to 94 right"; rounded outwards.

    >>> out_of((0.921, 0.934)), out_of((0.9921, 0.9956))
    ((100, 92, 94), (1000, 992, 996))
    """
    of = 1000 if interval[1] - interval[0] < 0.02 and (interval[0] > 0.98 or interval[1] < 0.02) else 100
    return of, math.floor(of * interval[0] + 1e-9), math.ceil(of * interval[1] - 1e-9)


def headline(run: Mapping[str, Any], split: str, summary: Summary | None) -> dict[str, Any] | None:
    """Accuracy with its interval, from the predictions, or else from run.json; None when nothing was scored."""
    result = run.get("result") or {}
    if summary is not None:
        found: dict[str, Any] = {"split": split, **summary.to_dict()}
    else:
        split = next((s for s in ("test", "val") if result.get(s)), "")
        if not split:
            return None
        found = {"split": split, **result[split]}
    of, low, high = out_of(found["interval"])
    other = result.get("val") if split == "test" else None
    return found | {
        "of": of,
        "low": low,
        "high": high,
        "bar": interval_bar(found["accuracy"], (found["interval"][0], found["interval"][1])),
        "val": other,
        "looks": int(result.get("test_looks") or 1),
    }


def curves(history: Mapping[str, Sequence[Any]], steps: Sequence[Mapping[str, Any]], lang: str) -> list[dict[str, Any]]:
    """Charts of loss, accuracy and learning rate: `{title, svg, lines: [(style, name)]}`, those that have points."""
    t = functools.partial(say, lang=lang)
    judged = history.get("weights", ())
    # At its end a run with an average scores the raw weights too; they are no point of the average's curve.
    same = [i for i, weights in enumerate(judged) if weights == judged[0]]
    epoch = [float(history["epoch"][i]) for i in same]

    def column(name: str, style: str, words: str = "") -> Line:
        return Line(epoch, [float(history[name][i]) for i in same], style, words)

    at = [float(s["epoch"]) for s in steps]
    raw = [math.nan if s.get("loss") is None else float(s["loss"]) for s in steps]
    rates = [float(s["lr"]) for s in steps]
    train = column("train_loss", "train", t("report.train"))
    if not epoch:  # nothing was scored: the smoothed loss of the steps is the curve
        train = Line(at, smooth(raw), "train", t("report.train"))
    loss = [Line(at, raw, "raw", ""), train, column("val_loss", "val", t("report.val"))]
    accuracy = column("val_accuracy", "val", t("report.val"))
    rate = Line(at, rates, "lr", "") if at else column("lr", "lr")
    out = [
        (t("report.loss"), chart(loss, title=t("report.loss")), loss),
        (
            t("report.accuracy"),
            chart(
                [accuracy],
                title=t("report.accuracy"),
                percent=True,
                band=(column("val_low", ""), column("val_high", "")),
            ),
            [accuracy, Line((), (), "band", t("report.interval95"))],
        ),
        (t("report.lr"), chart([rate], title=t("report.lr")), [rate]),
    ]
    return [
        {"title": title, "svg": svg, "lines": [(line.style, line.name) for line in lines if line.name]}
        for title, svg, lines in out
        if svg
    ]


def smooth(values: Sequence[float], span: int = 9) -> list[float]:
    """Running mean over `span` values around each, of those that are finite."""
    out: list[float] = []
    for i in range(len(values)):
        near = [v for v in values[max(0, i - span // 2) : i + span // 2 + 1] if math.isfinite(v)]
        out.append(sum(near) / len(near) if near else math.nan)
    return out


def class_rows(run: Mapping[str, Any], classes: Sequence[str], summary: Summary) -> list[dict[str, Any]]:
    """The table of classes, the weakest first."""
    train = ((run.get("data") or {}).get("splits") or {}).get("train") or {}
    seen = train.get("per_class") or []
    rows = [
        {
            "name": printable(name),
            "train": seen[i] if i < len(seen) else None,
            "score": score,
            "bar": interval_bar(score.recall or 0.0, score.interval) if score.support else "",
        }
        for i, (name, score) in enumerate(zip(classes, summary.per_class, strict=True))
    ]
    return sorted(rows, key=lambda r: 2.0 if r["score"].recall is None else r["score"].recall)


def matrix(p: Predictions) -> dict[str, Any]:
    """The confusion matrix as rows of `{name, cells: [{count, shade, wrong, title}]}`; with many classes the worst."""
    counts = p.confusion
    which = np.arange(len(p.classes))
    if len(which) > MATRIX:
        wrong = counts.sum(axis=1) + counts.sum(axis=0) - 2 * np.diag(counts)
        which = np.sort(np.argsort(-wrong, kind="stable")[:MATRIX])
    totals = np.maximum(counts.sum(axis=1), 1)
    names = [printable(c) for c in p.classes]
    rows: list[dict[str, Any]] = []
    for i in which:
        cells = [
            {
                "count": int(counts[i, j]),
                # the root: a mistake of 4 % is worth seeing
                "shade": round(float(counts[i, j] / totals[i]) ** (1.0 if i == j else 0.5), 3),
                "wrong": bool(i != j),
                "title": f"{names[i]} → {names[j]}: {int(counts[i, j])}",
            }
            for j in which
        ]
        rows.append({"name": names[i], "cells": cells})
    heads = [(names[j], any(unicodedata.east_asian_width(c) == "W" for c in names[j])) for j in which]
    return {"heads": heads, "rows": rows, "all": len(which) == len(names), "classes": len(names)}


def time_rows(result: Mapping[str, Any], lang: str) -> list[dict[str, Any]]:
    """Where the time went: `{stage, name, seconds, share}` of the stages that took any, and the rest."""
    by = {k: float(v) for k, v in (result.get("seconds_by") or {}).items() if v and float(v) > 0}
    known = sum(by.values())
    total = max(float(result.get("seconds") or 0.0), known)
    if not total:
        return []
    if total - known > 0.005 * total:
        by["other"] = total - known
    order = [s for s in (*STAGES, "other") if s in by] + [s for s in by if s not in STAGES and s != "other"]
    return [
        {
            "stage": s if f"report.stage.{s}" in PHRASES else "other",
            "name": say(f"report.stage.{s}", lang=lang) if f"report.stage.{s}" in PHRASES else s,
            "seconds": by[s],
            "share": by[s] / total,
        }
        for s in order
    ]


def flat(value: object, prefix: str = "") -> list[tuple[str, str]]:
    """A nested mapping as (dotted name, text) rows, in order."""
    if isinstance(value, Mapping):
        return [row for k, v in value.items() for row in flat(v, f"{prefix}.{k}" if prefix else str(k))]
    if isinstance(value, (list, tuple)):
        return [(prefix, ", ".join(str(v) for v in value))]
    return [(prefix, "–" if value is None else str(value))]


def duration(seconds: float) -> str:
    """Seconds as people say them: `0.42 s`, `12 s`, `3 min 20 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def percent(share: float | None) -> str:
    """`93.4 %`, or a dash for nothing."""
    return "–" if share is None else f"{100 * share:.1f} %"


def count(n: int) -> str:
    """`1,204`."""
    return f"{n:,}"


def happenings(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Events that a reader should know of; the same thing many times is one row with a count."""
    out: dict[tuple[str, str], dict[str, Any]] = {}
    for e in events:
        match e["kind"]:
            case "recovered":
                key, text = (str(e.get("what")), ""), str(e.get("detail", ""))
            case "decided":
                text = f"{e.get('name')} = {e.get('value')}: {e.get('reason', '')}"
                key = ("decided", text)
            case "saved" if not e.get("ok", True):
                key, text = ("not saved", ""), str(e.get("reason", ""))
            case "stopped" if e.get("reason") != "finished":
                key, text = ("stopped", str(e.get("reason"))), str(e.get("reason"))
            case _:
                continue
        row = out.setdefault(key, {"step": e.get("step"), "what": key[0], "text": printable(text), "count": 0})
        row["count"] += 1
    return list(out.values())


# ---- the page --------------------------------------------------------------------------------------------------------


def render(folder: Path, *, thumbnails: Thumbnails | None = None, lang: str | None = None) -> str:
    """The report of a run as HTML text, in `lang` (`en`, `zh`; default: the user's). Errors as in `read_run`."""
    try:
        import jinja2
    except ImportError:
        raise MissingError("EY-M001", package="jinja2", hint="eyas[train]") from None
    lang = lang or language()
    run = read_run(folder)
    split, p = read_predictions(folder, run)
    summary = p.summary() if p is not None and len(p) else None
    events = jsonl.read_events(folder / "events.jsonl")
    steps = [e for e in events if e["kind"] == "stepped"]
    result = run["result"] or _complete(None, RESULT_KEYS)
    data = run["data"]
    name = printable(str(run.get("name") or folder.resolve().name))
    values: dict[str, Any] = {
        "lang": "zh-Hans" if lang == "zh" else "en",
        "name": name,
        "run": run,
        "status": "done" if run["status"] == "running" and run["result"] else run["status"],
        "head": headline(run, split, summary),
        "summary": summary,
        "split": split,
        "result": result,
        "data": data,
        "splits": [(s, {"per_class": None} | v) for s, v in (data["splits"] or {}).items() if v and v.get("n")],
        "classes": [printable(str(c)) for c in data["classes"] or ()],
        "curves": curves(jsonl.read_metrics(folder / "metrics.csv"), steps, lang),
        "class_rows": class_rows(run, p.classes, summary) if p is not None and summary else [],
        "matrix": matrix(p) if p is not None and summary else None,
        "pairs": _pairs(p) if p is not None and summary else [],
        "grid": [],
        "worst": [],
        "times": time_rows(result, lang),
        "happenings": happenings(events),
        "recipe": flat(run.get("recipe") or {}),
        "preprocess": flat(run.get("preprocess") or {}),
        "machine": flat(run.get("machine") or {}),
        "command": printable(shlex.join(str(c) for c in run.get("command") or ())),
    }
    if p is not None and len(p):
        spread = np.unique(np.linspace(0, len(p) - 1, min(PICTURES, len(p))).round().astype(np.int64))
        values["grid"] = tiles(p, spread.tolist(), thumbnails) if thumbnails is not None else []
        values["worst"] = tiles(p, p.worst(WORST).tolist(), thumbnails)
    source = resources.files("eyas.observe").joinpath("templates/report.html.j2").read_text("utf-8")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters.update({"duration": duration, "percent": percent, "count": count})
    words: dict[str, Any] = {"t": functools.partial(_word, lang), "known": _known}
    environment.globals.update(words)
    return environment.from_string(source).render(values)


def _word(lang: str, key: str, **values: object) -> str:
    return say(f"report.{key}", lang=lang, **values)


def _known(key: str) -> bool:
    return f"report.{key}" in PHRASES


def _pairs(p: Predictions) -> list[tuple[str, str, int]]:
    return [(printable(p.classes[a]), printable(p.classes[b]), n) for a, b, n in p.most_confused(8)]


def write(run: Path, *, thumbnails: Thumbnails | None = None, lang: str | None = None) -> Path:
    """Write `report.html` into a run's folder, at once or not at all, and give its path.

    `thumbnails(row)` gives the picture of a row of `Samples`, uint8 (h, w) or (h, w, c); without it the report has no
    pictures. Pictures that cannot be read (OSError, EyasError) are left out.
    """
    html = render(run, thumbnails=thumbnails, lang=lang)
    path = run / "report.html"
    stored.replace_file(path, html.encode("utf-8", "backslashreplace"))
    return path
