from eyas.training.progress import Progress, Score
from eyas.training.recipe import Stopping
from eyas.training.stopping import best, better, reason_to_stop


def score(step, correct, *, loss=1.0, split="val"):
    return Score(step, split, "raw", 100, correct, loss)


def progress(*scores):
    return Progress(scores=scores)


def test_better_is_more_right_answers_then_less_loss_then_later():
    assert better(score(2, 51), score(1, 50))
    assert better(score(2, 50, loss=0.9), score(1, 50))
    assert not better(score(2, 50, loss=1.1), score(1, 50))
    assert better(score(2, 50), score(1, 50))


def test_best_never_looks_at_test():
    found = best((score(1, 50), score(2, 99, split="test")))
    assert found is not None
    assert found.step == 1


def test_until_stops_when_val_reaches_it():
    assert reason_to_stop(progress(score(1, 89)), Stopping(until=0.9)) is None
    assert reason_to_stop(progress(score(1, 90)), Stopping(until=0.9)) == "until"


def test_patience_counts_scorings_since_the_best():
    stopping = Stopping(patience=2)
    assert reason_to_stop(progress(score(1, 60), score(2, 50)), stopping) is None
    assert reason_to_stop(progress(score(1, 60), score(2, 50), score(3, 50)), stopping) == "patience"
    assert reason_to_stop(progress(score(1, 60), score(2, 50), score(3, 61)), stopping) is None
