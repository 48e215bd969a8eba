"""What a person sees while it runs, on stderr: one good line per epoch, and time left that is right.

Four modes. `human`: a terminal, with a live line. `plain`: a file or a pipe, whole lines only, no control characters.
`json` and `quiet`: nothing here (the command line prints the one document, and errors). A `Reporter` is a consumer of
training events and of `phase(name, done, total)`; who makes none, sees nothing. It never stops a run: when its stream
goes away (a closed terminal), it falls silent.
"""

from __future__ import annotations

import enum
import math
import os
import statistics
import sys
import time
import unicodedata
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO, final

from eyas.errors.messages import PHRASES, language, printable, say
from eyas.evaluation.metrics import wilson
from eyas.training.budget import UNKNOWN
from eyas.training.events import Decided, Evaluated, Event, Recovered, Saved, Stepped, Stopped
from eyas.training.progress import Progress, Score

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

DRAWS_PER_SECOND = 8
"""Of the live line. Each one reads the loss, which waits for the device, and costs 0.2 ms."""

LINE_EVERY_S = 30.0
"""Without a terminal: seconds between two lines when no epoch ends."""

FIRST_LINE_S = 5.0
"""Without a terminal: a phase that is done sooner says nothing before its end."""

STEP_FAULTS = ("not-finite", "spike")
"""Codes of `Recovered` that may come many times in an epoch."""

GAP = "  "


class Mode(enum.StrEnum):
    """How much is said, and to what."""

    HUMAN = "human"
    PLAIN = "plain"
    JSON = "json"
    QUIET = "quiet"


