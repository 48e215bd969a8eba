"""What is printed is right in a terminal, in a file, in a pipe, in Chinese, and when nobody listens any more."""

import io
import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from eyas.errors.messages import say
from eyas.observe import console
from eyas.observe.console import Mode, Pace, Reporter, cells
from eyas.training.events import Decided, Evaluated, Recovered, Saved, Stepped, Stopped
from eyas.training.progress import Progress, Score


class Clock:
    def __init__(self):
        self.t = 1000.0

    def __call__(self):
        return self.t


class Stream(io.StringIO):
    def __init__(self, tty=False, encoding="utf-8"):
        super().__init__()
        self.tty, self.named = tty, encoding

    def isatty(self):
        return self.tty

    @property
    def encoding(self):
        return self.named


class Loss:
    reads = 0

    def __float__(self):
        Loss.reads += 1
        return 0.25


def at(step, steps=100, size=10, epoch_size=100):
    return Progress(step=step, steps=steps, position=step * size, epoch_size=epoch_size, batch_size=size)


def scored(step, correct=180, n=200, split="val", best=False, steps=100):
    return Evaluated(at(step, steps), Score(step, split, "raw", n, correct, 0.3), 0.4, 0.1, best=best)


def run(reporter, clock, steps=100, step_s=0.1, score_s=2.0):
    """A run of `steps` steps with a scoring every ten, as the reporter sees it."""
    for step in range(1, steps + 1):
        clock.t += step_s
        reporter(Stepped(at(step, steps), Loss(), 0.1))
        if step % 10 == 0:
            clock.t += score_s
            reporter(scored(step, correct=100 + step, best=step == steps, steps=steps))
    reporter(scored(steps, split="test", steps=steps))
    reporter(Stopped(at(steps, steps), "finished"))


def told(mode, lang="en", width=100, tty=False, **times):
    clock, stream = Clock(), Stream(tty=tty)
    with Reporter(mode, stream=stream, lang=lang, now=clock, width=width, environ={}) as reporter:
        reporter.phase("pack", 0, 1000)
        clock.t += 20
        reporter.phase("pack", 500, 1000)
        clock.t += 20
        reporter.phase("pack", 1000, 1000)
        run(reporter, clock, **times)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("flags", "tty", "environ", "mode"),
    [
        ({}, True, {}, Mode.HUMAN),
        ({}, False, {}, Mode.PLAIN),
        ({}, True, {"TERM": "dumb"}, Mode.PLAIN),
        ({}, True, {"TTY_INTERACTIVE": "0"}, Mode.PLAIN),
        ({"plain": True}, True, {}, Mode.PLAIN),
        ({"quiet": True}, True, {}, Mode.QUIET),
        ({"json": True, "quiet": True, "plain": True}, True, {}, Mode.JSON),
    ],
)
def test_flags_come_before_what_the_stream_is(flags, tty, environ, mode):
    assert console.choose_mode(**flags, stream=Stream(tty=tty), environ=environ) is mode


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_a_file_gets_whole_lines_without_control_characters(lang):
    text = told(Mode.PLAIN, lang=lang)
    assert text.endswith("\n")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f\x1b]", text)
    lines = text.splitlines()
    assert sum("100/" in line or re.search(r"\b\d+/10\b", line) is not None for line in lines) >= 10


def test_a_real_pipe_gets_no_escape_and_no_carriage_return():
    code = (
        "import sys; from eyas.observe.console import *; from eyas.training.events import *;"
        "from eyas.training.progress import *\n"
        "mode = choose_mode()\n"
        "r = Reporter(mode); p = Progress(step=1, steps=2, position=1)\n"
        "r.phase('pack', 0, 9); r(Stepped(p, 0.5, 0.1))\n"
        "r(Evaluated(p, Score(1, 'val', 'raw', 10, 9, 0.1), 0.2, 0.1, best=True)); r.close()\n"
        "assert 'rich' not in sys.modules and 'torch' not in sys.modules; print(mode.value)"
    )
    environ = {**os.environ, "EYAS_LANG": "zh", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environ, check=True)
    assert done.stdout.decode().strip() == "plain"
    assert b"\x1b" not in done.stderr
    assert b"\r" not in done.stderr.replace(os.linesep.encode(), b"\n")
    assert "90.0 %" in done.stderr.decode("utf-8")
    assert "验证损失" in done.stderr.decode("utf-8")


