"""The weights of a run are those of the best score on val, whichever step and average that was."""

from eyas.flows.finish import choose, epochs_of
from eyas.training.progress import Progress, Score


def score(step, correct, weights="ema", split="val"):
    return Score(step, split, weights, 100, correct, 1.0)


def test_the_best_on_val_is_chosen_not_the_last():
    at = Progress(step=30, steps=30, scores=(score(10, 80), score(20, 90), score(30, 85), score(30, 84, "raw")))
    assert choose(at, averaged=True) == (20, 0, "ema")


def test_the_raw_weights_of_the_end_win_when_they_are_better():
    at = Progress(step=30, steps=30, scores=(score(20, 90), score(30, 91), score(30, 92, "raw")))
    assert choose(at, averaged=True) == (30, 0, "raw")


def test_test_scores_choose_nothing():
    at = Progress(step=30, steps=30, scores=(score(10, 80), score(20, 99, split="test"), score(30, 70)))
    assert choose(at, averaged=True) == (10, 0, "ema")


def test_without_val_it_is_the_last_average_or_the_last_weights():
    at = Progress(step=30, steps=30)
    assert choose(at, averaged=True) == (30, 0, "ema")
    assert choose(at, averaged=False) == (30, 0, "raw")


def test_a_step_that_reaches_into_the_next_epoch_does_not_count_as_part_of_it():
    assert epochs_of(Progress(position=208, epoch_size=200, batch_size=16)) == 1.0
    assert epochs_of(Progress(position=304, epoch_size=200, batch_size=16)) == 1.52
