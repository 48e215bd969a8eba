import csv
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyas.data.near import Near
from eyas.data.samples import FileSource, Samples, Split
from eyas.data.source import find
from eyas.data.split import assign, parse_part, places
from eyas.data.splits_file import inherit, read_splits, write_splits
from eyas.errors import DataError

TRAIN, VAL, TEST, NONE, HOLDOUT = Split.TRAIN, Split.VAL, Split.TEST, Split.NONE, Split.HOLDOUT


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("EYAS_LANG", "en")


def samples_of(tmp_path, labels, *, contents=None, declared=None, groups=None, names=None):
    """Samples with these labels and the hashes of these contents (each its own when None)."""
    n = len(labels)
    names = [f"{i}.png" for i in range(n)] if names is None else names
    contents = names if contents is None else contents
    hashes = np.array([list(hashlib.blake2b(str(c).encode(), digest_size=16).digest()) for c in contents], np.uint8)
    samples = Samples(
        source=FileSource(tmp_path, tuple(names)),
        classes=tuple(f"class {i}" for i in range(max(labels) + 1)),
        labels=np.array(labels, np.int32),
        splits=np.array([NONE] * n if declared is None else declared, np.uint8),
        layout="test",
        root=tmp_path,
        groups=None if groups is None else np.array(groups, np.int64),
    )
    return samples, hashes.reshape(n, 16)


def by_name(samples, splits):
    return {samples.source.name(row): Split(int(splits[row])) for row in range(len(samples))}


# ---- fractions ---------------------------------------------------------------------------------------------------


def test_a_part_is_none_a_fraction_or_a_path():
    assert parse_part(None, "val") is None
    assert parse_part(" None ", "val") == "none"
    assert parse_part("0.25", "val") == parse_part("25%", "val") == 0.25
    assert str(parse_part("./0.5", "val")) == "0.5"


@pytest.mark.parametrize("text", ["0", "1", "1.5", "-0.1", "100%", "nan", "inf", ""])
def test_numbers_that_are_no_fraction_are_refused(text):
    with pytest.raises(DataError, match="EY-D060"):
        parse_part(text, "val")


def test_without_val_about_a_tenth_of_each_class_is_held_out(tmp_path):
    samples, hashes = samples_of(tmp_path, [i % 4 for i in range(8000)])
    splits, report = assign(samples, hashes)
    share = samples.counts(np.flatnonzero(splits == VAL)) / 2000
    assert (abs(share - 0.1) < 0.03).all()  # four and a half standard deviations
    assert report.train + report.val == 8000
    assert report.test == report.aside == 0


def test_val_and_test_fractions_are_apart_and_near(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 3000)
    splits, report = assign(samples, hashes, val="0.2", test="0.3")
    assert abs(report.test / 6000 - 0.3) < 0.03
    assert abs(report.val / 6000 - 0.2 * 0.7) < 0.03
    without, _ = assign(samples, hashes, val="none", test="0.3")
    assert ((splits == TEST) == (without == TEST)).all(), "test does not depend on val"


def test_none_trains_on_all_and_keeps_test_apart(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 3, declared=[TRAIN, TRAIN, VAL, VAL, TEST, TEST])
    splits, report = assign(samples, hashes, val="none")
    assert list(splits) == [TRAIN] * 4 + [TEST] * 2
    assert any("2 images of val are trained on" in note for note in report.notes)
    splits, report = assign(samples, hashes, test="none")
    assert list(splits) == [TRAIN, TRAIN, VAL, VAL, NONE, NONE]
    assert report.aside == 2


def test_declared_splits_are_kept_and_a_fraction_beside_them_is_refused(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 3, declared=[TRAIN, NONE, VAL, VAL, TEST, TEST])
    splits, _ = assign(samples, hashes)
    assert list(splits) == [TRAIN, TRAIN, VAL, VAL, TEST, TEST]
    with pytest.raises(DataError, match="EY-D061"):
        assign(samples, hashes, val="0.5")


def test_nothing_to_train_on_is_refused(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1], declared=[TEST, TEST])
    with pytest.raises(DataError, match="EY-D065"):
        assign(samples, hashes)
    samples, hashes = samples_of(tmp_path, [0, 1])
    with pytest.raises(DataError, match="EY-D065"):
        assign(samples, hashes, bad=[0, 1])


# ---- what stays together and where it is -------------------------------------------------------------------------

