"""Findings from columns: every code where it belongs, and nowhere else."""

from dataclasses import replace

import numpy as np
import pytest

from eyas.data import audit
from eyas.data.audit import NO_FORMAT, Examined
from eyas.data.samples import FileSource, Samples, Split
from eyas.data.worker import FORMATS
from eyas.errors.messages import PHRASES

T, V, S, N = Split.TRAIN, Split.VAL, Split.TEST, Split.NONE


def samples(tmp_path, names, labels=None, splits=None, classes=("cat", "dog", "owl")):
    n = len(names)
    return Samples(
        FileSource(tmp_path, tuple(names)),
        classes,
        np.array(labels if labels is not None else [0] * n, np.int32),
        np.array(splits if splits is not None else [0] * n, np.uint8),
        "class folders",
        tmp_path,
    )


def examined(n, contents=None, **columns):
    """`contents`: a number for each file; equal ones are the same bytes."""
    hashes = np.zeros((n, 16), np.uint8)
    hashes[:, 0] = np.arange(n) if contents is None else contents
    whole = {
        "bad": {},
        "shapes": np.full((n, 2), 64, np.int64),
        "hashes": hashes,
        "formats": np.zeros(n, np.uint8),
        "notes": np.zeros(n, np.uint16),
    }
    return Examined(**{**whole, **columns})


def found(samples, columns, **options):
    return {finding.code: finding for finding in audit.audit(samples, columns, **options)}


def rows(finding):
    return finding.rows.tolist()


def test_every_code_has_a_phrase_in_two_languages():
    most = {"E": 9, "W": 10, "L": 5, "C": 5}
    codes = [f"{letter}{k:02d}" for letter in most for k in range(1, most[letter] + 1)]
    assert sorted(key for key in PHRASES if key.startswith("finding.")) == sorted(f"finding.{code}" for code in codes)


def test_sound_images_of_two_classes_give_no_finding(tmp_path):
    names = [f"{c}/{i}.jpg" for c in ("cat", "dog") for i in range(60)]
    assert found(samples(tmp_path, names, [0] * 60 + [1] * 60, classes=("cat", "dog")), examined(120)) == {}


# ---- E and W ---------------------------------------------------------------------------------------------------------


def test_broken_images_are_listed_by_code_with_what_the_decoder_said(tmp_path):
    bad = {3: ("E03", "cut"), 1: ("E01", "empty"), 2: ("E03", "cut, too")}
    got = audit.broken(bad)
    want = [("E01", [1], ("empty",)), ("E03", [2, 3], ("cut, too", "cut"))]
    assert [(f.code, rows(f), f.details) for f in got] == want
    assert dict(got[1].fixes) == {2: "remove", 3: "remove"}


def test_notes_become_findings_and_those_of_bad_images_do_not(tmp_path):
    notes = np.array([1 << 1, 1 << 6, 1 << 9 | 1 << 8, 1 << 1], np.uint16)
    got = found(samples(tmp_path, ["a.jpg"] * 4), examined(4, notes=notes, bad={3: ("E04", "")}))
    want = {"W02": [0], "W07": [1], "W09": [2], "W10": [2]}
    assert {code: rows(f) for code, f in got.items() if code[0] == "W"} == want


def test_a_suffix_of_another_format_is_noticed_and_no_suffix_is_not(tmp_path):
    names = ["a.png", "b.JPEG", "c.dib", "d", "e.data", "f.gif"]
    formats = np.array([FORMATS.index(f) for f in ("JPEG", "JPEG", "BMP", "PNG", "PNG", "GIF")], np.uint8)
    got = found(samples(tmp_path, names), examined(6, formats=formats))["W01"]
    assert (rows(got), got.details) == ([0], ("JPEG",))
    formats[0] = NO_FORMAT
    assert "W01" not in found(samples(tmp_path, names), examined(6, formats=formats))


def test_tiny_and_very_long_pictures_are_noticed_unless_all_are_tiny(tmp_path):
    shapes = np.array([[64, 64], [20, 30], [10, 400], [64, 64], [64, 64]])
    got = found(samples(tmp_path, list("abcde")), examined(5, shapes=shapes))["W08"]
    assert (rows(got), got.details) == ([1, 2], ("30 x 20", "400 x 10"))
    assert "W08" not in found(samples(tmp_path, list("abcde")), examined(5, shapes=np.full((5, 2), 28)))


# ---- L ---------------------------------------------------------------------------------------------------------------


def test_copies_in_one_class_point_to_the_first_one(tmp_path):
    got = found(samples(tmp_path, list("abcd")), examined(4, [7, 8, 7, 7]))
    assert (rows(got["L01"]), got["L01"].details) == ([2, 3], ("= a", "= a"))
    assert dict(got["L01"].fixes) == {0: "keep", 2: "remove", 3: "remove"}
    assert "L02" not in got
    assert "L03" not in got


def test_copies_with_different_labels_are_all_named(tmp_path):
    got = found(samples(tmp_path, list("abcd"), [0, 1, 0, 2]), examined(4, [7, 7, 9, 7]))
    assert (rows(got["L02"]), got["L02"].details) == ([0, 1, 3], ("cat; = b (dog)", "dog; = a (cat)", "owl; = a (cat)"))
    assert set(dict(got["L02"].fixes).values()) == {"relabel"}
    assert "L01" not in got