def test_an_epoch_is_one_line_that_says_what_matters():
    lines = told(Mode.PLAIN).splitlines()
    header, first = (next(x for x in lines if key in x) for key in ("val loss", "55.0 %"))
    assert header.split() == ["epoch", "train", "loss", "val", "loss", "accuracy", "images/s", "left"]
    assert first.split() == ["1/10", "0.400", "0.300", "55.0", "%", "±6.8", "100", "0:27"]
    last = next(x for x in lines if "★" in x)
    assert last.split()[0] == "10/10"
    assert last.split()[-1] == "0:00"
    assert any("test accuracy 90.0 %" in x and "85.1" in x and "200" in x for x in lines)


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_columns_line_up_and_fit_the_terminal(lang, width):
    lines = told(Mode.PLAIN, lang=lang, width=width).splitlines()
    header = next(i for i, x in enumerate(lines) if say("console.val_loss", lang=lang) in x)
    table = lines[header : header + 11]
    assert len({cells(line) for line in table}) == 1
    assert cells(table[0]) <= width


@pytest.mark.parametrize("mode", [Mode.JSON, Mode.QUIET])
def test_json_and_quiet_print_nothing_and_read_no_loss(mode):
    Loss.reads = 0
    assert told(mode) == ""
    assert Loss.reads == 0


def test_without_a_terminal_a_long_epoch_says_something_every_30_seconds():
    clock, stream = Clock(), Stream()
    reporter = Reporter(Mode.PLAIN, stream=stream, lang="en", now=clock)
    Loss.reads = 0
    for step in range(1, 101):
        clock.t += 3
        reporter(Stepped(at(step, 1000, epoch_size=10_000), Loss(), 0.1))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert Loss.reads == 10
    assert lines[-1].startswith("epoch 0.1/1  loss 0.250")
    assert lines[-1].endswith("45:00 left")


def test_a_terminal_is_drawn_at_most_ten_times_a_second():
    clock, stream = Clock(), Stream(tty=True)
    Loss.reads = 0
    with Reporter(Mode.HUMAN, stream=stream, lang="en", now=clock, width=80) as reporter:
        for step in range(1, 2001):
            clock.t += 0.001
            reporter(Stepped(at(step, 3000, epoch_size=30_000), Loss(), 0.1))
    assert 10 <= Loss.reads <= 21
    assert "\x1b" in stream.getvalue()


def test_no_color_is_honoured_and_epochs_stay_above_the_live_line():
    for environ, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        clock, stream = Clock(), Stream(tty=True)
        with Reporter(Mode.HUMAN, stream=stream, lang="en", now=clock, width=90, environ=environ) as reporter:
            run(reporter, clock)
        assert bool(re.search(r"\x1b\[\d*;?3\d", stream.getvalue())) is coloured
        assert "10/10" in stream.getvalue()


def test_the_time_left_leaves_out_the_first_steps_and_counts_the_scorings():
    pace = Pace(0.0)
    t = 0.0
    for step in range(1, 51):
        t += 40.0 if step == 1 else 0.1  # the first one compiles
        pace.event(Stepped(at(step), 0.0, 0.1), t)
        if step % 10 == 0:
            t += 2.0
            pace.event(scored(step), t)
    assert pace.step_s() == pytest.approx(0.1)
    assert pace.images_per_second(at(50)) == pytest.approx(100)
    assert pace.left_s(at(50)) == pytest.approx(50 * 0.1 + 5 * 2.0)


def test_one_hiccup_does_not_move_the_time_left():
    pace, t = Pace(0.0), 0.0
    for step in range(1, 201):
        t += 30.0 if step == 150 else 0.1
        pace.event(Stepped(at(step, 1000), 0.0, 0.1), t)
    assert pace.left_s(at(200, 1000)) == pytest.approx(80, rel=0.01)


def test_a_new_stage_starts_the_measuring_anew():
    pace, t = Pace(0.0), 0.0
    for step in range(1, 41):
        t += 0.1 if step <= 20 else 0.5
        now = replace(at(step), stage="head" if step <= 20 else "full")
        pace.event(Stepped(now, 0.0, 0.1), t)
    assert pace.step_s() == pytest.approx(0.5)