LABELS = st.lists(st.integers(0, 4), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), labels=LABELS)
def test_small_classes_have_some_on_each_side_when_they_can(tmp_path_factory, data, labels):
    contents = data.draw(st.lists(st.integers(0, 40), min_size=len(labels), max_size=len(labels)))
    # one label for one content: what belongs to two classes may not be able to serve both
    labels = [contents[i] % 5 for i in range(len(labels))]
    samples, hashes = samples_of(tmp_path_factory.getbasetemp(), labels, contents=contents)
    splits, _ = assign(samples, hashes)
    for label in set(labels):
        units = {c for c, own in zip(contents, labels, strict=True) if own == label}
        rows = [i for i, own in enumerate(labels) if own == label]
        assert TRAIN in splits[rows]
        assert (VAL in splits[rows]) == (len(units) > 1)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), labels=LABELS)
def test_equal_bytes_and_groups_stay_on_one_side(tmp_path_factory, data, labels):
    n = len(labels)
    contents = data.draw(st.lists(st.integers(0, 20), min_size=n, max_size=n))
    groups = data.draw(st.lists(st.integers(-1, 8), min_size=n, max_size=n))
    samples, hashes = samples_of(tmp_path_factory.getbasetemp(), labels, contents=contents, groups=groups)
    splits, report = assign(samples, hashes, test="0.2")
    for keys in (contents, [g if g >= 0 else f"alone {i}" for i, g in enumerate(groups)]):
        sides = {}
        for key, split in zip(keys, splits, strict=True):
            sides.setdefault(key, set()).add(int(split))
        assert all(len(found) == 1 for found in sides.values())
    assert report.leaks == ()
    assert (splits > 0).all()


def test_the_side_depends_on_content_not_on_names_order_or_others(tmp_path):
    contents = [f"photo {i}" for i in range(2000)]
    one, hashes = samples_of(tmp_path, [i % 2 for i in range(1000)], contents=contents[:1000])
    first, _ = assign(one, hashes)
    two, more = samples_of(
        tmp_path, [i % 2 for i in range(2000)][::-1], contents=contents[::-1], names=[f"new/{i}" for i in range(2000)]
    )
    second, _ = assign(two, more)
    assert list(first) == list(second[::-1][:1000])


