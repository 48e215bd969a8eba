"""Records of a run: whole lines, few reads of the loss, and a resume that leaves no trace."""

import csv
import json
import math

import pytest

from eyas.errors import DataError
from eyas.evaluation.metrics import wilson
from eyas.observe import jsonl
from eyas.observe.jsonl import EventLog, MetricsTable
from eyas.training.events import Decided, Evaluated, Recovered, Saved, Stepped, Stopped
from eyas.training.progress import Progress, Score


class Loss:
    """A loss on a device: it knows how often it was read."""

    reads = 0

    def __init__(self, value):
        self.value = value

    def __float__(self):
        Loss.reads += 1
        return self.value


def at(step, steps=1000):
    return Progress(step=step, steps=steps, position=step * 10, epoch_size=100, batch_size=10)


def evaluated(step, correct=80, n=100, split="val", train_loss=0.5, best=True):
    return Evaluated(at(step), Score(step, split, "raw", n, correct, 0.25), train_loss, 0.1, best=best)


def story(first=1, last=1000):
    """Events as a run of 1,000 steps makes them."""
    for step in range(first, last + 1):
        yield Stepped(at(step), Loss(1 / step), 0.1)
        if step % 100 == 0:
            yield evaluated(step)
            yield Saved(at(step), "checkpoints/x", 123, 0.1)


def test_every_kind_of_event_comes_back(tmp_path):
    path = tmp_path / "events.jsonl"
    given = [
        Stepped(at(5), 0.5, 0.1),
        evaluated(10),
        Saved(at(10), "checkpoints/值", 123, 0.1),
        Decided(at(10), "steps", 900, "time"),
        Recovered(at(11), "spike", "6.5 sigma"),
        Stopped(at(12), "finished"),
    ]
    with EventLog(path, every_steps=1, now=lambda: 1.5) as log:
        for event in given:
            log(event)
    found = jsonl.read_events(path)
    assert [e["kind"] for e in found] == ["stepped", "evaluated", "saved", "decided", "recovered", "stopped"]
    assert all(e["v"] == 1 and e["t"] == 1.5 for e in found)
    assert [e["step"] for e in found] == [e.at.step for e in given]
    assert found[1]["interval"] == list(wilson(80, 100))
    assert found[2]["path"] == "checkpoints/值"
    assert jsonl.read_events(path, kinds=("saved",)) == [found[2]]


def test_losses_are_read_about_200_times_in_a_run(tmp_path):
    Loss.reads = 0
    with EventLog(tmp_path / "events.jsonl") as log:
        for event in story():
            log(event)
    assert 190 <= Loss.reads <= 210
    assert len(jsonl.read_events(tmp_path / "events.jsonl", kinds=("stepped",))) == Loss.reads


def test_a_step_that_was_not_accepted_is_always_written_and_nan_is_null(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path) as log:
        log(Stepped(at(3), math.nan, 0.1, accepted=False))
        log(Stepped(at(4), 1.0, 0.1))
    (only,) = jsonl.read_events(path)
    assert only["loss"] is None
    assert only["accepted"] is False
    assert "NaN" not in path.read_text()


def test_a_line_is_on_disk_as_soon_as_the_event_was_taken(tmp_path):
    path = tmp_path / "events.jsonl"
    log = EventLog(path, every_steps=1)
    for step in (1, 2):
        log(Stepped(at(step), 0.5, 0.1))
        assert path.read_bytes().count(b"\n") == step
    log.close()


def test_cutting_back_and_going_on_ends_with_the_same_bytes(tmp_path):
    def run(folder, events, cut=None):
        logs = (EventLog(folder / "events.jsonl", now=lambda: 0.0), MetricsTable(folder / "metrics.csv"))
        for log in logs:
            if cut is not None:
                assert log.truncate_to(cut)
        lengths = {}
        for event in events:
            for log in logs:
                log(event)
            if isinstance(event, Saved) and event.at.step == 400:
                lengths = {k: v for log in logs for k, v in log.lengths().items()}
        for log in logs:
            log.sync()
            log.close()
        return lengths

    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    run(tmp_path / "whole", story())
    kept = run(tmp_path / "killed", story(last=777))  # killed here; the last checkpoint is of step 400
    run(tmp_path / "killed", story(first=401), cut=kept)
    for name in ("events.jsonl", "metrics.csv"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_file_that_lost_its_end_is_kept_and_said_so(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path, every_steps=1) as log:
        log(Stepped(at(1), 0.5, 0.1))
        length = log.lengths()["events.jsonl"]
        assert not log.truncate_to({"events.jsonl": length + 1})
        assert not log.truncate_to({})
        assert log.lengths() == {"events.jsonl": length}


def test_cutting_back_to_nothing_leaves_files_as_new(tmp_path):
    logs = (EventLog(tmp_path / "events.jsonl"), MetricsTable(tmp_path / "metrics.csv"))
    new = [log.path.read_bytes() for log in logs]
    for log in logs:
        log(evaluated(10))
        assert log.truncate_to({"events.jsonl": 0, "metrics.csv": 0})
        log.close()
    assert [log.path.read_bytes() for log in logs] == new
    assert jsonl.read_metrics(tmp_path / "metrics.csv")["step"] == []


def test_a_torn_last_line_is_cut_off_when_the_file_is_opened_again(tmp_path):
    path = tmp_path / "events.jsonl"
    with EventLog(path, every_steps=1) as log:
        log(Stepped(at(1), 0.5, 0.1))
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"v":1,"ki')
    assert len(jsonl.read_events(path)) == 1
    EventLog(path).close()
    assert path.read_bytes() == whole


def test_metrics_hold_one_exact_row_per_scoring_of_val(tmp_path):
    path = tmp_path / "metrics.csv"
    with MetricsTable(path) as table:
        for event in story():
            table(event)
        table(evaluated(1000, split="test"))
    columns = jsonl.read_metrics(path)
    assert tuple(columns) == jsonl.COLUMNS
    assert columns["step"] == list(range(100, 1001, 100))
    assert columns["val_accuracy"][0] == 0.8
    assert (columns["val_low"][0], columns["val_high"][0]) == wilson(80, 100)
    assert columns["best"][0] is True
    assert columns["weights"][0] == "raw"
    with path.open(newline="") as f:
        assert len(list(csv.DictReader(f))) == 10


def test_a_run_without_val_has_rows_with_empty_val_columns(tmp_path):
    path = tmp_path / "metrics.csv"
    with MetricsTable(path) as table:
        table(evaluated(10, split="train"))
        table(evaluated(20, n=0, correct=0, train_loss=math.nan))
    columns = jsonl.read_metrics(path)
    assert columns["train_loss"][0] == 0.5
    assert math.isnan(columns["train_loss"][1])
    assert all(math.isnan(v) for v in columns["val_accuracy"] + columns["val_loss"])


def test_absent_records_are_empty(tmp_path):
    assert jsonl.read_events(tmp_path / "events.jsonl") == []
    assert jsonl.read_metrics(tmp_path / "metrics.csv") == {}


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", ",".join(jsonl.COLUMNS) + "\n1,2\n", "\xff"])
def test_a_strange_metrics_file_is_refused(tmp_path, text):
    path = tmp_path / "metrics.csv"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match="EY-D174"):
        jsonl.read_metrics(path)


def test_a_strange_event_is_refused_with_its_line(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_text(json.dumps({"kind": "stepped"}) + "\nnot json\n")
    with pytest.raises(DataError, match="EY-D174") as e:
        jsonl.read_events(path)
    assert "2:" in e.value.text("en")