def test_saving_is_counted_by_its_share():
    pace, t = Pace(0.0), 0.0
    for step in range(1, 51):
        t += 0.1
        pace.event(Stepped(at(step), 0.0, 0.1), t)
        t += 0.1
        pace.event(Saved(at(step), "", 0, 0.0), t)
    assert pace.left_s(at(50)) == pytest.approx(10, rel=0.1)


def test_before_anything_is_known_no_time_is_invented():
    pace = Pace(0.0)
    assert pace.left_s(at(1)) is None
    assert console.clock(None) == "–"
    pace.event(Stepped(at(1), 0.0, 0.1), 50.0)
    assert pace.left_s(at(1)) is None


def test_what_went_wrong_is_said():
    clock, stream = Clock(), Stream()
    reporter = Reporter(Mode.PLAIN, stream=stream, lang="en", now=clock)
    reporter(Stepped(at(1), 0.1, 0.1, accepted=False))
    reporter(Recovered(at(1), "out-of-memory", "2 parts"))
    reporter(Recovered(at(1), "something-new", "odd"))
    reporter(Saved(at(1), "x", 0, 0.0, ok=False, reason="no space"))
    reporter(Decided(at(1), "steps", 900, "15m"))
    reporter(scored(10))
    reporter(Stopped(at(1), "patience"))
    reporter.note("a\x1b[31mfile")
    text = stream.getvalue()
    for part in ("2 parts", "something-new: odd", "no space", "steps = 900", "stopped: no better"):
        assert part in text
    assert "\x1b" not in text


@pytest.mark.parametrize("encoding", ["ascii", "cp936", "latin-1"])
def test_a_console_of_another_code_page_never_raises(encoding):
    clock, raw = Clock(), io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    reporter = Reporter(Mode.PLAIN, stream=stream, lang="zh", now=clock)
    run(reporter, clock)
    assert reporter.mode is Mode.PLAIN
    assert b"10/10" in raw.getvalue()


def test_a_reader_that_went_away_does_not_end_the_run():
    clock = Clock()
    read, write = os.pipe()
    os.close(read)
    stream = open(write, "w", buffering=1)  # noqa: SIM115 (closing it must fail below)
    reporter = Reporter(Mode.PLAIN, stream=stream, lang="en", now=clock)
    run(reporter, clock)
    assert reporter.mode is Mode.QUIET
    with pytest.raises(BrokenPipeError):
        stream.close()


def test_epochs_that_nobody_scores_have_their_line_with_the_mean_training_loss():
    clock, stream = Clock(), Stream()
    reporter = Reporter(Mode.PLAIN, stream=stream, lang="en", now=clock)
    for step in range(1, 31):
        clock.t += 0.1
        reporter(Stepped(at(step, 30), float(step), 0.1))
        if step % 10 == 0:
            reporter(Saved(at(step, 30), "x", 1, 0.1))
    reporter(Stopped(at(30, 30), "finished"))
    lines = [x.split() for x in stream.getvalue().splitlines()]
    assert [x[:4] for x in lines[1:]] == [
        ["1/3", "5.500", "–", "–"],
        ["2/3", "15.500", "–", "–"],
        ["3/3", "25.500", "–", "–"],
    ]


def test_many_steps_that_failed_alike_are_said_once_and_counted():
    clock, stream = Clock(), Stream()
    reporter = Reporter(Mode.PLAIN, stream=stream, lang="en", now=clock)
    for step in range(1, 11):
        reporter(Stepped(at(step), float("nan"), 0.1, accepted=step > 6))
        if step <= 6:
            reporter(Recovered(at(step), "not-finite", "loss nan"))
    reporter(scored(10))
    text = stream.getvalue()
    assert text.count("not finite") == 1
    assert "6 steps" in text


def test_progress_within_a_scoring_does_not_hide_its_time():
    clock, stream = Clock(), Stream()
    reporter = Reporter(Mode.PLAIN, stream=stream, lang="en", now=clock)
    for step in range(1, 51):
        clock.t += 0.1
        reporter(Stepped(at(step), 0.5, 0.1))
        if step % 10 == 0:
            reporter.phase("evaluate", 0, 2)
            clock.t += 2.0
            reporter.phase("evaluate", 2, 2)
            reporter(scored(step))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 1 + 5
    assert lines[-1].split()[-1] == "0:15"
