"""Broken and hostile files: each gets its code, nothing crashes or hangs, and no file is changed."""

import hashlib
import os
import sys
from pathlib import Path

import pytest

import corpus_hostile as corpus
from eyas.data.worker import FAULT
from eyas.flows.check import Question, check

if sys.platform == "win32":
    pytest.skip("links that lead nowhere need rights there", allow_module_level=True)


def state(root: Path) -> dict[str, str]:
    """What is in every file, and where every link leads."""
    return {
        str(path): str(path.readlink()) if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def codes(root: Path, cache: Path, timeout_s: float) -> dict[str, list[str]]:
    """The E codes that the files of each kind (folder) got, as the lines of `--jsonl` tell them."""
    checked = check(Question(str(root)), cache=cache, workers=2, timeout_s=timeout_s)
    out: dict[str, list[str]] = {folder.name: [] for folder in root.iterdir()}
    for line in checked.lines():
        kind = line["path"].partition("/")[0]
        if line["code"][0] == "E" and kind in out:
            out[kind].append(line["code"])
    assert not checked.ok
    more = sum(finding.more for finding in checked.findings if finding.code == "E08")
    out.setdefault("dangling_link", []).extend(["E08"] * more)
    return out


def all_kinds(tmp_path: Path, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    root, apart = tmp_path / "photos", tmp_path / "hanging"
    for number, kind in enumerate(corpus.KINDS):
        corpus.write((apart if kind == "decoder_hang" else root) / kind, kind, n, seed=number)
    for folder in (root, apart):
        corpus.write_sound(folder / "sound", 2 * n)
    before = state(tmp_path)
    monkeypatch.setenv(FAULT, corpus.FAULTS)
    got = codes(root, tmp_path / "cache", 60)
    got |= {kind: found for kind, found in codes(apart, tmp_path / "cache", 0.5).items() if kind == "decoder_hang"}
    want = {kind: [code] * n for kind, (code, _, _) in corpus.KINDS.items()}
    assert got == {**want, "sound": []}
    assert {path: what for path, what in state(tmp_path).items() if "/cache/" not in path} == before


def test_there_are_32_kinds_of_every_code_that_a_file_can_get():
    assert len(corpus.KINDS) == 32
    assert {code for code, _, _ in corpus.KINDS.values()} == {f"E0{k}" for k in range(1, 9)}


@pytest.mark.parametrize("kind", [kind for kind in corpus.KINDS if kind != "dangling_link"])
def test_the_same_seed_makes_the_same_files(tmp_path, kind):
    corpus.write(tmp_path / "a", kind, 1, seed=7)
    corpus.write(tmp_path / "b", kind, 1, seed=7)
    (one,), (other,) = (tmp_path / "a").iterdir(), (tmp_path / "b").iterdir()
    assert one.read_bytes() == other.read_bytes()


def test_five_files_of_each_of_32_kinds_get_exactly_their_code(tmp_path, monkeypatch):
    all_kinds(tmp_path, 5, monkeypatch)


@pytest.mark.slow
def test_fifty_files_of_each_of_32_kinds_get_exactly_their_code(tmp_path, monkeypatch):
    all_kinds(tmp_path, 50, monkeypatch)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_file_that_may_not_be_read_is_e08(tmp_path):
    corpus.write_sound(tmp_path / "photos" / "a", 5)
    (tmp_path / "photos" / "a" / "0001.png").chmod(0)
    assert codes(tmp_path / "photos", tmp_path / "cache", 60)["a"] == ["E08"]


def test_a_folder_that_is_called_like_a_picture_is_a_folder(tmp_path):
    corpus.write_sound(tmp_path / "photos" / "a", 5)
    corpus.write_sound(tmp_path / "photos" / "b" / "x.jpg", 5, seed=1)
    checked = check(Question(str(tmp_path / "photos")), cache=tmp_path / "cache", workers=1)
    assert len(checked.samples) == 10
    assert not checked.examined.bad
