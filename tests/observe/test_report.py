"""The report is one file that opens anywhere, says what the run's files say, and never more than they allow."""

import base64
import io
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from eyas.errors import DataError
from eyas.evaluation import metrics, predictions
from eyas.evaluation.predictions import Predictions
from eyas.observe import report
from eyas.observe.jsonl import EventLog, MetricsTable
from eyas.training.events import Evaluated, Recovered, Saved, Stepped, Stopped
from eyas.training.progress import Progress, Score

CLASSES = ("T-shirt", "裤子", "<b>bold</b>", 'quo"te', "a & b", "shoe", "bag")
VOID = {"meta", "img", "br", "link", "input", "hr", "line", "polyline", "polygon", "circle", "rect", "wbr"}


class Page(HTMLParser):
    """A page as a browser would take it: every tag closed in order, all text, all attributes."""

    def __init__(self, html):
        super().__init__()
        self.open, self.text, self.attributes, self.tags = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []
        self.words = " ".join(" ".join(self.text).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, k, v or "") for k, v in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text.append(data)


def scored(n, classes, seed=0, skill=3.0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, len(classes), n)
    logits = rng.normal(size=(n, len(classes)))
    logits[np.arange(n), labels] += skill
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = tuple(f"{classes[c]}/照片 {i:04d}.jpg" for i, c in enumerate(labels))
    return Predictions(names, labels, scores.astype(np.float32), tuple(classes), np.arange(n) + 1000)


