"""The way in: words -> verb -> exit code. Every error that a person can cause ends here as four lines.

0 done    1 the answer is no    2 usage or bad input    69 a tool is missing    70 a bug
74 storage    75 preempted, rerun to resume    130 interrupted, work saved
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import os
import sys
import warnings
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, cast, final

import click

from eyas.cli.command import Verb, columns, global_options, help_options, two_columns
from eyas.cli.output import Out, ReaderGone, to_json, wrap, write
from eyas.errors import EyasError, EyasWarning, InternalError, Interrupted, StorageError, UsageError
from eyas.errors.messages import language, printable, say

#: heading -> verbs, in the order of the help; `eyas.cli.<verb>` has a function `command()`
VERBS: dict[str, tuple[str, ...]] = {
    "cli.heading.start": ("demo", "train"),
    "cli.heading.use": ("evaluate", "predict"),
    "cli.heading.look": ("check", "show", "report", "runs", "models"),
    "cli.heading.here": ("doctor", "cache", "config", "version"),
}
#: what an operating system says when the disk, and not a bug, is in the way
REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ENAMETOOLONG)
NAMES = tuple(name for names in VERBS.values() for name in names)


@final
class Eyas(click.Group):
    """The command itself: knows the names of its verbs, loads one when it is called."""

    def __init__(self) -> None:
        version = click.Option(["--version"], is_flag=True, is_eager=True, expose_value=False, callback=_version)
        version.help = say("cli.option.version")
        params = [*global_options(), *help_options(everything=False), version]
        super().__init__("eyas", params=params, add_help_option=False, no_args_is_help=False)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs, in the order of the help."""
        return list(NAMES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name, imported now."""
        if cmd_name not in NAMES:
            return None
        return cast("click.Command", importlib.import_module(f"eyas.cli.{cmd_name}").command())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that `args` begin with; UsageError EY-U001 with the nearest name."""
        command = self.get_command(ctx, args[0])
        if command is None:
            from eyas.flows.config import closest

            following = f"eyas {closest(args[0], NAMES, '--help')}"
            raise UsageError("EY-U001", got=args[0], allowed=", ".join(NAMES), next=following)
        return args[0], command, args[1:]

    def help_text(self, *, everything: bool = False) -> str:
        """The help, as printed; no verb is loaded for it."""
        width = columns()
        out = [f"eyas VERB [{say('cli.options')}]", "\n".join(wrap(say("cli.eyas"), width))]
        for heading, names in VERBS.items():
            rows = [(name, say(f"cli.verb.{name}")) for name in names]
            out.append(say(heading) + "\n" + two_columns(rows, width=width, left=10))
        out.append(say("cli.more_verb"))
        return "\n\n".join(out)

    def get_help(self, ctx: click.Context) -> str:
        """For Click's own uses."""
        return self.help_text()


def _version(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from eyas.version import __version__

        Out().line(f"eyas {__version__}")
        ctx.exit(0)


# ---- errors -------------------------------------------------------------------------------------------------------


def _flags(command: click.Command) -> list[str]:
    return [flag for p in command.params if isinstance(p, click.Option) for flag in (*p.opts, *p.secondary_opts)]


def _meant(words: Sequence[str]) -> click.Command:
    """The verb that these words are for, or the command itself."""
    group = Eyas()
    name = next((word for word in words if word in NAMES), "")
    return group.get_command(click.Context(group), name) or group


def _without(flag: str, words: Sequence[str]) -> str:
    """The command without one flag (and its value, where it was given with `=`)."""
    return " ".join(["eyas", *(word for word in words if word.split("=", 1)[0] != flag)])


def _translated(error: click.ClickException, words: Sequence[str]) -> UsageError:
    """Our error for one of Click's, with the option or usage that was probably meant."""
    from eyas.flows.config import closest

    ctx = error.ctx if isinstance(error, click.UsageError) else None
    command = ctx.command if ctx else _meant(words)  # Click knows no context while it still reads options
    usage = command.usage() if isinstance(command, Verb) else f"eyas VERB [{say('cli.options', lang='en')}]"
    helped = f"eyas {command.name} --help" if isinstance(command, Verb) else "eyas --help"
    if isinstance(error, click.NoSuchOption):
        # Click reads `-epochs` as a bundle of one-letter options and names only the first that is not there.
        typed = next((word for word in words if word.startswith(error.option_name)), error.option_name)
        typed = typed.split("=", 1)[0]
        flags = _flags(command)
        meant = "--" + typed.lstrip("-").replace("_", "-")
        if meant == "--resume" and "--fresh" in flags:  # what is nearest in letters would be the opposite
            return UsageError("EY-U002", got=typed, allowed=say("cli.resumes_itself"), next=_without(typed, words))
        # Other tools call it --out.
        guess = "--to" if meant in ("--out", "--output") and "--to" in flags else closest(meant, flags, "")
        long = [flag for flag in flags if flag.startswith("--")]
        shown = ", ".join(long if len(long) <= 12 else [*long[:12], "…"])
        return UsageError("EY-U002", got=typed, allowed=shown, next=guess or helped)
    if isinstance(error, click.MissingParameter):
        example = command.examples[0] if isinstance(command, Verb) and command.examples else helped
        name = (error.param.metavar if error.param else None) or str(error.param_hint or "")
        return UsageError("EY-U003", got=" ".join(["eyas", *words]), allowed=f"{usage}  ({name})", next=example)
    if isinstance(error, click.BadOptionUsage):
        params = [p for p in command.params if isinstance(p, click.Option)]
        found = next((p for p in params if error.option_name in (*p.opts, *p.secondary_opts)), None)
        if found is not None and not found.is_flag and not found.count:
            allowed = f"{error.option_name} {found.metavar}"
            return UsageError("EY-U004", got=error.option_name, allowed=allowed, next=helped)
        typed = next((word for word in words if word.startswith(error.option_name)), error.option_name)
        return UsageError("EY-U006", got=typed, allowed=error.option_name, next=error.option_name)
    return UsageError("EY-U006", got=error.format_message(), allowed=usage, next=helped)


def crash_folder() -> Path:
    """Where the traceback of a bug is written: the cache, or the system's temporary folder."""
    import tempfile

    from eyas.machine import cache_dir

    for folder in (cache_dir() / "crashes", Path(tempfile.gettempdir())):
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    return Path()


def _crash(error: BaseException, words: Sequence[str]) -> InternalError:
    """A bug: its traceback goes into a file (and to stderr with EYAS_DEBUG=1), four lines to the reader."""
    import platform
    import time
    import traceback

    from eyas.version import __version__

    head = f"eyas {__version__}  python {platform.python_version()}  {platform.platform()}\neyas {' '.join(words)}\n\n"
    text = head + "".join(traceback.format_exception(error))
    path = crash_folder() / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    shown = str(path)
    try:
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError:
        shown = "stderr"
    if shown == "stderr" or os.environ.get("EYAS_DEBUG", "0") not in ("", "0"):
        sys.stderr.write(text)
    detail = f"{type(error).__name__}: {error}".split("\n", 1)[0][:300]
    return InternalError("EY-I001", detail=detail, path=shown)


def _tell(error: EyasError, *, as_json: bool) -> int:
    """The error to its reader, in four lines and with --json as the one document; its exit code."""
    with contextlib.suppress(BrokenPipeError):
        sys.stderr.write(error.text() + "\n")
    if as_json:
        write(sys.stdout, to_json({"error": error.to_dict()}))
    return error.exit_code


# ---- the whole ----------------------------------------------------------------------------------------------------


def _foretold(words: Sequence[str]) -> tuple[bool, str | None]:
    """Whether --json is among the words, and the value of --lang: both must be known before anything is parsed."""
    own = list(words[: words.index("--")] if "--" in words else words)
    lang = None
    for place, word in enumerate(own):
        if word == "--lang" and place + 1 < len(own):
            lang = own[place + 1]
        elif word.startswith("--lang="):
            lang = word.removeprefix("--lang=")
    return "--json" in own, lang


def _run(words: Sequence[str]) -> int:
    group = Eyas()
    if not words:
        sys.stderr.write(group.help_text() + "\n")
        return 2
    with group.make_context("eyas", list(words)) as ctx:
        ctx.obj = tuple(words)
        if not ctx._protected_args:  # pyright: ignore[reportPrivateUsage]
            raise UsageError("EY-U003", got=" ".join(["eyas", *words]), allowed="eyas VERB", next="eyas --help")
        return int(group.invoke(ctx) or 0)


def _complete() -> int | None:
    """Answer a shell that asks for completions (`_EYAS_COMPLETE=bash_complete`); None when none does."""
    instruction = os.environ.get("_EYAS_COMPLETE")
    if not instruction:
        return None
    from click.shell_completion import shell_complete

    return shell_complete(Eyas(), {}, "eyas", "_EYAS_COMPLETE", instruction)


@contextlib.contextmanager
def _language(lang: str | None) -> Generator[None]:
    """`--lang` for the time of this call: as a variable, so that child processes speak it too."""
    before = os.environ.get("EYAS_LANG")
    if lang is not None:
        os.environ["EYAS_LANG"] = lang
    try:
        yield
    finally:
        if lang is not None:
            if before is None:
                os.environ.pop("EYAS_LANG", None)
            else:
                os.environ["EYAS_LANG"] = before


def _lenient(stream: object) -> None:
    """File names may hold bytes that are no text, and a console may know no Chinese: show escapes, do not fail."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _our_warnings() -> Generator[None]:
    """Shows what is an EyasWarning as one line, everything else as ever."""
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *where: Any) -> None:
        if issubclass(category, EyasWarning):
            sys.stderr.write(f"! {printable(str(message))}\n")
        else:
            before(message, category, *where)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def main(words: Sequence[str] | None = None) -> int:
    """Run `eyas` with these words (default: those of the process); the exit code. Never raises for a user's mistake."""
    words = sys.argv[1:] if words is None else words
    _lenient(sys.stdout)
    _lenient(sys.stderr)
    as_json, lang = _foretold(words)
    with _our_warnings(), _language(lang if lang in ("en", "zh") else None):
        try:
            try:
                if lang is not None and lang not in ("en", "zh"):
                    raise UsageError("EY-U017", got=f"--lang {lang}", allowed="en, zh", next=f"--lang {language()}")
                answered = _complete()
                return _run(words) if answered is None else answered
            except click.exceptions.Exit as done:
                return done.exit_code
            except click.ClickException as error:
                return _tell(_translated(error, words), as_json=as_json)
            except EyasError as error:
                return _tell(error, as_json=as_json)
            except (KeyboardInterrupt, click.Abort):
                return _tell(Interrupted("EY-P010", command=" ".join(["eyas", *words])), as_json=as_json)
            except ReaderGone:
                raise
            except OSError as error:
                refused = error.errno in REFUSED
                told = StorageError("EY-S001", path=error.filename or "–", reason=error.strerror) if refused else None
                return _tell(told or _crash(error, words), as_json=as_json)
            except Exception as error:
                return _tell(_crash(error, words), as_json=as_json)
        except ReaderGone:
            return 0