def test_a_copy_outside_its_group_does_not_move_the_group(tmp_path):
    groups = [i // 5 for i in range(500)]
    samples, hashes = samples_of(tmp_path, [0, 1] * 250, groups=groups)
    before, _ = assign(samples, hashes)
    more, hashes = samples_of(
        tmp_path,
        [0, 1] * 251,
        groups=[*groups, -1, -1],
        contents=[*(f"{i}.png" for i in range(500)), "0.png", "7.png"],
        names=[*(f"{i}.png" for i in range(500)), "x", "y"],
    )
    after, _ = assign(more, hashes)
    assert list(after[:500]) == list(before)


def test_places_are_uniform_and_differ_by_purpose():
    keys = np.frombuffer(hashlib.shake_128(b"x").digest(8 * 20000), "<u8").copy()
    val, test = places(keys, "val"), places(keys, "test")
    for found in (val, test):
        assert (abs(np.histogram(found, 10, (0, 1))[0] / 2000 - 1) < 0.12).all()
    assert abs(np.corrcoef(val, test)[0, 1]) < 0.03


# ---- what is set aside and what is reported ----------------------------------------------------------------------


def test_unreadable_rows_are_in_no_split_and_tie_nothing(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 200, groups=[i // 2 for i in range(400)])
    plain, _ = assign(samples, hashes)
    bad = [0, 40, 80]
    hashes[bad] = 0  # nobody could read them: all alike
    splits, report = assign(samples, hashes, bad=np.array(bad))
    assert (splits[bad] == NONE).all()
    rest = np.setdiff1d(np.arange(400), bad)
    assert (splits[rest] == plain[rest]).all()
    assert report.aside == 3
    assert report.duplicates == 0


def test_copies_with_different_labels_and_leaks_are_reported(tmp_path):
    samples, hashes = samples_of(
        tmp_path,
        [0, 0, 1, 1, 0, 1],
        contents=["a", "b", "a", "c", "b", "d"],
        declared=[TRAIN, TRAIN, TRAIN, TRAIN, VAL, TEST],
    )
    _, report = assign(samples, hashes)
    assert report.duplicates == 2
    assert report.conflicts == ((0, 2),)
    assert [(leak.earlier, leak.later, leak.count, leak.examples) for leak in report.leaks] == [
        (TRAIN, VAL, 1, ((4, 1),))
    ]
    assert any("1 images of val are in train" in note for note in report.notes)


def test_a_class_of_one_image_trains_and_is_said_to_be_unmeasured(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 0, 0, 0, 1])
    splits, report = assign(samples, hashes)
    assert splits[4] == TRAIN
    assert report.unmeasured == ("class 1",)


def test_ten_thousand_small_classes_take_no_time_worth_mentioning(tmp_path):
    samples, hashes = samples_of(tmp_path, [i // 3 for i in range(30_000)])
    splits, _ = assign(samples, hashes)
    per_class = splits.reshape(-1, 3)
    assert ((per_class == VAL).any(axis=1) & (per_class == TRAIN).any(axis=1)).all()


# ---- splits.csv --------------------------------------------------------------------------------------------------


def test_splits_csv_gives_back_what_was_written(tmp_path):
    names = ["a,b.png", 'quo"te.png', "two\nlines.png", "猫/图 片.png", "plain.png"]
    samples, hashes = samples_of(tmp_path, [0, 1, 0, 1, 1], names=names, groups=[5, -1, 5, 7, -1])
    splits = np.array([TRAIN, VAL, TRAIN, TEST, NONE], np.uint8)
    path = tmp_path / "splits.csv"
    write_splits(path, samples, splits, hashes)
    assert list(inherit(path, samples, hashes)) == [TRAIN, VAL, TRAIN, TEST, NONE]
    assert path.read_text("utf-8").splitlines()[0] == "path,label,split,group,cluster,hash"
    assert [p.name for p in tmp_path.iterdir()] == ["splits.csv"]


def test_old_photos_never_move_and_new_ones_are_assigned(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 10)
    splits, _ = assign(samples, hashes)
    path = tmp_path / "splits.csv"
    write_splits(path, samples, splits, hashes)
    more, hashes = samples_of(tmp_path, [0, 1] * 500)
    # even where another fraction would say otherwise
    after, report = assign(more, hashes, val="0.5", memory=path)
    assert list(after[:20]) == list(splits)
    assert report.remembered == 20
    assert 0.4 < (after[20:] == VAL).mean() < 0.6
    again, _ = assign(more, hashes, val="0.5", memory=path)
    assert (again == after).all()


def test_a_photo_is_known_by_its_bytes_then_by_its_name(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1, 0, 1])
    path = tmp_path / "splits.csv"
    write_splits(path, samples, np.array([VAL, TRAIN, TEST, TRAIN], np.uint8), hashes)
    moved, hashes = samples_of(
        tmp_path,
        [0, 1, 0, 1],
        names=["renamed.png", "2.png", "0.png", "new.png"],
        contents=["0.png", "edited", "1.png", "new"],
    )
    assert list(inherit(path, moved, hashes)) == [VAL, TEST, TRAIN, NONE]


def test_new_copies_join_the_side_of_the_old(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 20)
    splits, _ = assign(samples, hashes)
    path = tmp_path / "splits.csv"
    write_splits(path, samples, splits, hashes)
    contents = [f"{i}.png" for i in range(40)]
    more, hashes = samples_of(
        tmp_path, [0, 1] * 40, contents=contents * 2, names=contents + [f"copy {i}" for i in range(40)]
    )
    after, report = assign(more, hashes, memory=path)
    assert list(after) == list(splits) * 2
    assert report.bridges == 0


def test_a_group_that_lies_on_both_sides_is_a_bridge_and_moves_nothing(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 20)
    splits, _ = assign(samples, hashes)
    path = tmp_path / "splits.csv"
    write_splits(path, samples, splits, hashes)
    grouped, hashes = samples_of(tmp_path, [0, 1] * 21, groups=[1] * 42)
    after, report = assign(grouped, hashes, memory=path)
    assert list(after[:40]) == list(splits)
    assert list(after[40:]) == [TRAIN, TRAIN]
    assert report.bridges == 1


def test_what_was_test_never_trains(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 100)
    splits, _ = assign(samples, hashes, test="0.3")
    path = tmp_path / "splits.csv"
    write_splits(path, samples, splits, hashes)
    same, _ = assign(samples, hashes, memory=path)
    assert (same == splits).all()
    off, _ = assign(samples, hashes, val="none", test="none", memory=path)
    assert (off[splits == TEST] == NONE).all()
    assert (off[splits == VAL] == TRAIN).all()


def test_the_cluster_of_what_was_kept_together_is_written(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 5, contents=[0, 1, 2, 3, 4, 5, 6, 7, 8, 0])
    splits, report = assign(samples, hashes, near=alike(10, [(4, 6), (5, 6)]))
    assert list(report.clusters) == [1, 0, 0, 0, 2, 2, 2, 0, 0, 1]
    path = tmp_path / "splits.csv"
    write_splits(path, samples, splits, hashes, report.clusters)
    with path.open(newline="") as file:
        assert [row["cluster"] for row in csv.DictReader(file)] == ["1", "", "", "", "2", "2", "2", "", "", "1"]
    assert (inherit(path, samples, hashes) == splits).all()


def test_a_memory_without_clusters_is_understood(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1])
    path = tmp_path / "splits.csv"
    rows = [f"{i}.png,class {i},{name},,{hashes[i].tobytes().hex()}" for i, name in enumerate(("val", "train"))]
    path.write_text("\n".join(["path,label,split,group,hash", *rows]) + "\n")
    assert list(inherit(path, samples, hashes)) == [VAL, TRAIN]


# ---- near-duplicates ---------------------------------------------------------------------------------------------


def alike(n, pairs):
    listed = np.array(sorted({(min(p), max(p)) for p in pairs if p[0] != p[1]}), np.int64).reshape(-1, 2)
    return Near(n, listed, np.full(len(listed), 0.02, np.float32), 0, 0)


TIES = st.lists(st.tuples(st.integers(0, 79), st.integers(0, 79)), max_size=20)


@settings(max_examples=60, deadline=None)
@given(ties=TIES, test=st.sampled_from([None, "0.2"]), holdout=st.sampled_from([None, "0.2"]))
def test_near_duplicates_stay_on_one_side(tmp_path_factory, ties, test, holdout):
    samples, hashes = samples_of(tmp_path_factory.getbasetemp(), [0, 1] * 40)
    near = alike(80, ties)
    splits, report = assign(samples, hashes, test=test, holdout=holdout, near=near)
    if not report.taken_apart:
        assert (splits[near.pairs[:, 0]] == splits[near.pairs[:, 1]]).all()
        assert report.near_leaks == ()
    assert (splits > 0).all()


@settings(max_examples=60, deadline=None)
@given(ties=TIES, count=st.integers(20, 60))
def test_more_photos_never_move_old_ones(tmp_path_factory, ties, count):
    """Whatever the new ones are near to, and whatever they join."""
    folder = tmp_path_factory.mktemp("split")
    old, hashes = samples_of(folder, [0, 1] * (count // 2))
    n = len(old)
    before, _ = assign(old, hashes, test="0.2", near=alike(n, [t for t in ties if max(t) < n]))
    write_splits(folder / "splits.csv", old, before, hashes)
    more, hashes = samples_of(folder, [0, 1] * 40)
    after, _ = assign(more, hashes, test="0.2", near=alike(80, ties), memory=folder / "splits.csv")
    assert (after[:n] == before).all()
    assert (after > 0).all()


def test_without_a_memory_photos_that_are_near_to_none_of_the_old_move_none(tmp_path):
    old, hashes = samples_of(tmp_path, [0, 1] * 500)
    before, _ = assign(old, hashes, near=alike(1000, [(1, 2), (10, 900)]))
    more, hashes = samples_of(tmp_path, [0, 1] * 600)
    after, _ = assign(more, hashes, near=alike(1200, [(1, 2), (10, 900), (1000, 1100), (1001, 1002)]))
    assert (after[:1000] == before).all()


def test_a_new_photo_joins_its_cluster_and_one_that_joins_two_sides_is_reported(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 100)
    before, _ = assign(samples, hashes)
    path = tmp_path / "splits.csv"
    write_splits(path, samples, before, hashes)
    val, train = np.flatnonzero(before == VAL)[:3].tolist(), np.flatnonzero(before == TRAIN)[:3].tolist()
    more, hashes = samples_of(tmp_path, [0, 1] * 102)
    near = alike(204, [(val[0], 200), (train[0], 201), (200, 202), (val[1], 203), (val[2], 203), (train[1], 203)])
    after, report = assign(more, hashes, near=near, memory=path)
    assert (after[:200] == before).all()
    assert list(after[200:]) == [VAL, TRAIN, VAL, VAL]
    assert report.bridges == 1
    assert any("1 new images join such sets" in note and "203.png" in note for note in report.notes)
    assert [(leak.earlier, leak.later, leak.count) for leak in report.near_leaks] == [(TRAIN, VAL, 1)]


def test_near_duplicates_across_declared_splits_are_reported_and_nothing_moves(tmp_path):
    declared = [TRAIN] * 4 + [VAL] * 2 + [TEST] * 2
    samples, hashes = samples_of(tmp_path, [0, 1] * 4, contents=[0, 1, 2, 3, 4, 0, 6, 7], declared=declared)
    near = alike(8, [(0, 5), (1, 4), (2, 4), (3, 6), (4, 6), (0, 2)])
    splits, report = assign(samples, hashes, near=near)
    assert list(splits) == declared
    assert [(leak.earlier, leak.later, leak.count, leak.examples) for leak in report.near_leaks] == [
        (TRAIN, VAL, 1, ((4, 1),)),  # number 5 is a copy of number 0, which is another finding
        (TRAIN, TEST, 1, ((6, 3),)),
        (VAL, TEST, 1, ((6, 4),)),
    ]
    assert [(leak.earlier, leak.later, leak.examples) for leak in report.leaks] == [(TRAIN, VAL, ((5, 0),))]
    assert report.near == 6
    assert any("1 images of test are nearly the same as some in train (6.png)" in note for note in report.notes)


def test_a_chain_that_would_swallow_the_data_is_taken_apart_and_said(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 200)
    _, report = assign(samples, hashes, near=alike(400, [(i, i + 1) for i in range(399)]))
    assert report.taken_apart == 1
    assert report.val > 10
    assert sum(leak.count for leak in report.near_leaks) > 0
    assert any("1 chains of near-duplicates held more than 5 %" in note for note in report.notes)


# ---- what is kept out for good -----------------------------------------------------------------------------------


def test_a_holdout_is_apart_from_all_else_and_stays_out_in_later_splits(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 1000)
    splits, report = assign(samples, hashes, test="0.1", holdout="10%")
    assert abs(report.holdout / 2000 - 0.1) < 0.03
    assert report.train + report.val + report.test + report.holdout == 2000
    path = tmp_path / "splits.csv"
    write_splits(path, samples, splits, hashes)
    for words in ({}, {"val": "none"}, {"val": "0.5", "test": "0.4"}):
        later, report = assign(samples, hashes, sealed=path, **words)
        assert ((later == HOLDOUT) == (splits == HOLDOUT)).all()
        assert "holdout" in report.how
    off, _ = assign(samples, hashes, holdout="none", sealed=path)
    assert (off[splits == HOLDOUT] == NONE).all(), "neither trained on nor scored"


def test_of_a_sealed_split_nothing_but_the_holdout_counts(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 200)
    path = tmp_path / "splits.csv"
    turned = np.array([VAL, TRAIN] * 200, np.uint8)
    turned[:10] = HOLDOUT
    write_splits(path, samples, turned, hashes)
    plain, _ = assign(samples, hashes)
    sealed, _ = assign(samples, hashes, sealed=path)
    assert (sealed[:10] == HOLDOUT).all()
    assert (sealed[10:] == plain[10:]).all()


@pytest.mark.parametrize("said", ["elsewhere/", "photos.csv"])
def test_a_holdout_is_a_fraction_and_nothing_else(tmp_path, said):
    samples, hashes = samples_of(tmp_path, [0, 1])
    with pytest.raises(DataError, match="EY-D066"):
        assign(samples, hashes, holdout=said)


def test_without_a_test_split_the_score_is_said_to_be_optimistic(tmp_path):
    samples, hashes = samples_of(tmp_path, [0, 1] * 100)
    for words, said in (({}, True), ({"test": "0.2"}, False), ({"val": "none"}, False)):
        _, report = assign(samples, hashes, **words)
        assert any("optimistic" in note for note in report.notes) == said


# ---- a damaged memory --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "path,label\n",
        "path,label,split,group,hash\na,b\n",
        "path,label,split,group,hash\na,b,fold,,00\n",
        "path,label,split,group,hash\na,b,train,,xyz\n",
        'path,label,split,group,hash\n"' + "x" * 200_000 + '",b,train,,00\n',
    ],
)
def test_a_damaged_memory_is_refused(tmp_path, text):
    path = tmp_path / "splits.csv"
    path.write_text(text)
    with pytest.raises(DataError, match="EY-D064"):
        read_splits(path)
    with pytest.raises(DataError, match="EY-D064"):
        read_splits(tmp_path / "none.csv")


def test_the_shipped_images_divide_as_they_should():
    samples = find("fashion-sample")
    pixels = samples.source.images.reshape(len(samples), -1)  # pyright: ignore
    hashes = np.stack(
        [np.frombuffer(hashlib.blake2b(row.tobytes(), digest_size=16).digest(), np.uint8) for row in pixels]
    )
    splits, report = assign(samples, hashes)
    assert report.test == 2000
    val = samples.counts(np.flatnonzero(splits == VAL))
    assert (val > 60).all()
    assert (val < 140).all()
