import gzip
import os
import pickle
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyas.data.layouts.folders import propose
from eyas.data.layouts.names import natural, natural_path
from eyas.data.samples import ArraySource, FileSource, Split
from eyas.data.source import find, look, match
from eyas.errors import DataError


@pytest.fixture(autouse=True)
def english(monkeypatch):
    monkeypatch.setenv("EYAS_LANG", "en")


def put(root, *names):
    """Small real PNGs at these names below `root`."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (number % 256, 0, 0)).save(path, "PNG")
    return root


def refused(code, data, **arguments):
    with pytest.raises(DataError) as info:
        find(data, **arguments)
    assert info.value.code == code, info.value
    assert info.value.text("zh").isprintable() or "\n" in info.value.text("zh")
    return info.value.text("en")


def labels(samples):
    return {samples.source.name(r): samples.classes[samples.labels[r]] for r in range(len(samples))}


# ---- names -------------------------------------------------------------------------------------------------------


def test_numbers_in_names_count_as_numbers():
    names = ["b", "a10", "a2", "A1", "a02", "a" + "9" * 5000, "a"]
    assert sorted(names, key=natural)[:5] == ["a", "A1", "a02", "a2", "a10"]


def test_a_folder_comes_before_what_only_begins_like_it():
    assert sorted(["a b/1", "a/2", "a/10"], key=natural_path) == ["a/2", "a/10", "a b/1"]


# ---- folders -----------------------------------------------------------------------------------------------------


def test_a_path_that_is_not_there_proposes_its_neighbours(tmp_path):
    (tmp_path / "photos").mkdir()
    assert "photos" in refused("EY-D002", tmp_path / "phtos")
    refused("EY-D001", tmp_path / "zzzzzz")
    assert "fashion-mnist" in refused("EY-D002", "fashion-mnits")


def test_a_folder_without_images_says_what_it_left_out(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "scan.pdf").write_bytes(b"x")
    assert "scan.pdf" in refused("EY-D003", tmp_path)


def test_one_class_is_not_enough_to_train_but_can_be_scored(tmp_path):
    put(tmp_path, "cat/1.png", "cat/2.png")
    assert "'cat'" in refused("EY-D004", tmp_path)
    assert look(tmp_path).classes == ("cat",)


def test_a_class_that_only_val_has_is_named_with_its_nearest(tmp_path):
    put(tmp_path, "train/cat/1.png", "train/dog/1.png", "val/Cat/1.png")
    text = refused("EY-D005", tmp_path)
    assert "'Cat'" in text
    assert "nearest class of train: cat" in text


def test_an_empty_class_folder_is_no_class_and_is_noted(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "c").mkdir()
    samples = find(tmp_path)
    assert samples.classes == ("a", "b")
    assert any("(c)" in note for note in samples.notes)


def test_images_of_deeper_folders_belong_to_their_class_in_natural_order(tmp_path):
    put(tmp_path, "a/x10.png", "a/x2/1.png", "a/x1.png", "b/1.png")
    assert list(labels(find(tmp_path)).items())[:3] == [("a/x1.png", "a"), ("a/x2/1.png", "a"), ("a/x10.png", "a")]


def test_one_folder_around_everything_is_entered(tmp_path):
    put(tmp_path, "unpacked/a/1.png", "unpacked/b/1.png")
    samples = find(tmp_path)
    assert samples.classes == ("a", "b")
    assert any("unpacked" in note for note in samples.notes)


def test_class_names_are_put_in_form_c_and_joined(tmp_path):
    put(tmp_path, "cafe\u0301/1.png", "caf\u00e9/2.png", "tea/1.png")
    samples = find(tmp_path)
    assert samples.classes == ("caf\u00e9", "tea")
    assert any("Unicode" in note for note in samples.notes)


def test_class_names_that_differ_in_case_are_two_classes_and_noted(tmp_path):
    put(tmp_path, "cat/1.png", "Cat/1.png")
    samples = find(tmp_path)
    assert len(samples.classes) == 2
    assert any("case" in note for note in samples.notes)


def test_a_folder_called_train_beside_other_classes_is_a_class(tmp_path):
    put(tmp_path, "train/1.png", "bus/1.png", "car/1.png")
    samples = find(tmp_path)
    assert samples.classes == ("bus", "car", "train")
    assert any("train" in note for note in samples.notes)


def test_folders_beside_splits_are_left_out_and_named(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", "extra/a/1.png", "test/1.png")
    samples = find(tmp_path)
    assert len(samples) == 2
    assert any("extra" in note for note in samples.notes)
    assert any("test: 1 images without class folders" in note for note in samples.notes)


def test_two_names_of_one_split_are_joined(tmp_path):
    put(tmp_path, "train/a/1.png", "train/b/1.png", "val/a/1.png", "dev/b/1.png")
    samples = find(tmp_path)
    assert len(samples.rows(Split.VAL)) == 2
    assert any("same split" in note for note in samples.notes)


def test_classes_txt_gives_the_order_and_may_hold_more(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "classes.txt").write_bytes(b"\xef\xbb\xbfb\r\nz\r\na\r\n")
    samples = find(tmp_path)
    assert samples.classes == ("b", "z", "a")
    assert labels(samples) == {"a/1.png": "a", "b/1.png": "b"}
    assert any("(z)" in note for note in samples.notes)


def test_classes_txt_that_lacks_a_class_or_has_one_twice_is_refused(tmp_path):
    put(tmp_path, "cats/1.png", "b/1.png")
    (tmp_path / "classes.txt").write_text("cat\nb\n")
    assert "the nearest is 'cat'" in refused("EY-D051", tmp_path)
    (tmp_path / "classes.txt").write_text("cats\nb\ncats\n")
    refused("EY-D050", tmp_path)


def test_links_are_followed_inside_and_never_out_or_round(tmp_path):
    root = put(tmp_path / "root", "a/1.png", "b/1.png")
    put(tmp_path, "secret/1.png")
    (root / "a" / "out.png").symlink_to(tmp_path / "secret" / "1.png")
    (root / "outside").symlink_to(tmp_path / "secret", target_is_directory=True)
    (root / "a" / "round").symlink_to(root, target_is_directory=True)
    (root / "b" / "again").symlink_to(root / "a", target_is_directory=True)
    (root / "b" / "same.png").symlink_to(root / "a" / "1.png")
    (root / "b" / "nowhere.png").symlink_to(root / "gone.png")
    samples = find(root)
    assert list(labels(samples)) == ["a/1.png", "b/1.png", "b/same.png"]
    text = " ".join(samples.notes)
    assert "2 links that lead out" in text
    assert "2 links to folders that are read already" in text
    assert "1 links that lead nowhere" in text


def test_a_device_or_pipe_is_never_opened(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    os.mkfifo(tmp_path / "a" / "pipe.png")
    samples = find(tmp_path)
    assert len(samples) == 2
    assert any("regular" in note for note in samples.notes)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep names of bytes")
def test_names_that_are_not_utf8_are_left_out_with_the_way_to_rename_them(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    with open(os.fsencode(tmp_path) + b"/a/" + "狗.png".encode("gb18030"), "wb") as file:
        file.write(b"x")
    samples = find(tmp_path)
    assert len(samples) == 2
    assert any("convmv" in note for note in samples.notes)


def test_terminal_escapes_in_names_are_not_printed_raw(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png", "loose\x1b[31m\n.png")
    samples = find(tmp_path)
    assert all(note.isprintable() for note in samples.notes)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read_is_an_error(tmp_path):
    put(tmp_path / "x", "a/1.png").chmod(0)
    refused("EY-D014", tmp_path / "x")


# ---- labels from names -------------------------------------------------------------------------------------------


def test_a_plain_pattern_is_proposed_as_the_exact_command(tmp_path):
    root = put(tmp_path / "my photos", "cat_1.png", "cat_2.png", "dog_1.png", "dog_2.png")
    text = refused("EY-D006", root)
    command = f"eyas train '{root}' --label-from '^(.+)_\\d+\\.'"
    assert command in text
    assert find(root, label_from=r"^(.+)_\d+\.").classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("names", "classes"),
    [
        (["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"], ["cat", "dog"]),
        (["cat (1).jpg", "cat (2).jpg", "dog (1).jpg", "dog (2).jpg"], ["cat", "dog"]),
        (["great_pyrenees_1.jpg", "great_pyrenees_2.jpg", "pug_1.jpg", "pug_2.jpg"], ["great_pyrenees", "pug"]),
        (["1_a.jpg", "2_a.jpg", "3_b.jpg", "4_b.jpg"], ["a", "b"]),
        (["猫1.jpg", "猫2.jpg", "狗1.jpg", "狗2.jpg"], ["狗", "猫"]),
        (["IMG_1.jpg", "IMG_2.jpg"], None),
        (["holiday.jpg", "birthday.jpg"], None),
    ],
)
def test_proposals_are_made_when_they_are_plain_to_see(names, classes):
    found = propose(names)
    assert (found and found[1]) == classes


def test_images_without_any_sign_of_a_label_are_refused(tmp_path):
    refused("EY-D007", put(tmp_path, "x.png", "y.png"))


def test_flat_split_folders_are_not_taken_for_classes(tmp_path):
    root = put(tmp_path, "train/cat_1.png", "train/cat_2.png", "train/dog_1.png", "test/dog_2.png")
    refused("EY-D006", root)
    samples = find(root, label_from=r"^([a-z]+)_")
    assert samples.classes == ("cat", "dog")
    assert len(samples.rows(Split.TRAIN)) == 3
    assert len(samples.rows(Split.TEST)) == 1


def test_label_from_parent_takes_the_nearest_folder(tmp_path):
    put(tmp_path, "x/cat/1.png", "y/cat/2.png", "y/dog/3.png")
    assert find(tmp_path, label_from="parent").classes == ("cat", "dog")


def test_label_from_with_a_slash_sees_the_whole_path(tmp_path):
    put(tmp_path, "2024-cat/1.png", "2025-dog/2.png")
    assert find(tmp_path, label_from=r"^\d+-(.+)/").classes == ("cat", "dog")


def test_label_from_that_cannot_work_is_refused(tmp_path):
    put(tmp_path, "cat_1.png", "dog_1.png")
    refused("EY-D011", tmp_path, label_from="(")
    refused("EY-D012", tmp_path, label_from="cat")
    refused("EY-D012", tmp_path, label_from="(a)(b)")
    assert "cat_1.png" in refused("EY-D013", tmp_path, label_from=r"^(\d+)x")


# ---- val and test from elsewhere ---------------------------------------------------------------------------------


def test_val_inside_the_data_is_taken_out_of_train(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png", "held/a/2.png")
    samples = find(tmp_path, val=str(tmp_path / "held"))
    assert samples.classes == ("a", "b")
    assert [samples.source.name(r) for r in samples.rows(Split.VAL)] == ["held/a/2.png"]
    assert len(samples) == 3


def test_val_and_test_elsewhere_share_one_root(tmp_path):
    put(tmp_path, "one/a/1.png", "one/b/1.png", "two/v/b/1.png", "three/a/1.png")
    samples = find(tmp_path / "one", val=str(tmp_path / "two" / "v"), test=str(tmp_path / "three"))
    assert isinstance(samples.source, FileSource)
    assert samples.root == samples.source.root == tmp_path
    assert [samples.source.name(r) for r in range(4)] == [
        "one/a/1.png",
        "one/b/1.png",
        "two/v/b/1.png",
        "three/a/1.png",
    ]
    assert all(samples.source.path(r).is_file() for r in range(4))
    assert list(samples.splits) == [Split.NONE, Split.NONE, Split.VAL, Split.TEST]
    assert [samples.classes[i] for i in samples.labels] == ["a", "b", "b", "a"]


def test_val_with_a_strange_class_or_beside_a_declared_one_is_refused(tmp_path):
    put(tmp_path, "d/train/cat/1.png", "d/train/dog/1.png", "d/val/cat/1.png", "v/cats/1.png", "w/cat/1.png")
    refused("EY-D061", tmp_path / "d", val=str(tmp_path / "w"))
    assert "train: cat)" in refused("EY-D005", tmp_path / "d", test=str(tmp_path / "v"))
    refused("EY-D002", tmp_path / "d", test=str(tmp_path / "vv"))
    refused("EY-D060", tmp_path / "d", val="1.5")


def test_val_as_a_table_joins_folders_and_only_its_val_rows(tmp_path):
    put(tmp_path, "d/a/1.png", "d/b/1.png", "e/x.png", "e/y.png")
    (tmp_path / "e" / "list.csv").write_text("path,label,split\nx.png,a,val\ny.png,b,train\n")
    samples = find(tmp_path / "d", val=str(tmp_path / "e" / "list.csv"))
    assert [samples.source.name(r) for r in samples.rows(Split.VAL)] == ["e/x.png"]


def test_images_and_arrays_do_not_mix(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    np.savez(tmp_path / "v.npz", images=np.zeros((2, 4, 4), np.uint8), labels=np.array(["a", "b"]))
    refused("EY-D062", tmp_path, val=str(tmp_path / "v.npz"))


def test_match_counts_in_the_classes_of_a_model(tmp_path):
    put(tmp_path, "b/1.png")
    assert list(match(look(tmp_path), ("a", "b"), what="data").labels) == [1]


# ---- what is not read --------------------------------------------------------------------------------------------


def test_pickles_are_refused_with_the_conversion(tmp_path):
    for name in ("data_batch_1", "data_batch_2", "test_batch", "batches.meta"):
        (tmp_path / name).write_bytes(pickle.dumps({b"data": 1}))
    for data in (tmp_path, tmp_path / "data_batch_1"):
        assert "numpy" in refused("EY-D008", data)
    for name, how in (("x.pkl", "pickle.load"), ("x.pt", "torch.load"), ("x.pth", "weights_only=True")):
        (tmp_path / name).write_bytes(b"")
        assert how in refused("EY-D008", tmp_path / name)
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "x.pickle").write_bytes(b"")
    refused("EY-D008", tmp_path / "only")


def test_an_npy_holds_no_labels_and_one_of_objects_is_a_pickle(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((2, 4, 4), np.uint8))
    assert "numpy.savez('set.npz', images=numpy.load('x.npy')" in refused("EY-D086", tmp_path / "x.npy")
    np.save(tmp_path / "y.npy", np.array([{}, []], object), allow_pickle=True)
    assert "allow_pickle=True" in refused("EY-D008", tmp_path / "y.npy")


def test_archives_addresses_and_single_images_are_refused_with_the_way(tmp_path):
    put(tmp_path, "a/1.png")
    (tmp_path / "x.7z").write_bytes(b"7z")
    refused("EY-D009", tmp_path / "x.7z")
    refused("EY-D009", "https://example.org/x.zip")
    for data in ("hf://datasets/someone/something", "hf://someone/something", Path("hf://someone/something")):
        assert "hf download --repo-type dataset someone/something" in refused("EY-D078", data)
    assert str(tmp_path / "a") in refused("EY-D010", tmp_path / "a" / "1.png")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a file whose reading fails")
@pytest.mark.parametrize("name", ["x.csv", "train-images-idx3-ubyte", "x"])
def test_a_file_whose_reading_fails_is_an_error_with_its_reason(tmp_path, name):
    put(tmp_path, "1.png")
    idx(tmp_path / "train-labels-idx1-ubyte", np.zeros(2))
    (tmp_path / name).symlink_to("/proc/self/mem")
    assert "Input/output error" in refused("EY-D014", tmp_path / name)


@pytest.mark.parametrize("data", ["x" * 5000, "a\0b", "~nobody-of-this-name/x", " "])
def test_names_that_no_file_can_have_are_simply_not_there(data):
    refused("EY-D001", data)


def test_a_pattern_for_labels_beside_a_table_is_said_to_be_unused(tmp_path):
    put(tmp_path, "1.png", "2.png")
    samples = find(table(tmp_path, "path,label\n1.png,a\n2.png,b\n"), label_from="parent")
    assert any("--label-from" in note for note in samples.notes)


def test_a_long_table_in_a_folder_is_understood_by_its_beginning(tmp_path):
    names = [f"图/{i:05d}{'x' * 60}.png" for i in range(5000)]
    (tmp_path / "图").mkdir()
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    for encoding in ("gb18030", "utf-8"):
        table(
            tmp_path, "图片,标签\n" + "".join(f"{n},{'猫狗'[i % 2]}\n" for i, n in enumerate(names)), encoding=encoding
        )
        assert len(find(tmp_path)) == 5000


# ---- tables ------------------------------------------------------------------------------------------------------


def table(root, text, name="labels.csv", encoding="utf-8"):
    path = root / name
    path.write_bytes(text.encode(encoding))
    return path


def test_rows_that_lead_nowhere_are_listed_with_their_lines(tmp_path):
    put(tmp_path, "one.png")
    path = table(tmp_path, "path,label\none.png,a\noen.png,b\nthree.png,b\n")
    text = refused("EY-D022", path)
    assert "2 of 3" in text
    assert "line 3: oen.png" in text
    assert "did you mean one.png" in text


def test_group_and_weight_columns_are_kept(tmp_path):
    put(tmp_path, "1.png", "2.png", "3.png")
    path = table(tmp_path, "path,label,patient,weight\n3.png,a,p1,2.5\n2.png,b,,\n1.png,b,p1,0\n")
    samples = find(path)
    assert [samples.source.name(r) for r in range(3)] == ["1.png", "2.png", "3.png"]
    assert samples.groups is not None
    assert samples.weights is not None
    assert samples.groups[0] == samples.groups[2] >= 0
    assert samples.groups[1] == -1
    assert list(samples.weights) == [0, 1, 2.5]


def test_the_number_of_a_group_does_not_depend_on_the_others(tmp_path):
    put(tmp_path, "1.png", "2.png", "3.png")
    one = find(table(tmp_path, "path,label,group\n1.png,a,x\n2.png,b,y\n"))
    two = find(table(tmp_path, "path,label,group\n1.png,a,x\n2.png,b,y\n3.png,b,a\n"))
    assert one.groups is not None
    assert two.groups is not None
    assert list(one.groups) == list(two.groups[:2])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gb18030"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encodings_and_delimiters_are_found_out(tmp_path, encoding, delimiter):
    put(tmp_path, "图 片/一.png", "图 片/二.png")
    text = delimiter.join(["路径", "标签"]) + f"\r\n图 片/一.png{delimiter}猫\r\n图 片/二.png{delimiter}狗\r\n"
    samples = find(table(tmp_path, text, encoding=encoding))
    assert labels(samples) == {"图 片/一.png": "猫", "图 片/二.png": "狗"}


def test_columns_may_be_named_and_a_wrong_name_is_refused(tmp_path):
    put(tmp_path, "1.png", "2.png")
    path = table(tmp_path, "where,what,label\n1.png,a,x\n2.png,b,x\n")
    assert find(path, columns={"path": "where", "label": "what"}).classes == ("a", "b")
    assert "where" in refused("EY-D021", path, columns={"path": "wher"})
    refused("EY-D021", path, columns={"pth": "where"})


def test_a_table_without_header_is_told_by_its_cells(tmp_path):
    put(tmp_path, "1.png", "2.png")
    samples = find(table(tmp_path, "1.png,a\n2.png,b\n"))
    assert samples.classes == ("a", "b")
    assert any("header" in note for note in samples.notes)


def test_spelling_of_paths_is_bridged_and_said(tmp_path):
    put(tmp_path, "Train/Photo.PNG", "Train/cafe\u0301.png", "Train/plain.png")
    path = table(tmp_path, "image_id,breed\nTrain\\photo.png,a\nTrain/caf\u00e9.png,b\nTrain/plain,b\n")
    samples = find(path, columns={"label": "breed"})
    assert set(labels(samples)) == {"Train/Photo.PNG", "Train/cafe\u0301.png", "Train/plain.png"}
    assert len(samples.notes) == 3


def test_paths_may_be_relative_to_a_folder_beside_the_table(tmp_path):
    put(tmp_path, "images/1.png", "images/2.png", "other/3.png")
    samples = find(table(tmp_path, "id,label\n1,a\n2,b\n"))
    assert set(labels(samples)) == {"images/1.png", "images/2.png"}


def test_absolute_paths_and_paths_upwards_get_a_common_root(tmp_path):
    put(tmp_path, "x/1.png", "y/2.png", "z/t/3.png")
    path = table(tmp_path / "z", f"path,label\n{tmp_path}/x/1.png,a\n../y/2.png,b\nt/3.png,b\n")
    samples = find(path)
    assert isinstance(samples.source, FileSource)
    assert samples.source.root == tmp_path
    assert sorted(samples.source.names) == ["x/1.png", "y/2.png", "z/t/3.png"]
    assert any("2 files lie outside" in note for note in samples.notes)


def test_a_link_out_of_the_folder_is_not_followed_by_a_table(tmp_path):
    put(tmp_path, "secret.png", "d/1.png")
    (tmp_path / "d" / "2.png").symlink_to(tmp_path / "secret.png")
    refused("EY-D022", table(tmp_path / "d", "path,label\n1.png,a\n2.png,b\n"))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("EY-D020", "path,note,more\n1.png,a,b\n2.png,b,c\n"),
        ("EY-D020", "a,b,c\n1,2,3\n"),
        ("EY-D023", "path,label\n1.png,\n2.png,b\n"),
        ("EY-D024", "path,label,split\n1.png,a,train\n2.png,b,fold3\n"),
        ("EY-D025", "path,label\n1.png,a\n1.png,b\n"),
        ("EY-D025", "path,label,split\n1.png,a,train\n./1.png,a,test\n"),
        ("EY-D027", "path,label\n1.png,a,extra\n"),
        ("EY-D027", "path,label\n"),
        ("EY-D027", ""),
        ("EY-D027", 'path,label\n"' + "x" * 200_000 + '",a\n'),
        ("EY-D029", "path,label,weight\n1.png,a,-1\n2.png,b,1\n"),
        ("EY-D029", "path,label,weight\n1.png,a,much\n2.png,b,1\n"),
        ("EY-D004", "path,label\n1.png,a\n2.png,a\n"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, code, text):
    put(tmp_path, "1.png", "2.png")
    refused(code, table(tmp_path, text))


@pytest.mark.parametrize("text", ["{", "[1]", '{"path":"1.png","label":"a"}\n"x"', "[" * 100_000])
def test_wrong_json_lines_are_refused(tmp_path, text):
    put(tmp_path, "1.png")
    refused("EY-D027", table(tmp_path, text, "x.jsonl"))


def test_text_in_no_known_encoding_is_refused(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"path,label\n\xff\xff\xff,a\n")
    refused("EY-D026", path)


def test_numbers_are_lines_of_classes_txt(tmp_path):
    put(tmp_path, "1.png", "2.png")
    (tmp_path / "classes.txt").write_text("zebra\nape\n")
    samples = find(table(tmp_path, "path,label\n1.png,0\n2.png,1\n"))
    assert labels(samples) == {"1.png": "zebra", "2.png": "ape"}


def test_tables_named_after_splits_are_joined(tmp_path):
    put(tmp_path, "i/1.png", "i/2.png", "i/3.png")
    table(tmp_path, "path,label\ni/1.png,a\ni/2.png,b\n", "train.csv")
    table(tmp_path, "path,label\ni/3.png,b\n", "test.csv")
    samples = find(tmp_path)
    assert list(samples.splits) == [Split.TRAIN, Split.TRAIN, Split.TEST]


def test_of_several_tables_one_must_be_chosen(tmp_path):
    put(tmp_path, "1.png", "2.png")
    for name in ("x.csv", "y.csv"):
        table(tmp_path, "path,label\n1.png,a\n2.png,b\n", name)
    refused("EY-D028", tmp_path)


def test_a_stray_table_does_not_hide_class_folders(tmp_path):
    put(tmp_path, "a/1.png", "b/1.png")
    table(tmp_path, "epoch,loss\n1,0.5\n", "results.csv")
    samples = find(tmp_path)
    assert samples.classes == ("a", "b")
    assert any("results.csv" in note for note in samples.notes)


# ---- IDX ---------------------------------------------------------------------------------------------------------


def idx(path, array, *, packed=False, kind=8):
    data = struct.pack(f">4B{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(data) if packed else data)
    return data


def idx_set(root, n=4, k=4):
    idx(root / "train-images-idx3-ubyte", np.arange(n * 6).reshape(n, 2, 3))
    idx(root / "train-labels-idx1-ubyte", np.arange(k) % 2)
    return root


def test_an_idx_file_stands_for_its_set_and_a_folder_with_raw_too(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    idx_set(raw)
    for data in (tmp_path, raw, raw / "train-images-idx3-ubyte", raw / "train-labels-idx1-ubyte"):
        samples = find(data)
        assert isinstance(samples.source, ArraySource)
        assert samples.source.images.shape == (4, 2, 3)
        assert samples.classes == ("0", "1")


def test_the_identity_is_that_of_the_content(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "y").mkdir()
    one = find(idx_set(tmp_path / "x"))
    root = idx_set(tmp_path / "y")
    idx(root / "train-images-idx3-ubyte.gz", np.arange(24).reshape(4, 2, 3), packed=True)
    (root / "train-images-idx3-ubyte").unlink()
    two = find(root)
    assert one.source.identity == two.source.identity
    idx(root / "train-labels-idx1-ubyte", np.array([1, 0, 0, 1]))
    assert find(root).source.identity != one.source.identity


def test_damaged_idx_files_are_refused(tmp_path):
    idx_set(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    good = path.read_bytes()
    bomb = struct.pack(">4B3I", 0, 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1)
    packed = gzip.compress(good)
    flipped = packed[:40] + bytes([packed[40] ^ 255]) + packed[41:]
    for data in (b"", b"PK\3\4", good[:3], good[:10], good[:-1], good + b"x", bomb, packed[:-9], flipped):
        path.write_bytes(data)
        refused("EY-D030", tmp_path)
    idx(path, np.zeros((4, 2, 3)), kind=13)
    refused("EY-D030", tmp_path)
    idx(path, np.zeros(4))
    refused("EY-D030", tmp_path)
    idx(path, np.zeros((4, 2, 3, 2)))
    refused("EY-D042", tmp_path)


def test_idx_sets_must_be_whole_and_one(tmp_path):
    idx_set(tmp_path, n=4, k=5)
    refused("EY-D031", tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    assert "train-labels-idx1-ubyte" in refused("EY-D032", tmp_path)
    idx_set(tmp_path)
    for kind, array in (("images-idx3", np.zeros((2, 2, 2))), ("labels-idx1", np.zeros(2))):
        idx(tmp_path / f"letters-train-{kind}-ubyte", array)
    refused("EY-D033", tmp_path)
    assert len(find(tmp_path / "train-images-idx3-ubyte")) == 4


def test_parts_of_different_shape_are_refused(tmp_path):
    idx_set(tmp_path)
    idx(tmp_path / "t10k-images-idx3-ubyte", np.zeros((2, 3, 3)))
    idx(tmp_path / "t10k-labels-idx1-ubyte", np.zeros(2))
    refused("EY-D063", tmp_path)


# ---- npz ---------------------------------------------------------------------------------------------------------

IMAGES = np.zeros((4, 5, 6, 3), np.uint8)
LABELS = np.array([0, 1, 0, 1])


def npz(root, **arrays):
    path = root / "set.npz"
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("images", "labels"), [("x", "y"), ("images", "labels"), ("x_train", "y_train"), ("train_images", "train_labels")]
)
def test_arrays_go_by_their_usual_names(tmp_path, images, labels):
    samples = find(npz(tmp_path, **{images: IMAGES, labels: LABELS, "other": np.zeros(1)}))
    assert samples.classes == ("0", "1")
    assert any("other" in note for note in samples.notes)


def test_labels_may_be_names(tmp_path):
    samples = find(npz(tmp_path, x=IMAGES, y=np.array(["b10", "b9", "b9", "b10"])))
    assert samples.classes == ("b9", "b10")
    assert list(samples.labels) == [1, 0, 0, 1]


@pytest.mark.parametrize(
    ("code", "arrays"),
    [
        ("EY-D041", {"a": IMAGES}),
        ("EY-D041", {"images": IMAGES}),
        ("EY-D041", {}),
        ("EY-D042", {"x": IMAGES.transpose(0, 3, 1, 2), "y": LABELS}),
        ("EY-D042", {"x": IMAGES.reshape(4, -1), "y": LABELS}),
        ("EY-D042", {"x": IMAGES, "y": np.eye(4, dtype=int)}),
        ("EY-D043", {"x": IMAGES.astype(np.float32), "y": LABELS}),
        ("EY-D043", {"x": IMAGES, "y": LABELS.astype(float)}),
        ("EY-D043", {"x": IMAGES, "y": LABELS, "classes": LABELS}),
        ("EY-D044", {"x": IMAGES, "y": LABELS[:3]}),
        ("EY-D045", {"x": IMAGES, "y": LABELS + 1, "classes": np.array(["a", "b"])}),
        ("EY-D045", {"x": IMAGES, "y": np.array(list("abcb")), "classes": np.array(["a", "b"])}),
        ("EY-D003", {"x": IMAGES[:0], "y": LABELS[:0]}),
        ("EY-D063", {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES[:, 1:], "y_test": LABELS}),
        ("EY-D040", {"x": IMAGES, "y": np.array([{}, [], None, 1], object)}),
    ],
)
def test_wrong_arrays_are_refused(tmp_path, code, arrays):
    refused(code, npz(tmp_path, **arrays))


def test_a_damaged_npz_is_refused(tmp_path):
    path = npz(tmp_path, x=np.random.default_rng(0).integers(0, 256, (40, 9, 9), np.uint8), y=np.arange(40) % 2)
    good = path.read_bytes()
    assert len(find(path)) == 40
    for data in (b"", b"nothing", good[:-30], good[:900] + bytes([good[900] ^ 255]) + good[901:]):
        path.write_bytes(data)
        refused("EY-D040", path)


def test_a_header_that_claims_more_than_there_is_allocates_nothing(tmp_path):
    import io
    import zipfile

    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "|u1", "fortran_order": False, "shape": (1 << 40, 28, 28)})
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("x.npy", head.getvalue())
        archive.writestr("y.npy", head.getvalue())
    refused("EY-D040", tmp_path / "set.npz")
