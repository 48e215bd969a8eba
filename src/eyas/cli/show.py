"""`eyas show`: a picture of what training will see, augmentation and labels included."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import click

from eyas.cli.command import Call, Verb, argument, count, option, setting_options
from eyas.cli.needs import need_torch
from eyas.cli.train import settings_of
from eyas.errors import StorageError
from eyas.errors.messages import say

#: settings that mean nothing to a picture of the training images
OF_A_RUN = ("out", "fresh", "extend", "save_every", "eval_every", "epochs", "time", "until", "patience", "lr", "parts",
            "optimizer", "momentum", "nesterov", "weight_decay", "schedule", "warmup", "smoothing", "clip_norm", "ema",
            "device", "precision", "threads", "batch_size")  # fmt: skip


def command() -> click.Command:
    """The verb."""
    params = [
        argument("data", help="cli.train.data"),
        option("--to", metavar="FILE.png", help="cli.show.to"),
        option("--count", metavar="N", help="cli.show.count"),
        *(p for p in setting_options() if p.name not in OF_A_RUN),
        option("--config", metavar="FILE", help="cli.option.config"),
    ]
    examples = ("eyas show photos/", "eyas show photos/ --rotate 15 --flip --to grid.png")
    return Verb("show", _run, params=params, examples=examples)


def _run(call: Call) -> int:
    number = count(call.params, "count", default=40, most=400)
    resolved = settings_of(call)
    out = Path(call.params["to"] or "eyas-show.png")
    if not out.absolute().parent.is_dir():  # said now, not after the images were prepared
        raise StorageError("EY-S001", path=out.parent, reason=os.strerror(errno.ENOENT))
    need_torch()
    from eyas.flows import show

    with call.out.reporter() as reporter:
        shown = show.show(call.params["data"], resolved.settings, out=out, count=number, progress=reporter.phase)
    text = str(shown.path) if call.out.quiet else say("cli.show.done", path=shown.path)
    call.out.answer({"path": shown.path, "count": number}, f"{text}\n{shown.legend}".rstrip())
    return 0
