"""SIGTERM and SIGINT during training: the first one asks the loop to save and leave, a second one leaves at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Generator
from types import FrameType

REASONS = {signal.SIGTERM: "sigterm", signal.SIGINT: "sigint"}


@contextlib.contextmanager
def leave_at_once(make: Callable[[str], BaseException]) -> Generator[None]:
    """Raise `make("sigterm")` or `make("sigint")` where the signal arrives: for work that can be done again."""

    def take(number: int, frame: FrameType | None) -> None:
        raise make(REASONS[signal.Signals(number)])

    with _handled(take):
        yield


@contextlib.contextmanager
def asked_to_leave() -> Generator[Callable[[], str | None]]:
    """Gives a function that says `sigterm`, `sigint` or None; off the main thread it is always None."""
    reason: list[str] = []

    def take(number: int, frame: FrameType | None) -> None:
        if reason:
            os._exit(128 + number)
        reason.append(REASONS[signal.Signals(number)])

    with _handled(take):
        yield lambda: reason[0] if reason else None


@contextlib.contextmanager
def _handled(take: Callable[[int, FrameType | None], None]) -> Generator[None]:
    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {number: signal.signal(number, take) for number in REASONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
