"""Figures are valid pictures, say what they should in colour, and never draw a character that no font here has."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from eyas.errors.messages import say
from eyas.evaluation import figures
from eyas.evaluation.predictions import Predictions

UNKNOWN = "\U0001f9ff\U00013000"  # an amulet and a hieroglyph: hardly in any font of a server


def opened(png):
    image = Image.open(io.BytesIO(png))
    image.load()
    assert image.format == "PNG"
    return image


def has_colour(png, colour):
    return bool((np.asarray(opened(png).convert("RGB")) == colour).all(axis=-1).any())


def pictures(count, side=28, channels=3):
    rng = np.random.default_rng(0)
    shape = (count, side, side) if channels == 0 else (count, side, side, channels)
    return list(rng.integers(90, 120, shape, np.uint8))


@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("count", [0, 1, 5, 12])
def test_a_grid_holds_any_number_of_images_of_any_kind(channels, count):
    image = opened(figures.grid(pictures(count, channels=channels), ["cat/dog 9%"] * count))
    assert image.width > 0


def test_right_is_blue_and_wrong_is_red_and_neither_without_judgement():
    images = pictures(4)
    blue, red = figures.grid(images, ["a"] * 4, right=[True] * 4), figures.grid(images, ["a"] * 4, right=[False] * 4)
    assert (has_colour(blue, figures.BLUE), has_colour(blue, figures.RED)) == (True, False)
    assert (has_colour(red, figures.BLUE), has_colour(red, figures.RED)) == (False, True)
    plain = figures.sample_grid(images, ["a"] * 4)
    assert not has_colour(plain, figures.BLUE)
    assert has_colour(plain, figures.INK)


def test_images_of_several_sizes_share_a_grid():
    images = [np.zeros((10, 300, 3), np.uint8), np.zeros((300, 10), np.uint8), np.zeros((1, 1, 1), np.uint8)]
    assert opened(figures.grid(images, ["x" * 200, "", "y"], columns=2, side=64)).width == 2 * 70 + 6


def test_a_prediction_grid_is_titled_by_what_was_said_and_what_is_true():
    assert figures.answer("cat", "dog", 0.934) == "dog/cat 93%"
    scores = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
    p = Predictions(("a", "b"), np.array([0, 1]), scores, ("cat", "dog"), np.arange(2))
    png = figures.prediction_grid(p, pictures(2), [0, 1])
    assert has_colour(png, figures.BLUE)
    assert has_colour(png, figures.RED)


def test_names_without_a_font_are_numbered_and_explained():
    assert figures.font_for((UNKNOWN,)) is None
    assert figures.drawable(("cat", UNKNOWN)) == ("#1", "#2")
    assert figures.legend(("cat", UNKNOWN)) == f"#1\tcat\n#2\t{UNKNOWN}\n"
    assert figures.drawable(("cat", "dog")) == ("cat", "dog")
    assert figures.legend(("cat", "dog")) == ""
    assert figures.drawable(()) == ()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=4), min_size=1, max_size=4))
def test_every_name_that_is_drawn_has_a_font_or_is_ascii(names):
    shown = figures.drawable(names)
    assert len(set(shown)) == len(set(names)) or shown != tuple(names)
    assert all(s.isascii() and s.isprintable() for s in shown) or figures.font_for(shown) is not None


@pytest.mark.parametrize(
    "classes",
    [
        ("猫", "狗", "雏菊"),
        ("cat", "Käfer", "ёж"),
        ("a", UNKNOWN, "b"),
        ("a" * 80, "b", "c"),
        ("$\\frac$", "$5", "_^{"),
    ],
)
def test_figures_of_any_class_names_draw_no_missing_glyph(classes):
    # matplotlib warns about a missing glyph, and warnings are errors here
    png = figures.confusion(np.arange(9).reshape(3, 3), classes)
    assert opened(png).width > 300


def test_chinese_names_are_drawn_where_there_is_a_font_and_differ_from_each_other():
    fonts = [path for path in figures.font_files() if figures._has(path, "猫") and figures._has(path, "狗")]
    if not fonts:
        assert figures.drawable(("猫", "狗")) == ("#1", "#2")
        pytest.skip("this machine has no font with Chinese characters: numbers were drawn")
    images = pictures(1)
    assert figures.grid(images, ["猫"]) != figures.grid(images, ["狗"])


def test_curves_of_any_history_are_drawn():
    nan = float("nan")
    full = {
        "epoch": [1.0, 2.0, 3.0],
        "step": [10, 20, 30],
        "train_loss": [1.0, 0.5, 0.4],
        "lr": [0.1, 0.05, 0.0],
        "val_loss": [1.1, nan, 0.5],
        "val_accuracy": [0.5, nan, 0.8],
        "val_low": [0.4, nan, 0.7],
        "val_high": [0.6, nan, 0.9],
        "weights": ["raw"] * 3,
        "best": [True] * 3,
    }
    bare = {k: [nan] if k.startswith("val_") else v[:1] for k, v in full.items()}
    for history in (full, bare, {}):
        assert opened(figures.curves(history)).width > 800


def test_charts_speak_chinese_where_there_is_a_font_and_english_where_not(monkeypatch):
    words = ("predicted", "label")
    english = figures.confusion(np.eye(3, dtype=np.int64), ["a", "b", "c"])
    monkeypatch.setenv("EYAS_LANG", "zh")
    drawn = figures.confusion(np.eye(3, dtype=np.int64), ["a", "b", "c"])  # a missing glyph would be a warning
    if figures.font_for([say(f"report.{word}") for word in words]) is None:
        assert drawn == english
        pytest.skip("this machine has no font with Chinese characters: English was drawn")
    assert drawn != english
    assert opened(figures.curves({"epoch": [1.0, 2.0], "train_loss": [2.0, 1.0], "val_loss": [2.0, 1.5]})).width > 800


@pytest.mark.parametrize("side", [1, 2, 25, 130])
def test_a_confusion_matrix_of_any_size_is_drawn(side):
    counts = np.eye(side, dtype=np.int64)
    assert opened(figures.confusion(counts, [f"class {i}" for i in range(side)])).width > 300


def test_the_plots_of_a_run_explain_their_numbers():
    p = Predictions(("a",), np.array([0]), np.array([[0.9, 0.1]], np.float32), (UNKNOWN, "dog"), np.arange(1))
    found = figures.plots({}, p)
    assert set(found) == {"curves.png", "confusion.png", "classes.txt"}
    assert UNKNOWN in found["classes.txt"].decode()
    assert set(figures.plots({}, None)) == {"curves.png"}


def test_importing_and_gridding_need_neither_matplotlib_nor_torch():
    code = (
        "import sys, numpy as np; from eyas.evaluation import figures, metrics, predictions\n"
        "figures.grid([np.zeros((4, 4), np.uint8)], ['a'])\n"
        "assert not {'matplotlib', 'torch', 'jinja2'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_matplotlib_the_error_says_what_to_install(tmp_path):
    # A real process in which matplotlib cannot be imported, as after a base install.
    (tmp_path / "matplotlib").mkdir()
    Path(tmp_path / "matplotlib/__init__.py").write_text("raise ImportError('not here')")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from eyas.errors import MissingError; from eyas.evaluation import figures\n"
        "try: figures.curves({})\n"
        "except MissingError as e: print(e.code, e.text('en'))"
    )
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert out.startswith("EY-M001")
    assert "eyas[train]" in out
