"""What a new run takes over from earlier ones on the same data, on real folders."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eyas.data.samples import Split
from eyas.data.splits_file import write_splits
from eyas.flows.describe import describe
from eyas.flows.inherit import inherited
from eyas.flows.prepare import prepare
from eyas.flows.request import Request
from eyas.training.run import create


@pytest.fixture(autouse=True)
def here(monkeypatch, tmp_path):
    monkeypatch.setenv("EYAS_LANG", "en")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def photo(path, seed):
    g = np.random.default_rng(seed)
    grid = Image.fromarray(g.integers(0, 256, (7, 7, 3), dtype=np.uint8))
    path.parent.mkdir(parents=True, exist_ok=True)
    grid.resize((40, 32), Image.Resampling.BICUBIC).save(path)


def photos(folder, numbers):
    for number in numbers:
        photo(folder / ("a" if number % 2 else "b") / f"{number}.png", number)
    return str(folder)


ROOT = Path("runs")


def prepared(request, **words):
    found = inherited(request, root=ROOT, **words)
    return prepare(request, workers=1, cache=Path("cache"), inherited=found)


def a_run(request, made, *, status="done", out=None):
    """The folder of a run, as training leaves it."""
    document = {"status": status, "request": request.to_dict(), "data": describe(made)}
    run = create(out, ROOT, "photos", document)
    write_splits(run.path / "splits.csv", made.samples, made.samples.splits, made.hashes, made.report.clusters)
    return run


def sides(made):
    return {made.samples.source.name(row): int(made.samples.splits[row]) for row in range(len(made.samples))}


def test_a_new_run_takes_over_the_split_of_the_newest_one_and_says_so(here):
    request = Request(photos(here / "photos", range(40)))
    first = prepared(request)
    assert "taken over" not in first.report.how
    run = a_run(request, first)
    moved = first.samples.splits.copy()
    moved[:5] = Split.VAL  # as by hand: nothing but the file knows
    write_splits(run.path / "splits.csv", first.samples, moved, first.hashes)
    photos(here / "photos", range(40, 50))
    second = prepared(request)
    assert sides(second).items() >= sides(replace(first, samples=first.samples.with_splits(moved))).items()
    assert str(run.path / "splits.csv") in second.report.how
    assert describe(second)["split"] == second.report.how


def test_the_same_command_finds_the_same_data_again_whenever_it_was_killed(here):
    request = Request(photos(here / "photos", range(40)))
    a_run(request, prepared(request))
    photos(here / "photos", range(40, 60))
    before = prepared(request)
    # killed before the run had its splits.csv
    bare = create(None, ROOT, "photos", {"status": "running", "request": request.to_dict(), "data": describe(before)})
    assert prepared(request).identity() == before.identity()
    write_splits(bare.path / "splits.csv", before.samples, before.samples.splits, before.hashes)
    assert prepared(request).identity() == before.identity()


def test_an_unfinished_run_is_asked_before_a_newer_one_that_divided_otherwise(here):
    request = Request(photos(here / "photos", range(40)))
    first = prepared(request)
    unfinished = a_run(request, first, status="interrupted")
    other = first.samples.splits.copy()[::-1].copy()
    newer = a_run(replace(request, splits=Path("none")), replace(first, samples=first.samples.with_splits(other)))
    assert inherited(request, root=ROOT).memory == unfinished.path / "splits.csv"
    assert inherited(request, root=ROOT, fresh=True).memory == newer.path / "splits.csv"
    assert prepared(request).identity() == first.identity()


def test_none_begins_anew_and_a_file_is_taken_alone(here):
    request = Request(photos(here / "photos", range(40)))
    first = prepared(request)
    other = a_run(request, replace(first, samples=first.samples.with_splits(first.samples.splits[::-1].copy())))
    assert sides(prepared(request)) != sides(first)
    anew = prepared(replace(request, splits=Path("none")))
    assert sides(anew) == sides(first)
    assert anew.report.remembered == 0
    given = prepared(replace(request, splits=other.path / "splits.csv"))
    assert sides(given) == sides(prepared(request))
    assert "taken over" not in given.report.how


def test_other_words_or_other_data_take_nothing_over(here):
    request = Request(photos(here / "photos", range(40)))
    first = prepared(request)
    a_run(request, replace(first, samples=first.samples.with_splits(first.samples.splits[::-1].copy())))
    for other in (replace(request, val="0.3"), replace(request, val="none"), replace(request, test="0.2")):
        assert inherited(other, root=ROOT).memory is None
        assert prepared(other).report.remembered == 0
    assert inherited(Request(photos(here / "others", range(8))), root=ROOT).memory is None
    assert inherited(request, root=Path("elsewhere")).memory is None


def test_a_holdout_stays_out_whatever_later_runs_are_asked(here):
    request = Request(photos(here / "photos", range(60)))
    first = prepared(replace(request, holdout="0.2"))
    a_run(replace(request, holdout="0.2"), first)
    kept = {name for name, side in sides(first).items() if side == Split.HOLDOUT}
    assert len(kept) > 4
    assert describe(first)["splits"]["holdout"]["n"] == len(kept)
    for words in ({}, {"val": "none"}, {"val": "0.3"}, {"test": "0.2"}):
        later = prepared(replace(request, **words))
        assert {name for name, side in sides(later).items() if side == Split.HOLDOUT} == kept
        a_run(replace(request, **words), later)
    larger = prepared(replace(request, holdout="0.4"))
    assert {name for name, side in sides(larger).items() if side == Split.HOLDOUT} > kept


def test_the_run_in_out_is_asked_for_its_own_split(here):
    request = Request(photos(here / "photos", range(40)))
    first = prepared(request)
    own = a_run(request, first, status="interrupted", out=here / "mine")
    a_run(request, replace(first, samples=first.samples.with_splits(first.samples.splits[::-1].copy())))
    assert inherited(request, root=ROOT, out=own.path).memory == own.path / "splits.csv"
    assert prepared(request, out=own.path).identity() == first.identity()
    assert inherited(request, root=ROOT, out=here / "new").memory is not None


def test_damaged_and_foreign_folders_are_passed_over(here):
    request = Request(photos(here / "photos", range(20)))
    run = a_run(request, prepared(request))
    for number, text in enumerate(
        ("", "{", "[]", '{"schema": "eyas.run/1"}', '{"schema": "eyas.run/1", "request": {}}')
    ):
        folder = ROOT / f"1{number:02d}-odd"
        folder.mkdir()
        (folder / "run.json").write_text(text)
        (folder / "splits.csv").write_text("path,split,hash\n")
    assert inherited(request, root=ROOT).memory == run.path / "splits.csv"


def test_leaks_between_declared_splits_are_findings_with_examples(here):
    for number in range(12):
        photo(here / "set/train" / ("a" if number % 2 else "b") / f"{number}.png", number)
    for number in (3, 20, 21, 22):
        photo(here / "set/val" / ("a" if number % 2 else "b") / f"{number}.png", number)
    near = Image.open(here / "set/train/b/4.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    near.save(here / "set/val/b/mirrored.png")
    told = {found["code"]: found for found in describe(prepared(Request(str(here / "set"))))["findings"]}
    assert told["L03"]["count"] == told["L04"]["count"] == 1
    (exact,), (alike,) = told["L03"]["examples"], told["L04"]["examples"]
    assert exact.startswith("val/a/3.png")
    assert "train -> val: = train/a/3.png" in exact
    assert alike.startswith("val/b/mirrored.png")
    assert "train -> val: ~ train/b/4.png" in alike
