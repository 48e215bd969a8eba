"""Which run a command means, on real folders."""

import json

import pytest

from eyas.errors import StorageError, UsageError
from eyas.flows.opening import open_run
from eyas.training.run import Run, create, find, list_runs, lock, read, standing


def intent(**recipe):
    return {"recipe": {"epochs": 5, "time_s": None, "lr": 0.05, **recipe}, "data": "abc"}


def unfinished(root, told, *, status="running"):
    return create(None, root, "photos", {"intent": told, "status": status})


def opened(root, told, *, out=None, fresh=False, extend=False):
    document = {"intent": told, "status": "running"}
    return open_run(told, document, out=out, root=root, name="photos", fresh=fresh, extend=extend)


def test_the_newest_unfinished_run_with_the_same_intent_goes_on_past_others(tmp_path):
    first = unfinished(tmp_path, intent())
    unfinished(tmp_path, intent(lr=0.04))
    found = opened(tmp_path, intent())
    assert found.resumed
    assert found.run.path == first.path


@pytest.mark.parametrize("status", ["running", "interrupted", "preempted", "failed"])
def test_every_way_of_being_unfinished_goes_on(tmp_path, status):
    run = unfinished(tmp_path, intent(), status=status)
    assert opened(tmp_path, intent()).run.path == run.path


@pytest.mark.parametrize("status", ["done", "diverged"])
def test_what_has_ended_does_not_go_on_without_being_named(tmp_path, status):
    run = unfinished(tmp_path, intent(), status=status)
    assert opened(tmp_path, intent()).run.path != run.path


def test_fresh_starts_anew(tmp_path):
    run = unfinished(tmp_path, intent())
    assert opened(tmp_path, intent(), fresh=True).run.path != run.path


def test_a_small_difference_is_named_and_a_new_run_begins(tmp_path):
    unfinished(tmp_path, intent())
    found = opened(tmp_path, {**intent(), "data": "def"})
    assert not found.resumed
    assert len(found.notes) == 1
    assert "abc" not in found.notes[0]


def test_a_finished_run_of_another_length_proposes_extend(tmp_path):
    out = tmp_path / "run"
    create(out, tmp_path, "photos", {"intent": intent(), "status": "done"})
    with pytest.raises(UsageError, match="--extend"):
        opened(tmp_path, intent(epochs=9), out=out)
    assert opened(tmp_path, intent(epochs=9), out=out, extend=True).resumed
    with pytest.raises(UsageError, match="EY-U103"):
        opened(tmp_path, intent(epochs=5), out=out, extend=True)
    with pytest.raises(UsageError, match="EY-U105"):
        opened(tmp_path, intent(epochs=9), out=tmp_path / "new", extend=True)


def test_a_torn_decision_does_not_swallow_the_next(tmp_path):
    run = unfinished(tmp_path, intent())
    run.decide({"name": "steps", "step": 1, "value": 10})
    with (run.path / "decisions.jsonl").open("a") as file:
        file.write('{"name": "steps", "st')
    run.decide({"name": "steps", "step": 2, "value": 20})
    assert [d["value"] for d in run.decisions()] == [10, 20]


def test_one_writer_at_a_time(tmp_path):
    run = unfinished(tmp_path, intent())
    again = Run(run.path, json.loads((run.path / "run.json").read_text()))
    with lock(run), pytest.raises(UsageError, match="EY-U111"), lock(again):
        pass
    with lock(again):
        assert read(run.path) is not None


def test_fresh_never_overwrites_a_run_that_is_named(tmp_path):
    out = tmp_path / "run"
    create(out, tmp_path, "photos", {"intent": intent(), "status": "done"})
    with pytest.raises(UsageError, match="EY-U106"):
        opened(tmp_path, intent(), out=out, fresh=True)


def test_an_interrupted_extension_goes_on_with_the_same_command(tmp_path):
    out = tmp_path / "run"
    create(out, tmp_path, "photos", {"intent": intent(epochs=9), "status": "running"})
    assert opened(tmp_path, intent(epochs=9), out=out, extend=True).resumed


def test_runs_are_in_order_of_their_numbers_past_a_thousand(tmp_path):
    for number in ("998", "999", "1000"):
        create(tmp_path / f"{number}-photos", tmp_path, "photos", {"intent": intent(), "status": "done"})
    assert [r.path.name for r in list_runs(tmp_path)] == ["998-photos", "999-photos", "1000-photos"]


def test_a_run_that_says_running_while_nobody_writes_was_killed(tmp_path):
    run = unfinished(tmp_path, intent())
    assert standing(run) == "killed"
    with lock(Run(run.path, dict(run.document))):
        assert standing(run) == "running"
    assert opened(tmp_path, intent()).resumed


@pytest.mark.parametrize("text", ["", "{", '{"schema": "eyas.run/9"}', "[1]", "null"])
def test_a_run_whose_description_is_damaged_is_never_called_no_run_nor_written_over(tmp_path, text):
    run = unfinished(tmp_path, intent())
    (run.path / "run.json").write_text(text)
    for ask in (lambda: find(str(run.path), tmp_path), lambda: find("1", tmp_path), lambda: find("latest", tmp_path)):
        with pytest.raises(StorageError, match="EY-S207"):
            ask()
    with pytest.raises(StorageError, match="EY-S207"):
        opened(tmp_path, intent(), out=run.path)
    found = opened(tmp_path, intent())
    assert found.run.path != run.path
    assert any(str(run.path) in note for note in found.notes)
    assert (run.path / "run.json").read_text() == text


def test_what_a_kill_leaves_of_a_run_that_had_just_begun_is_no_other_run(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / ".lock").touch()
    (out / ".run.json.999.tmp").write_text('{"a')
    assert opened(tmp_path, intent(), out=out).run.path == out
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="EY-U107"):
        opened(tmp_path, intent(), out=tmp_path / "file")


def test_names_that_are_no_text_are_kept_in_the_description(tmp_path):
    run = create(tmp_path / "out", tmp_path, "photos", {"intent": intent(), "command": ["train", "photo\udce4s"]})
    found = read(run.path)
    assert found is not None
    assert found.document["command"] == ["train", "photo\udce4s"]