def make_run(folder, *, classes=CLASSES, splits=("val", "test"), n=400, epochs=8, status="done", result=True):
    """A run's folder as training leaves it, written by the same writers."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    for i, split in enumerate(splits):
        p = scored(n, classes, seed=i)
        predictions.write(folder, split, predictions=p)
        sums[split] = p.summary().to_dict(classes)
    steps = epochs * 50
    with EventLog(folder / "events.jsonl", now=lambda: 0.0) as log, MetricsTable(folder / "metrics.csv") as table:
        for step in range(1, steps + 1):
            at = Progress(step=step, steps=steps, position=step * 64, epoch_size=3200, batch_size=64)
            share = step / steps
            lr = 0.1 * (share / 0.2 if share < 0.2 else (1 - share) / 0.8)
            events = [Stepped(at, 2 * math.exp(-3 * share) + 0.2 * abs(math.sin(step)), lr)]
            if step % 50 == 0 and "val" in splits:
                score = Score(step, "val", "ema", n, int(n * (0.9 - 0.4 * (1 - share))), 2.1 * math.exp(-2.5 * share))
                events.append(Evaluated(at, score, 2 * math.exp(-3 * share), lr, True))
            if step == 77:
                events.append(Recovered(at, "not-finite", "loss nan: the update of this step was skipped"))
            if step == 100:
                events.append(Saved(at, "", 0, 0.0, ok=False, reason="no space left"))
            for event in events:
                log(event)
                table(event)
        log(Stopped(at, "finished"))
    per_class = [n // len(classes)] * len(classes)
    run = {
        "schema": "eyas.run/1",
        "name": "007-hands",
        "command": ["eyas", "train", "photos/my hands", "--epochs", str(epochs)],
        "status": status,
        "created": "2026-11-21T05:00:00Z",
        "finished": "2026-11-21T05:10:00Z",
        "versions": {"eyas": "0.1.0", "torch": "2.13.0", "numpy": "2.4.0", "pillow": "13.0"},
        "machine": {"cpu": "AMD EPYC", "cores": 2, "isa": ["avx512", "bf16"], "memory_bytes": 16_000_000_000},
        "seed": 0,
        "fingerprints": {"data": "d41d8cd98f00", "recipe": "9e107d9d372b", "numerics": "e4d909c290d0"},
        "plan": [
            {"name": "device", "value": "cpu", "reason": "there is no accelerator here"},
            {"name": "precision", "value": "bf16", "reason": "this processor multiplies bf16 three times as fast"},
            {"name": "threads", "value": 2, "reason": "two cores are free"},
        ],
        "recipe": {"model": "small", "epochs": epochs, "optimizer": {"name": "sgd", "lr": 0.1}, "flip": True},
        "preprocess": {"height": 64, "width": 64, "channels": 3},
        "data": {
            "layout": "class folders",
            "root": "photos/my hands",
            "n": 3200 + n * len(splits),
            "classes": list(classes),
            "splits": {"train": {"n": 3200, "per_class": per_class}}
            | {s: {"n": n, "per_class": per_class} for s in splits},
            "findings": [{"code": "E01", "count": 2, "examples": ["a/empty.jpg", "b/<i>.png"]}],
            "notes": ["3 files that are no images were passed over"],
        },
        "chosen": {"step": steps, "attempt": 0, "weights": "ema"},
        "result": {
            "epochs": epochs,
            "steps": steps,
            "seconds": 200.0,
            "images_per_second": 1234.5,
            "loader_tax": 0.012,
            "seconds_by": {
                "scan": 1.0,
                "pack": 31.0,
                "plan": 0.5,
                "train": 140.0,
                "evaluate": 12.0,
                "save": 3.2,
                "wait": 4,
            },
            "val": sums.get("val"),
            "test": sums.get("test"),
            "test_looks": 1,
        }
        if result
        else None,
        "resumes": [{"step": 150, "promise": "bitwise", "when": "2026-11-21T05:05:00Z"}],
    }
    (folder / "run.json").write_text(json.dumps(run, ensure_ascii=False), "utf-8")
    return folder


def thumbnail(row, side=96):
    rng = np.random.default_rng(row)
    small = rng.integers(0, 255, (6, 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_is_whole_html_without_any_reference_outside(tmp_path, lang):
    path = report.write(make_run(tmp_path / "run"), thumbnails=thumbnail, lang=lang)
    html = path.read_text("utf-8")
    page = Page(html)
    assert path.name == "report.html"
    assert path.stat().st_size < 3_000_000
    assert not re.search(r"https?:", html)
    assert "script" not in page.tags
    for tag, name, value in page.attributes:
        if name in ("src", "href", "action", "data", "xlink:href", "poster"):
            assert value.startswith("data:image/"), (tag, name, value[:60])
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html
    assert list(tmp_path.glob("run/.*.tmp")) == []


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_class_every_choice_and_every_finding_is_there(tmp_path, lang):
    run = make_run(tmp_path)
    page = Page(report.render(run, thumbnails=thumbnail, lang=lang))
    document = json.loads((run / "run.json").read_text("utf-8"))
    for name in CLASSES:
        assert name in page.words
    for choice in document["plan"]:
        assert choice["reason"] in page.words
    for word in ("E01", "b/<i>.png", "optimizer.lr", "torch", "d41d8cd98f00", "'photos/my hands'", "no space left"):
        assert word in page.words
    assert "bold" not in page.text  # names are text, not markup
    assert {k: v for t, k, v in page.attributes if t == "html"}["lang"] == ("zh-Hans" if lang == "zh" else "en")


def test_the_headline_is_the_test_score_with_its_interval_in_plain_words(tmp_path):
    run = make_run(tmp_path)
    found = metrics.summary(*(lambda p: (p.scores, p.labels))(predictions.read(run, "test", classes=CLASSES)))
    words = Page(report.render(run, lang="en")).words
    assert f"{100 * found.accuracy:.1f} %" in words
    low, high = math.floor(100 * found.interval[0]), math.ceil(100 * found.interval[1])
    assert f"Of 100 new pictures like these, about {low} to {high} would be right." in words
    assert "decided nothing" in words
    assert "optimistic" not in words


def test_without_a_test_split_the_report_says_that_the_number_is_optimistic(tmp_path):
    for lang, word in (("en", "optimistic"), ("zh", "偏乐观")):
        assert word in Page(report.render(make_run(tmp_path / lang, splits=("val",)), lang=lang)).words


def test_a_second_look_at_the_test_split_is_admitted(tmp_path):
    run = make_run(tmp_path)
    document = json.loads((run / "run.json").read_text("utf-8"))
    document["result"]["test_looks"] = 3
    (run / "run.json").write_text(json.dumps(document), "utf-8")
    assert "looked at 3 times" in Page(report.render(run, lang="en")).words


@pytest.mark.parametrize("status", ["running", "interrupted", "preempted", "failed", "diverged", "something-new"])
def test_a_run_that_did_not_end_has_a_report_that_says_so(tmp_path, status):
    words = Page(report.render(make_run(tmp_path, splits=(), status=status, result=False), lang="en")).words
    assert "Not scored" in words
    said = {"running": "not ended", "preempted": "stopped from outside", "failed": "ended with an error"}
    assert said.get(status, status) in words


def test_a_bare_run_has_a_report(tmp_path):
    (tmp_path / "run.json").write_text('{"schema": "eyas.run/1", "status": "running"}', "utf-8")
    assert "Not scored" in Page(report.render(tmp_path, lang="en")).words


def test_pictures_are_small_valid_and_coloured_by_being_right(tmp_path):
    asked = []

    def take(row):
        asked.append(row)
        return thumbnail(row, side=400)

    run = make_run(tmp_path)
    html = report.render(run, thumbnails=take, lang="en")
    uris = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', html)
    assert len(uris) == len(asked) >= report.PICTURES
    for uri in uris:
        assert max(Image.open(io.BytesIO(base64.b64decode(uri))).size) <= report.SIDE
    p = predictions.read(run, "test", classes=CLASSES)
    assert set(asked) <= set(p.rows.tolist())
    assert html.count('class="tile wrong"') >= len(p.worst(report.WORST))
    assert html.count('class="tile right"') > 0


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 1), (28, 28, 3), (300, 20, 3)])
def test_thumbnails_of_any_kind_are_shown(tmp_path, shape):
    html = report.render(make_run(tmp_path, n=30), thumbnails=lambda row: np.full(shape, 99, np.uint8), lang="en")
    assert "data:image/" in html


def test_a_picture_that_cannot_be_read_costs_only_itself(tmp_path):
    def take(row):
        if row % 2:
            raise OSError("gone")
        return thumbnail(row)

    page = Page(report.render(make_run(tmp_path), thumbnails=take, lang="en"))
    assert 0 < page.tags.count("img") < page.tags.count("figure")


def test_without_pictures_the_worst_mistakes_are_listed_by_name(tmp_path):
    run = make_run(tmp_path)
    page = Page(report.render(run, lang="en"))
    p = predictions.read(run, "test", classes=CLASSES)
    assert "img" not in page.tags
    assert p.names[int(p.worst(1)[0])] in page.words


def test_a_run_without_validation_still_has_its_curves(tmp_path):
    html = report.render(make_run(tmp_path, splits=("test",)), lang="en")
    assert html.count('<svg viewBox="0 0 360 220"') == 2  # loss and rate; no accuracy was measured
    Page(html)


def test_many_classes_stay_small_and_keep_their_names(tmp_path):
    classes = [f"class {i:04d} 类" for i in range(300)]
    path = report.write(make_run(tmp_path, classes=classes, n=900, splits=("val",)), thumbnails=thumbnail, lang="en")
    page = Page(path.read_text("utf-8"))
    assert path.stat().st_size < 3_000_000
    assert all(name in page.words for name in classes)
    assert f"{report.MATRIX} of 300" in page.words


def test_the_report_is_the_same_each_time_and_replaces_the_old_one(tmp_path):
    run = make_run(tmp_path)
    first = report.write(run, thumbnails=thumbnail, lang="en").read_bytes()
    assert report.write(run, thumbnails=thumbnail, lang="en").read_bytes() == first


@pytest.mark.parametrize(
    ("content", "code"),
    [(None, "EY-D180"), ("{", "EY-D181"), ("[]", "EY-D181"), ('{"schema": "eyas.run/9"}', "EY-D182")],
)
def test_what_is_no_run_is_refused_and_nothing_is_written(tmp_path, content, code):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(DataError, match=code):
        report.write(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_axis_ticks_are_round_and_span_the_values():
    rng = np.random.default_rng(0)
    for lo, width in zip(
        rng.normal(size=200) * 10 ** rng.uniform(-6, 6, 200), 10 ** rng.uniform(-6, 6, 200), strict=True
    ):
        marks = report.ticks(lo, lo + width)
        assert marks[0] <= lo + 1e-9 * width
        assert marks[-1] >= lo + width * (1 - 1e-9)
        assert 2 <= len(marks) <= 9
    assert len(report.ticks(0.3, 0.3)) >= 2


def test_a_chart_of_nothing_is_empty_and_of_one_point_a_dot():
    nan = float("nan")
    assert report.chart([report.Line([], [], "val"), report.Line([1.0], [nan], "val")], title="x") == ""
    back = report.chart([report.Line([1.0, 2.0, 3.0, 2.0, 3.0], [5.0, 4.0, 9.0, 3.0, 2.0], "val")], title="x")
    assert back.count("<circle") == 3  # a roll-back: the second way is drawn, the first is not
    assert "circle" in report.chart([report.Line([1.0], [0.5], "val")], title="x")


def test_the_report_needs_neither_torch_nor_matplotlib(tmp_path):
    make_run(tmp_path)
    code = (
        "import sys, pathlib; from eyas.observe import report\n"
        "assert 'jinja2' not in sys.modules, 'jinja2 at import'\n"
        f"report.write(pathlib.Path({str(tmp_path)!r}))\n"
        "assert not {'torch', 'matplotlib', 'rich'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_jinja2_the_error_says_what_to_install(tmp_path):
    make_run(tmp_path / "run")
    (tmp_path / "jinja2").mkdir()
    (tmp_path / "jinja2/__init__.py").write_text("raise ImportError('not here')")
    code = (
        f"import sys, pathlib; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from eyas.errors import MissingError; from eyas.observe import report\n"
        f"try: report.write(pathlib.Path({str(tmp_path / 'run')!r}))\n"
        "except MissingError as e: print(e.code, e.text('en'))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.startswith("EY-M001")
