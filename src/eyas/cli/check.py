"""`eyas check`: what is wrong with these images, before anything is trained on them."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

from eyas.cli.command import Call, SettingOption, Verb, argument, option, setting_options
from eyas.cli.output import Out, to_json
from eyas.cli.train import settings_of
from eyas.errors import Preempted, StorageError
from eyas.errors.messages import printable, say

if TYPE_CHECKING:
    from eyas.flows.check import Checked

#: settings that say which images are meant, and how they are looked at
OF_DATA = ("val", "test", "label_from", "allow", "download", "workers")


def command() -> click.Command:
    """The verb."""
    settings = [p for p in setting_options() if p.name in OF_DATA]
    for setting in settings:
        if isinstance(setting, SettingOption):
            setting.group = "common"  # there are few: all are shown by --help
    params = [
        argument("data", help="cli.train.data"),
        option("--run", metavar="RUN", help="cli.check.run"),
        option("--jsonl", help="cli.check.jsonl"),
        option("--html", metavar="FILE", help="cli.check.html"),
        option("--fix-list", metavar="FILE.csv", help="cli.check.fix_list"),
        *settings,
        option("--config", metavar="FILE", help="cli.option.config"),
    ]
    examples = (
        "eyas check photos/",
        "eyas check photos/ --html check.html --fix-list fix.csv",
        "eyas check photos/ --run latest --json",
    )
    return Verb("check", _run, params=params, examples=examples, more="cli.check.codes")


def _shown(checked: Checked, out: Out) -> str:
    """What a person reads on stdout; with --quiet one line for each code."""
    from eyas.flows.check import SHOWN

    lines: list[str] = []
    for finding in checked.findings:
        if out.quiet:
            lines.append(f"{finding.code} {finding.count}")
            continue
        lines.append(f"{finding.code}  {finding.count:>7,}  {say(f'finding.{finding.code}')}")
        cases = [case for case, _ in zip(finding.cases(checked.samples), range(SHOWN), strict=False)]
        lines += [" " * 14 + _line(f"{name}: {detail}" if detail else name) for name, detail in cases]
        if finding.count > len(cases):
            lines.append(" " * 14 + say("check.more", n=f"{finding.count - len(cases):,}"))
    if not out.quiet:
        lines += ["", *(error.text() for error in checked.refused)]
        lines.append(say("check.ok" if checked.ok else "check.not_ok"))
    return "\n".join(lines).lstrip("\n") or "ok"


def _line(text: str) -> str:
    return printable(text).replace("\n", "\\n")


def _written(path: Path, data: bytes) -> None:
    from eyas.flows.check import write

    try:
        write(path, data)
    except OSError as error:
        raise StorageError("EY-S001", path=path, reason=error.strerror) from error


def _preempted(_number: int, _frame: FrameType | None) -> None:
    raise Preempted("EY-P011", command=shlex.join(["eyas", *sys.argv[1:]]))


def _run(call: Call) -> int:
    signal.signal(signal.SIGTERM, _preempted)  # what was examined is kept
    settings = settings_of(call).settings
    from eyas.flows import check
    from eyas.machine import cache_dir, look

    params, data = call.params, str(call.params["data"])
    question = check.Question(
        data, settings.val, settings.test, settings.label_from, settings.allow, settings.download, params["run"]
    )
    with call.out.reporter() as reporter:
        workers = settings.workers or look().cores
        checked = check.check(question, cache=cache_dir(), workers=workers, progress=reporter.phase)
    samples = checked.samples
    call.out.note(
        say(
            "check.facts",
            layout=samples.layout,
            images=f"{len(samples):,}",
            usable=f"{checked.usable:,}",
            classes=f"{len(samples.classes):,}",
        )
    )
    for note in samples.notes:
        call.out.note(f"  {note}")
    if params["html"]:
        _written(Path(params["html"]), check.page(checked, data=data))
    if params["fix_list"]:
        _written(Path(params["fix_list"]), check.fix_list(checked))
    if params["jsonl"]:
        for line in checked.lines():
            call.out.line(to_json(line, lines=False))
    else:
        call.out.answer(checked.to_dict(), _shown(checked, call.out))
    return 0 if checked.ok else 1
