"""Errors that say what is wrong, what was got, what is allowed and what to do next.

    EyasError
    ├── UsageError      EY-U…   2   the command, an option or a configuration is wrong
    ├── DataError       EY-D…   2   the images, labels or files given cannot be used
    ├── MissingError    EY-M…  69   a tool, an extra or a device is not here
    ├── StorageError    EY-S…  74   the disk refused: full, read-only, damaged
    ├── TrainingError   EY-T…   1   it ran, and the answer is no
    ├── Preempted       EY-P…  75   stopped from outside; the work is kept, rerun to resume
    ├── Interrupted     EY-P… 130   Ctrl-C; the work is kept
    └── InternalError   EY-I…  70   a bug in eyas

Every error has a stable code, an exit code, an HTTP status and a text in English and Chinese, all in one table:
`eyas.errors.messages`. Codes are never reused.
"""

from __future__ import annotations

from eyas.errors.messages import ERRORS, language, render


class EyasError(Exception):
    """An error made for a reader; `values` fill the templates of its code.

    >>> DataError("EY-D001", path="photos/").code
    'EY-D001'
    """

    exit_code: int = 70
    http_status: int = 500

    def __init__(self, code: str, **values: object) -> None:
        assert code in ERRORS, f"{code} is not in the table of messages"
        self.code = code
        self.values = values
        super().__init__(code)

    def text(self, lang: str | None = None) -> str:
        """The message as shown to a person: a first line and up to three more (got, allowed, try)."""
        return render(self.code, self.values, lang or language())

    def brief(self) -> str:
        """What is wrong and what was got, on one line: for a message inside another."""
        lines = self.text().split("\n")
        return ": ".join(line.split("  ", 2)[-1].strip() for line in lines[:2])

    def to_dict(self) -> dict[str, object]:
        """`{code, message, exit_code}` for `--json`; always English, so that search engines work."""
        return {"code": self.code, "message": self.text("en"), "exit_code": self.exit_code}

    def __str__(self) -> str:
        return self.text()


class UsageError(EyasError):
    """The command line, an option or a configuration file is wrong."""

    exit_code = 2
    http_status = 400


class DataError(EyasError):
    """The images, labels or files that were given cannot be used."""

    exit_code = 2
    http_status = 422


class MissingError(EyasError):
    """A tool, an optional package or a device that was asked for is not here."""

    exit_code = 69
    http_status = 501


class StorageError(EyasError):
    """The disk refused: no space, read-only, damaged file."""

    exit_code = 74
    http_status = 507


class TrainingError(EyasError):
    """The work ran and the answer is no: diverged, bar missed."""

    exit_code = 1
    http_status = 500


class Preempted(EyasError):
    """Stopped from outside (SIGTERM); the work is kept and the same command goes on."""

    exit_code = 75
    http_status = 503


class Interrupted(EyasError):
    """Ctrl-C; the work is kept and the same command goes on."""

    exit_code = 130
    http_status = 503


class InternalError(EyasError):
    """A bug in eyas: please report it with the lines that are printed."""

    exit_code = 70
    http_status = 500


class EyasWarning(UserWarning):
    """Something that a person should know though it was put right; the command shows it as one line."""
