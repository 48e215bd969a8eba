"""Stored predictions come back exactly, or are refused with a reason."""

import csv

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyas.errors import DataError
from eyas.evaluation import predictions
from eyas.evaluation.predictions import Predictions, escape, unescape

AWKWARD = (
    "a,b",
    'say "hi"',
    "雏菊",
    "=cmd()|calc",
    "-1",
    "-x",
    "new\nline",
    "back\\slash",
    "\x1b[31mred",
    "\udce9t\udce9",
)


def make(n=20, classes=AWKWARD, seed=0):
    rng = np.random.default_rng(seed)
    raw = rng.random((n, len(classes))) ** 4
    scores = (raw / raw.sum(axis=1, keepdims=True)).astype(np.float32)
    names = tuple(f"{classes[i % len(classes)]}/照片 {i}.jpg" for i in range(n))
    return Predictions(names, rng.integers(0, len(classes), n), scores, tuple(classes), rng.permutation(n) + 100)


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_escaping_is_undone_exactly_and_leaves_safe_text(text):
    out = escape(text)
    assert unescape(out) == text
    assert out.encode("utf-8").decode("utf-8").isprintable()
    assert not out.startswith(("=", "@"))


def test_what_is_written_is_read_back_exactly(tmp_path):
    p = make()
    index, array = predictions.write(tmp_path, "val", predictions=p)
    q = predictions.read(tmp_path, "val", classes=p.classes)
    assert q.names == p.names
    assert q.classes == p.classes
    for a, b in ((q.labels, p.labels), (q.rows, p.rows), (q.scores, p.scores)):
        assert np.array_equal(a, b)
        assert a.dtype == b.dtype
    assert sorted(f.name for f in tmp_path.iterdir()) == [index.name, array.name]  # no temporaries are left


def test_the_csv_is_one_line_per_image_for_any_reader(tmp_path):
    p = make()
    index, _ = predictions.write(tmp_path, "val", predictions=p)
    text = index.read_bytes().decode("utf-8")
    assert text.count("\n") == len(p) + 1
    assert "\x1b" not in text
    rows = list(csv.DictReader(text.splitlines()))
    assert tuple(rows[0]) == predictions.COLUMNS
    for i, row in enumerate(rows):
        assert row["correct"] == str(int(p.correct[i]))
        assert np.float32(row["probability"]) == p.scores[i].max()
        assert float(row["loss"]) == p.loss[i]
        assert np.float32(row["label_probability"]) == p.scores[i, p.labels[i]]


def test_no_images_are_stored_too(tmp_path):
    p = make(n=0)
    predictions.write(tmp_path, "test", predictions=p)
    assert len(predictions.read(tmp_path, "test", classes=p.classes)) == 0


def test_worst_are_wrong_and_ordered_by_loss():
    p = make(60)
    worst = p.worst(10)
    assert len(worst) == 10
    assert not p.correct[worst].any()
    assert (np.diff(p.loss[worst]) <= 0).all()
    assert p.loss[worst[-1]] >= np.delete(np.where(p.correct, -1, p.loss), worst).max()


def test_most_confused_are_the_largest_cells_beside_the_diagonal():
    p = make(200)
    pairs = p.most_confused(1000)
    assert sum(count for *_, count in pairs) == (~p.correct).sum()
    assert all(a != b and p.confusion[a, b] == count > 0 for a, b, count in pairs)
    assert [c for *_, c in pairs] == sorted((c for *_, c in pairs), reverse=True)


def test_a_write_that_fails_leaves_the_old_file_and_no_rubbish(tmp_path):
    target = tmp_path / "a.csv"
    predictions.replace_file(target, b"old")
    with pytest.raises(TypeError):
        predictions.replace_file(target, "not bytes")  # fails after the temporary exists
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_missing_predictions_are_named(tmp_path):
    with pytest.raises(DataError, match="EY-D171"):
        predictions.read(tmp_path, "test", classes=("a", "b"))


@pytest.mark.parametrize("which", ["csv", "npy"])
@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_damaged_files_are_refused(tmp_path, which, damage):
    p = make()
    index, array = predictions.write(tmp_path, "val", predictions=p)
    path = index if which == "csv" else array
    data = path.read_bytes()
    path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "noise": b"\xff\xfe\x00" * 100}[damage])
    with pytest.raises(DataError, match=r"EY-D17[23]"):
        predictions.read(tmp_path, "val", classes=p.classes)


def test_an_array_with_a_pickle_inside_is_refused(tmp_path):
    p = make()
    _, array = predictions.write(tmp_path, "val", predictions=p)
    np.save(array, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="EY-D172"):
        predictions.read(tmp_path, "val", classes=p.classes)


def test_files_of_two_runs_or_other_classes_are_refused(tmp_path):
    p = make()
    index, _ = predictions.write(tmp_path, "val", predictions=p)
    old = index.read_bytes()
    predictions.write(tmp_path, "val", predictions=make(seed=1))
    index.write_bytes(old)
    with pytest.raises(DataError, match="EY-D173"):
        predictions.read(tmp_path, "val", classes=p.classes)
    with pytest.raises(DataError, match="EY-D173"):
        predictions.read(tmp_path, "val", classes=p.classes[:-1])
    predictions.write(tmp_path, "val", predictions=p)
    with pytest.raises(DataError, match="EY-D173"):
        predictions.read(tmp_path, "val", classes=(*p.classes[:-1], "another"))