def choose_mode(
    *,
    json: bool = False,
    quiet: bool = False,
    plain: bool = False,
    stream: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Mode:
    """The mode: flags first, then what stderr is. A terminal that cannot move its cursor counts as a file."""
    if json:
        return Mode.JSON
    if quiet:
        return Mode.QUIET
    target = stream or sys.stderr
    still = environ.get("TERM") == "dumb" or environ.get("TTY_INTERACTIVE") == "0"
    return Mode.PLAIN if plain or still or not target.isatty() else Mode.HUMAN


# ---- text ------------------------------------------------------------------------------------------------------------


def cells(text: str) -> int:
    """Columns that `text` takes in a terminal: Chinese characters take two, combining marks none.

    >>> cells("轮次"), cells("epoch")
    (4, 5)
    """
    wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return wide - sum(1 for c in text if unicodedata.combining(c))


def pad(text: str, width: int) -> str:
    """`text`, right-aligned in `width` terminal columns."""
    return " " * max(0, width - cells(text)) + text


def clock(seconds: float | None) -> str:
    """Seconds as people read them.

    >>> clock(7), clock(171), clock(3723), clock(None)
    ('0:07', '2:51', '1:02:03', '–')
    """
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = math.ceil(round(seconds, 3))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


_PLAIN = str.maketrans({"–": "-", "±": "+", "★": "*", "·": "|", "…": "...", "━": "=", "─": "-", "⚠": "!"})


def encodable(text: str, encoding: str | None) -> str:
    """`text` in characters that `encoding` has (None: any); a console of code page 936 or ASCII must not raise."""
    if encoding is None:
        return text
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text


# ---- time left -------------------------------------------------------------------------------------------------------


@final
class Pace:
    """How fast it goes and how long it still takes, from the times at which events arrive (seconds of any clock).

    Step time is the median over the last slices of half a second, so a hiccup does not show; the first steps of a
    run or stage (start-up, compiling) are left out. Scoring is counted by its own median and how often it came so far,
    saving by its share of the time.
    """

    SKIP = 3
    SLICE_S = 0.5

    def __init__(self, now: float) -> None:
        self._last = now
        self._skip = self.SKIP
        self._stage = ""
        self._slices: deque[float] = deque(maxlen=60)  # seconds per step
        self._slice_s = 0.0
        self._slice_steps = 0
        self._scoring: deque[float] = deque(maxlen=5)
        self._scored: list[int] = []  # steps at which val was scored; the first entry is where we came in
        self._stepping_s = 0.0
        self._saving_s = 0.0

    def event(self, event: Event, now: float) -> None:
        """Take the time since the last event as what `event` took."""
        took, self._last = now - self._last, now
        match event:
            case Stepped():
                self._step(event.at, took)
            case Evaluated():
                self._scoring.append(took)
                self._scored.append(event.at.step)
            case Saved():
                self._saving_s += took
            case _:
                pass

    def pause(self, now: float) -> None:
        """Leave out the time up to `now`: something else was being done."""
        self._last = now

    def _step(self, at: Progress, took: float) -> None:
        if at.stage != self._stage:
            self._stage, self._skip = at.stage, self.SKIP
            self._slices.clear()
            self._slice_s, self._slice_steps = 0.0, 0
        if not self._scored:
            self._scored.append(at.step - 1)
        if self._skip:
            self._skip -= 1
            return
        self._stepping_s += took
        self._slice_s += took
        self._slice_steps += 1
        if self._slice_s >= self.SLICE_S:
            self._slices.append(self._slice_s / self._slice_steps)
            self._slice_s, self._slice_steps = 0.0, 0

    def step_s(self) -> float | None:
        """Seconds that a step takes at present; None while that is not known."""
        if self._slices:
            return statistics.median(self._slices)
        return self._slice_s / self._slice_steps if self._slice_steps else None

    def images_per_second(self, at: Progress) -> float | None:
        """Training images per second at present, scoring and saving not counted."""
        step = self.step_s()
        return at.batch_size / step if step else None

    def left_s(self, at: Progress) -> float | None:
        """Seconds to the last step, with the scorings and savings in between; None while that is not known."""
        step = self.step_s()
        if step is None or at.steps >= UNKNOWN:
            return None
        remaining = max(0, at.steps - at.step)
        left = remaining * step
        if self._stepping_s:
            left *= 1 + self._saving_s / self._stepping_s
        if self._scoring and len(self._scored) > 1:
            apart = (self._scored[-1] - self._scored[0]) / (len(self._scored) - 1)
            due = math.ceil((at.steps - self._scored[-1]) / apart - 1e-9) if apart > 0 else 0
            left += due * statistics.median(self._scoring)
        return left


# ---- lines -----------------------------------------------------------------------------------------------------------

#: columns of the table of epochs: (phrase of the header, least width, dropped when the terminal is narrower than this)
_TABLE = (
    ("console.epoch", 9, 0),
    ("console.train_loss", 10, 72),
    ("console.val_loss", 8, 0),
    ("console.accuracy", 15, 0),
    ("console.images_per_second", 8, 60),
    ("console.left", 7, 0),
)


def table_row(values: Mapping[str, str], *, width: int, lang: str) -> str:
    """One line of the table of epochs; `values` by phrase of the header, which is itself such a line."""
    out: list[str] = []
    for key, least, from_width in _TABLE:
        if width >= from_width:
            out.append(pad(values.get(key, ""), max(least, cells(say(key, lang=lang)))))
    return GAP.join(out).rstrip()


def epoch_of(at: Progress) -> str:
    """`3/50`, or `2.5/50` between two ends of an epoch."""
    total = "?" if at.steps >= UNKNOWN else _epochs(at.steps * at.batch_size, at)
    return f"{_epochs(at.position, at)}/{total}"


def _epochs(position: int, at: Progress) -> str:
    whole, beyond = divmod(position, at.epoch_size)
    if beyond < at.batch_size and whole:  # the last step of an epoch reaches a little into the next one
        return str(whole)
    return f"{math.floor(position / at.epoch_size * 10 + 1e-6) / 10:.1f}".removesuffix(".0")


def score_of(correct: int, n: int, *, best: bool = False) -> str:
    """`92.9 % ±1.7 ★`: accuracy, half the width of its 95 % interval in points, and a star for the best so far."""
    if not n:
        return "–"
    lo, hi = wilson(correct, n)
    return f"{100 * correct / n:.1f} % ±{50 * (hi - lo):.1f}" + (" ★" if best else "  ")


def epoch_values(at: Progress, score: Score | None, train_loss: float, pace: Pace, *, best: bool) -> dict[str, str]:
    """What one line of the table says, by phrase of its header; without `score` the epoch was not scored."""
    rate = pace.images_per_second(at)
    return {
        "console.epoch": epoch_of(at),
        "console.train_loss": "–" if math.isnan(train_loss) else f"{train_loss:.3f}",
        "console.val_loss": f"{score.loss:.3f}" if score else "–",
        "console.accuracy": score_of(score.correct, score.n, best=best) if score else "–  ",
        "console.images_per_second": f"{rate:,.0f}" if rate else "–",
        "console.left": clock(pace.left_s(at)),
    }


@final
class Losses:
    """The mean loss of the accepted steps of an epoch, for epochs that nobody scores.

    Losses that are still on a device are kept unread, about 64 an epoch, and read together at its end: one wait.
    """

    KEPT = 64

    def __init__(self) -> None:
        self._read: list[float] = []
        self._unread: list[Any] = []

    def add(self, event: Stepped) -> None:
        """Take one step."""
        if not event.accepted:
            return
        if isinstance(event.loss, float):
            self._read.append(event.loss)
        elif event.at.step % max(1, event.at.epoch_size // (event.at.batch_size * self.KEPT)) == 0:
            self._unread.append(event.loss)

    def mean(self) -> float:
        """The mean, NaN when there was no accepted step."""
        values = self._read + [float(loss) for loss in self._unread]
        return statistics.fmean(values) if values else math.nan


@final
class Reporter:
    """A consumer of events that tells a person how it goes.

    `stream` (default: stderr), `lang`, `now` (a clock in seconds), `width` (default: the terminal's, 100 without one)
    and `environ` may be given; `close()` takes the live line away.
    """

    def __init__(
        self,
        mode: Mode,
        *,
        stream: TextIO | None = None,
        lang: str | None = None,
        now: Callable[[], float] = time.monotonic,
        width: int | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.mode = mode
        self._stream: TextIO = stream or sys.stderr
        self._lang = lang or language()
        self._now = now
        self._width = width
        self._environ = environ
        self._live: Live | None = None
        self._pace: Pace | None = None
        self._headed = False
        self._scored_step = -1
        self._skipped = 0
        self._losses = Losses()
        self._ended: Stepped | None = None  # the last step of an epoch, until we know whether it is scored
        self._last_drawn = -math.inf
        self._last_line = now()
        self._phase = ""
        self._phase_from = 0.0

    # what is told to it

    def __call__(self, event: Event) -> None:
        """Take one event of training."""
        if self.mode in (Mode.JSON, Mode.QUIET):
            return
        now = self._now()
        if self._pace is None:
            self._pace = Pace(now)
        self._pace.event(event, now)
        if self._ended is not None and not isinstance(event, Evaluated | Recovered):
            self._row(self._ended.at, None, self._losses.mean(), best=False)
        match event:
            case Stepped():
                self._skipped += not event.accepted
                self._losses.add(event)
                self._ended = event if event.at.ends_epoch() or event.at.step == event.at.steps else None
                if self._due(now):
                    self._progress(self._step_line(event), event.at.done, now)
            case Evaluated():
                self._evaluated(event)
            case Saved() if not event.ok:
                self.warn("console.not_saved", reason=event.reason)
            case Decided(at, "steps", value, _) if abs(int(value) - at.steps) < 0.1 * at.steps:
                pass  # a time budget is fitted again at every epoch; only a change that matters is told
            case Decided():
                self.note(self._say("console.decided", name=event.name, value=event.value, reason=event.reason))
            case Recovered() if event.what in STEP_FAULTS and self._skipped > 1:
                pass  # the first of an epoch is shown, the rest are counted
            case Recovered():
                self.warn("console.recovered", what=self._known("recovered", event.what), detail=event.detail)
            case Stopped() if event.reason != "finished":
                self.note(self._say("console.stopped", reason=self._known("stopped", event.reason)))
            case _:
                pass

    def phase(self, name: str, done: int, total: int) -> None:
        """Say how far a stage is: `done` of `total` things; at `done == total` it is over."""
        if self.mode in (Mode.JSON, Mode.QUIET):
            return
        now = self._now()
        if name != self._phase:
            self._phase, self._phase_from, self._last_line = name, now, now - LINE_EVERY_S + FIRST_LINE_S
        took = now - self._phase_from
        title = self._known("phase", name)
        if done >= total:
            within = self._pace is not None and name in ("evaluate", "save")  # a part of training, and comes again
            if took >= 1 and not within:
                self._line(self._say("console.phase_done", phase=title, total=f"{total:,}", took=clock(took)))
            self._phase = ""
            if self._pace is not None and not within:
                self._pace.pause(now)
        elif self._due(now):
            left = took / done * (total - done) if done and took > 1 else None
            rate = f"{done / took:,.0f}" if done and took > 0.5 else "–"
            said = {"phase": title, "done": f"{done:,}", "total": f"{total:,}", "rate": rate, "left": clock(left)}
            self._progress(self._say("console.phase", **said), done / total if total else 0.0, now)

    def note(self, text: str) -> None:
        """Print a line (or several) for the reader."""
        for line in text.split("\n"):
            self._line(printable(line))

    def warn(self, key: str, **values: object) -> None:
        """Print a warning: a phrase of the table with its values."""
        self._line("! " + printable(self._say(key, **values)), style="yellow")

    def close(self) -> None:
        """Take the live line away; what was printed stays."""
        if self._live is not None:
            live, self._live = self._live, None
            self._safely(live.stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    # how it is said

    def _say(self, key: str, **values: object) -> str:
        return say(key, lang=self._lang, **values)

    def _known(self, family: str, word: str) -> str:
        """The phrase for a code word, or the word itself when a newer part of eyas says one that has none."""
        key = f"console.{family}.{word}"
        return self._say(key) if key in PHRASES else word

    def _columns(self) -> int:
        if self._width is not None:
            return self._width
        if self.mode is Mode.HUMAN:
            try:
                return os.get_terminal_size(self._stream.fileno()).columns or 80
            except (OSError, ValueError):
                return 80
        return 100

    def _due(self, now: float) -> bool:
        """Whether it is time for a progress line. Asked at every step: no work before this says yes."""
        if self.mode is Mode.HUMAN:
            return now - self._last_drawn >= 1 / DRAWS_PER_SECOND
        return now - self._last_line >= LINE_EVERY_S

    def _step_line(self, event: Stepped) -> str:
        assert self._pace is not None
        at = event.at
        rate = self._pace.images_per_second(at)
        return self._say(
            "console.step",
            epoch=epoch_of(at),
            loss=f"{float(event.loss):.3f}",
            rate=f"{rate:,.0f}" if rate else "–",
            left=clock(self._pace.left_s(at)),
        )

    def _evaluated(self, event: Evaluated) -> None:
        assert self._pace is not None
        s = event.score
        if s.split == "test":
            lo, hi = wilson(s.correct, s.n)
            said = {"accuracy": f"{100 * s.accuracy:.1f}", "lo": f"{100 * lo:.1f}", "hi": f"{100 * hi:.1f}"}
            self._line(self._say("console.test", n=f"{s.n:,}", **said), style="bold")
            return
        known = s.split == "val" and s.n > 0
        self._row(event.at, s if known else None, event.train_loss, best=event.best)

    def _row(self, at: Progress, score: Score | None, train_loss: float, *, best: bool) -> None:
        """Print one line of the table of epochs, under its header when it is the first."""
        assert self._pace is not None
        width = self._columns()
        if not self._headed:
            self._headed = True
            header = {key: self._say(key) for key, *_ in _TABLE}
            self._line(table_row(header, width=width, lang=self._lang), style="dim")
        values = epoch_values(at, score, train_loss, self._pace, best=best)
        if score is not None and score.step == self._scored_step:  # at the very end both weights are scored
            values |= {"console.epoch": self._say("console.raw"), "console.train_loss": ""}
        self._scored_step = score.step if score is not None else -1
        self._line(table_row(values, width=width, lang=self._lang), style="green" if best else "")
        if self._skipped > 1:
            self.warn("console.skipped", n=self._skipped)
        self._skipped, self._ended, self._losses = 0, None, Losses()

    def _progress(self, text: str, share: float, now: float) -> None:
        """Draw the live line, or print it where there is none."""
        self._last_drawn = now
        if self.mode is not Mode.HUMAN:
            self._line(text)
            return
        room = self._columns() - cells(text) - 8
        bar = ""
        if room >= 8:
            size = min(room, 24)
            full = round(size * min(1.0, share))
            bar = "━" * full + "─" * (size - full) + f" {100 * share:3.0f} %"
        self._safely(lambda: self._draw(encodable(f"{text}{GAP}{bar}", self._stream.encoding)))

    def _draw(self, text: str) -> None:
        from rich.live import Live  # here, since only a terminal needs it: 40 ms of import
        from rich.text import Text

        line = Text(text, style="dim", no_wrap=True, overflow="ellipsis")
        if self._live is None:
            self._live = Live(
                console=self._console(),
                auto_refresh=False,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._live.start()
        self._live.update(line, refresh=True)

    def _line(self, text: str, *, style: str = "") -> None:
        if self.mode in (Mode.JSON, Mode.QUIET):
            return
        self._last_line = self._now()
        text = encodable(text, getattr(self._stream, "encoding", None))
        if self.mode is Mode.HUMAN:
            self._safely(lambda: self._print(text, style))
        else:
            self._safely(lambda: self._write(text))

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        console = self._live.console if self._live is not None else self._console()
        console.print(Text(text, style=style), soft_wrap=True)

    def _console(self) -> Console:
        from rich.console import Console

        return Console(
            file=self._stream,
            force_terminal=True,
            no_color=bool(self._environ.get("NO_COLOR")),
            width=self._width,
            highlight=False,
            markup=False,
            emoji=False,
        )

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()

    def _safely(self, write: Callable[[], None]) -> None:
        """Write, and fall silent for good when the stream is gone: a closed terminal must not end a run."""
        try:
            write()
        except (OSError, ValueError):  # ValueError: the stream was closed
            self.mode = Mode.QUIET
            self._live = None
