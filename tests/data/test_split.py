import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eyas.data.samples import FileSource, Samples, Split
from eyas.data.source import find
from eyas.data.split import assign, parse_part, places
from eyas.data.splits_file import inherit, read_splits, write_splits
from eyas.errors import DataError

TRAIN, VAL, TEST, NONE = Split.TRAIN, Split.VAL, Split.TEST, Split.NONE


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
