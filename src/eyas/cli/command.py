"""A verb of the command line: Click parses, the help is ours (two languages, common options first).

Click is used for what it does well (parsing, completion); its own words never reach a reader: help is written here and
its errors are turned into ours in `eyas.cli.app`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, cast, final

import click

from eyas.cli.output import Out, cells, wrap
from eyas.errors import UsageError
from eyas.errors.messages import language, say
from eyas.flows.config import flag_of, kind_of
from eyas.flows.settings import Settings

GLOBAL = ("json", "quiet", "plain", "lang", "verbose")

# ---- parameters ---------------------------------------------------------------------------------------------------


@final
class SettingOption(click.Option):
    """An option made from a field of `Settings`. What it says stays text: `flows.config` checks it."""

    def __init__(self, name: str, meta: Mapping[str, Any], kind: str) -> None:
        self.group = str(meta["group"])
        flag = flag_of(name)
        metavar = str(meta["metavar"]) or "|".join(meta["choices"])
        if kind == "bool":
            super().__init__([f"{flag}/--no-{flag[2:]}", name], default=None, help=meta[language()])
        elif kind == "pairs":
            super().__init__([flag, name], type=str, multiple=True, metavar=metavar, help=meta[language()])
        else:
            super().__init__([flag, name], type=str, metavar=metavar, help=meta[language()])

    @property
    def said(self) -> bool:
        """Whether this is shown by the short help."""
        return self.group == "common"


def setting_options(groups: Sequence[str] = ()) -> list[click.Parameter]:
    """Options for the settings of these groups, in their order; for all of them when none is named."""
    return [
        SettingOption(setting.name, setting.metadata, kind_of(setting))
        for setting in fields(Settings)
        if setting.metadata["group"] in groups or (not groups and setting.metadata["group"] != "hidden")
    ]


def argument(name: str, *, help: str, required: bool = True, many: bool = False) -> Argument:
    """A word without a dash; `help` is the key of a phrase."""
    return Argument(name, help, required, many)


@final
class Argument(click.Argument):
    """A word without a dash, with help."""

    def __init__(self, name: str, help: str, required: bool, many: bool) -> None:
        nargs = -1 if many else 1
        super().__init__([name], required=required, nargs=nargs, type=str, metavar=name.upper())
        self.text = say(help)


def option(flag: str, *, help: str, metavar: str = "", name: str | None = None) -> click.Option:
    """An option of one verb, with a value when it has a metavar; `help` is the key of a phrase."""
    words = [flag] if name is None else [flag, name]
    if metavar:
        return click.Option(words, type=str, metavar=metavar, help=say(help))
    return click.Option(words, is_flag=True, help=say(help))


def global_options() -> list[click.Parameter]:
    """The options that every verb has."""
    return [
        click.Option(["--json"], is_flag=True, help=say("cli.option.json")),
        click.Option(["-q", "--quiet"], is_flag=True, help=say("cli.option.quiet")),
        click.Option(["--plain"], is_flag=True, help=say("cli.option.plain")),
        click.Option(["--lang"], type=str, metavar="en|zh", help=say("cli.option.lang")),
        click.Option(["-v", "--verbose"], count=True, help=say("cli.option.verbose")),
    ]


def count(params: Mapping[str, Any], name: str, *, default: int, most: int) -> int:
    """A whole number from 1 to `most` that an option of one verb holds. Raises UsageError EY-U013 and EY-U016."""
    text = params[name]
    if text is None:
        return default
    got, allowed, following = f"--{name} {text}", f"1 ≤ {name} ≤ {most}", f"--{name} {default}"
    if not str(text).isdecimal():
        raise UsageError("EY-U013", got=got, allowed=allowed, next=following)
    if not 1 <= int(text) <= most:
        raise UsageError("EY-U016", got=got, allowed=allowed, next=following)
    return int(text)


def choice(params: Mapping[str, Any], name: str, *, choices: Sequence[str]) -> str | None:
    """One of `choices`, or None when the option was not given. Raises UsageError EY-U017."""
    from eyas.flows.config import closest

    text = params[name]
    if text is None or text in choices:
        return text
    guess = closest(str(text), choices, choices[0])
    raise UsageError("EY-U017", got=f"--{name} {text}", allowed=", ".join(choices), next=f"--{name} {guess}")


# ---- help ---------------------------------------------------------------------------------------------------------


def columns() -> int:
    """How wide help is: the terminal, but no wider than reads well."""
    return max(40, min(100, shutil.get_terminal_size((100, 24)).columns))


def two_columns(rows: Iterable[tuple[str, str]], *, width: int, left: int) -> str:
    """Words and what they mean; a word that is too long for the left column gets a line of its own."""
    lines: list[str] = []
    for word, meaning in rows:
        texts = wrap(meaning, max(20, width - left - 4))
        if cells(word) > left:
            lines.append(f"  {word}")
        else:
            lines.append(f"  {word}{' ' * (left - cells(word))}  {texts.pop(0)}".rstrip())
        lines += [f"{' ' * (left + 4)}{text}" for text in texts]
    return "\n".join(lines)


def option_words(param: click.Option) -> str:
    """`-q, --quiet`, `--flip / --no-flip`, `--lr RATE`."""
    words = ", ".join(param.opts)
    if param.secondary_opts:
        words += " / " + ", ".join(param.secondary_opts)
    return words + (f" {param.metavar}" if param.metavar else "")


def _show_help(everything: bool) -> Callable[[click.Context, click.Parameter, bool], None]:
    def show(ctx: click.Context, _param: click.Parameter, value: bool) -> None:
        if value and not ctx.resilient_parsing:
            command = cast("Verb", ctx.command)
            Out().line(command.help_text(everything=everything))
            ctx.exit(0)

    return show


def help_options(*, everything: bool) -> list[click.Parameter]:
    """`--help`, and `--help-all` for a verb with more options than one screen holds."""
    kwargs: dict[str, Any] = {"is_flag": True, "is_eager": True, "expose_value": False}
    out: list[click.Parameter] = [
        click.Option(["-h", "--help"], callback=_show_help(False), help=say("cli.option.help"), **kwargs)
    ]
    if everything:
        out.append(click.Option(["--help-all"], callback=_show_help(True), help=say("cli.option.help_all"), **kwargs))
    return out


# ---- the verb -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Call:
    """What a verb is called with."""

    out: Out
    params: Mapping[str, Any]
    """Arguments and options of this verb by name."""
    flags: Mapping[str, Any]
    """The settings that were said as options, by name, as text."""


@final
class Verb(click.Command):
    """One verb: `run` gets the parsed call and returns the exit code. `about` is the key of a phrase."""

    def __init__(
        self,
        name: str,
        run: Callable[[Call], int],
        *,
        params: Sequence[click.Parameter] = (),
        examples: Sequence[str] = (),
        more: str = "",
    ) -> None:
        self.examples = tuple(examples)
        self.more = more
        self._run = run
        long = any(isinstance(p, SettingOption) and not p.said for p in params)
        super().__init__(
            name,
            params=[*params, *global_options(), *help_options(everything=long)],
            add_help_option=False,
            context_settings={"allow_extra_args": True},  # counted and named by `invoke`
        )

    def usage(self) -> str:
        """`eyas train DATA [OPTIONS]`."""
        words = [p.metavar or "" for p in self.params if isinstance(p, Argument) and p.required]
        words += [f"[{p.metavar}]" for p in self.params if isinstance(p, Argument) and not p.required]
        many = "..." if any(p.nargs == -1 for p in self.params) else ""
        return f"eyas {self.name} {' '.join(words)}{many} [{say('cli.options')}]".replace("  ", " ")

    def help_text(self, *, everything: bool = False) -> str:
        """The help, as printed."""
        width = columns()
        sections: dict[str, list[tuple[str, str]]] = {}
        hidden = 0
        for param in self.params:
            if isinstance(param, Argument):
                sections.setdefault("cli.arguments", []).append((param.metavar or "", param.text))
            elif isinstance(param, SettingOption):
                if not everything and not param.said:
                    hidden += 1
                    continue
                sections.setdefault(f"cli.group.{param.group}", []).append((option_words(param), param.help or ""))
            elif isinstance(param, click.Option):
                everywhere = param.name in GLOBAL or param.name in ("help", "help_all")
                key = "cli.group.everywhere" if everywhere else "cli.group.verb"
                sections.setdefault(key, []).append((option_words(param), param.help or ""))
        order = sorted(sections, key=lambda key: key == "cli.group.everywhere")  # stable: those come last
        out = [self.usage(), "\n".join(wrap(say(f"cli.verb.{self.name}"), width))]
        out += [say(key) + "\n" + two_columns(sections[key], width=width, left=30) for key in order]
        if self.more:
            out.append(say(self.more))
        if self.examples:
            out.append(say("cli.examples") + "\n" + "\n".join(f"  {line}" for line in self.examples))
        if hidden:
            out.append(say("cli.more_options", n=hidden, verb=self.name))
        return "\n\n".join(out)

    def get_help(self, ctx: click.Context) -> str:
        """For Click's own uses."""
        return self.help_text()

    def invoke(self, ctx: click.Context) -> int:
        """Run it; more words than it takes are an error."""
        if ctx.args:
            raise UsageError("EY-U005", got=" ".join(ctx.args), allowed=self.usage(), next=f"eyas {self.name} --help")
        outer: Mapping[str, Any] = ctx.parent.params if ctx.parent else {}
        settings = {p.name for p in self.params if isinstance(p, SettingOption)}
        params = {name: value for name, value in ctx.params.items() if name not in settings and name not in GLOBAL}
        flags = {
            name: (list(value) or None) if isinstance(value, tuple) else value
            for name, value in ctx.params.items()
            if name in settings
        }
        said = {name: bool(ctx.params.get(name) or outer.get(name)) for name in ("json", "quiet", "plain")}
        verbose = int(ctx.params.get("verbose") or 0) + int(outer.get("verbose") or 0)
        root = ctx.find_root()
        out = Out(**said, verbose=verbose, words=tuple(root.obj or ()))
        return self._run(Call(out, params, {n: v for n, v in flags.items() if v is not None}))