def test_copies_across_splits_leak_and_what_is_scored_stays(tmp_path):
    found_in = samples(tmp_path, list("abcdef"), splits=[T, V, S, S, T, N])
    got = found(found_in, examined(6, [7, 7, 7, 8, 9, 8]))
    assert rows(got["L03"]) == [1, 2, 3]
    assert got["L03"].details == ("train -> val: = a", "train -> test: = a", "train -> test: = f")
    assert dict(got["L03"].fixes) == {0: "remove", 1: "remove", 2: "keep", 5: "remove", 3: "keep"}
    assert "L01" not in got


def test_broken_files_and_those_in_no_split_are_no_duplicates(tmp_path):
    two = samples(tmp_path, list("abc"), splits=[T, V, N])
    assert "L03" not in found(two, examined(3, [7, 7, 8], bad={0: ("E03", "")}))
    assert "L01" not in found(two, examined(3, [7, 8, 7]), splits=two.splits)


def test_near_duplicates_count_only_across_splits_and_not_twice(tmp_path):
    both = samples(tmp_path, list("abcde"), splits=[T, V, T, S, T])
    pairs = np.array([[0, 1], [0, 2], [1, 3], [2, 4], [2, 3]])
    got = found(both, examined(5, [1, 2, 3, 4, 3]), pairs=pairs)["L04"]
    assert rows(got) == [1, 3]
    assert got.details == ("train -> val: ~ a", "val -> test: ~ b")
    assert dict(got.fixes) == {0: "remove", 1: "remove", 2: "remove", 3: "keep"}
    assert "L04" not in found(both, examined(5, [7, 7, 3, 4, 5]), pairs=np.array([[0, 1]])), "that is L03"


def test_planted_label_errors_are_found_and_little_else(tmp_path):
    rng = np.random.default_rng(0)
    n, planted = 600, np.arange(0, 600, 30)
    truth = rng.integers(0, 3, n)
    scores = rng.dirichlet(np.ones(3), n) * 0.3
    scores[np.arange(n), truth] += 0.7
    labels = truth.copy()
    labels[planted] = (truth[planted] + 1) % 3
    (got,) = audit.mislabelled(samples(tmp_path, [str(i) for i in range(n)], labels), np.arange(n), labels, scores)
    hit = set(rows(got)) & set(planted.tolist())
    assert len(hit) >= 0.7 * len(planted), "a suspect must be as sure as the mean of its class"
    assert len(hit) >= 0.9 * len(got.rows)
    first = rows(got)[0]
    assert got.details[0].startswith(f"{('cat', 'dog', 'owl')[labels[first]]} -> {('cat', 'dog', 'owl')[truth[first]]}")


def test_a_model_that_agrees_with_every_label_suspects_none(tmp_path):
    labels = np.arange(9) % 3
    scores = np.full((9, 3), 0.1, np.float32)
    scores[np.arange(9), labels] = 0.8
    assert audit.mislabelled(samples(tmp_path, list("abcdefghi")), np.arange(9), labels, scores) == []


# ---- C ---------------------------------------------------------------------------------------------------------------


def test_small_classes_and_imbalance_are_found_before_the_split_is_decided(tmp_path):
    labels = [0] * 100 + [1] * 4 + [2]
    got = found(samples(tmp_path, [str(i) for i in range(105)], labels), examined(105))
    assert got["C01"].names == (("owl", ""),)
    assert got["C02"].names == (("dog", "~ 1 / 4"),)
    assert got["C03"].names == (("dog", "4 : 100 (cat)"), ("owl", "1 : 100 (cat)"))
    assert "C04" not in got


def test_a_declared_val_is_measured_as_it_is_and_a_class_that_train_lacks_is_named(tmp_path):
    labels, splits = [0] * 20 + [1] * 20 + [0] * 8 + [1] * 2 + [2], [T] * 40 + [V] * 10 + [S]
    got = found(samples(tmp_path, [str(i) for i in range(51)], labels, splits), examined(51))
    assert got["C02"].names == (("dog", "2"),)
    assert got["C04"].names == (("owl", "test 1"),)


@pytest.mark.parametrize(
    ("names", "colliding"),
    [
        (["a/IMG.jpg", "a/img.JPG"], [("a/img.JPG", "= a/IMG.jpg")]),
        (["caf\u00e9/1.jpg", "cafe\u0301/2.jpg"], [("cafe\u0301", "= caf\u00e9")]),
        (["Cat/1.jpg", "cat/2.jpg"], [("cat", "= Cat")]),
        (["a/1.jpg", "b/1.jpg"], []),
    ],
)
def test_names_that_are_one_on_another_system_collide(tmp_path, names, colliding):
    got = found(samples(tmp_path, names, classes=("x",)), examined(2)).get("C05")
    assert (list(got.names) if got else []) == colliding


def test_classes_collide_too_and_hidden_files_are_counted(tmp_path):
    both = samples(tmp_path, ["1.jpg", "2.jpg"], [0, 1], classes=("Cat", "cat"))
    both = replace(both, left_out=(("hidden", 7, (".x", ".y")),), unlabelled=("loose.jpg",))
    got = found(both, examined(2))
    assert got["C05"].names == (("cat", "= Cat"), (".x", ""), (".y", ""))
    assert got["C05"].count == 8
    assert got["E09"].names == (("loose.jpg", ""),)


def test_a_document_holds_counts_and_printable_examples(tmp_path):
    both = samples(tmp_path, ["a\n\x1b[31m.jpg", "b.jpg"])
    (one, *_) = audit.to_list(audit.broken({0: ("E02", "it begins with b'<html>'")}), both)
    assert one == {
        "code": "E02",
        "count": 1,
        "message": "not an image",
        "examples": ["a\\n\\x1b[31m.jpg: it begins with b'<html>'"],
    }
