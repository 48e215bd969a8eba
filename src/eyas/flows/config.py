"""Settings from everywhere they may be said: defaults < preset < eyas.toml < --config < EYAS_* < flags.

`resolve` reads them all, checks every value, and keeps where each came from; `to_toml` writes that down so that the
file can be given back with --config. It knows words and ranges, not data or nets, and imports neither numpy nor torch.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, cast

from eyas.errors import UsageError
from eyas.flows.settings import Settings

#: name -> the settings it stands for
PRESETS: Mapping[str, Mapping[str, Any]] = {}

#: variables that begin with EYAS_ and are not settings; a name that ends in _ stands for all that begin so
OTHER_VARIABLES = ("EYAS_CACHE", "EYAS_DEBUG", "EYAS_LANG", "EYAS_TEST_", "EYAS_BENCH_", "EYAS_FAULT_")
#: what Kubernetes sets in every container beside a service called "eyas"
FOREIGN_VARIABLES = re.compile(r"EYAS_(SERVICE_(HOST|PORT.*)|PORT(_.*)?)")


@dataclass(frozen=True)
class Resolved:
    """Checked settings and, for each name, where it came from.

    An origin is `default`, `preset NAME`, `eyas.toml:3` (file and line), `EYAS_LR` or `flag`. `notes` tell what gave
    way to what, one neutral line each, like `epochs = 30 (eyas.toml:2) < --time 15m`.
    """

    settings: Settings
    origins: dict[str, str]
    notes: tuple[str, ...] = ()


# ---- what a value may be ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Range:
    """An interval of numbers; an open end is not itself allowed."""

    low: float
    high: float = math.inf
    low_open: bool = False
    high_open: bool = False

    def __contains__(self, value: float) -> bool:
        above = value > self.low if self.low_open else value >= self.low
        below = value < self.high if self.high_open else value <= self.high
        return above and below

    def text(self, name: str) -> str:
        """Like `0 < lr ≤ 100`: the same in every language."""
        low = f"{_plain(self.low)} {'<' if self.low_open else '≤'} "
        high = "" if math.isinf(self.high) else f" {'<' if self.high_open else '≤'} {_plain(self.high)}"
        return f"{low}{name}{high}"


def _plain(number: float) -> str:
    """A bound as people write it, not in powers of ten."""
    return f"{int(number)}" if number == int(number) else f"{number:g}"


_SHARE = Range(0, 1)
_POSITIVE = Range(0, low_open=True)
_COUNT = Range(1, 65536)

#: every number that can be set -> what it may be. For a list the range holds for each of its values
RANGES: Mapping[str, Range] = {
    "size": Range(4, 4096),
    "channels": Range(1, 3),
    "mean": _SHARE,
    "std": Range(0, 1, low_open=True),
    "epochs": Range(0, 1e6, low_open=True),
    "until": Range(0, 1, low_open=True),
    "batch_size": Range(1, 1048576),
    "lr": Range(0, 1000, low_open=True),
    "seed": Range(0, 2**63 - 1),
    "momentum": Range(0, 1, high_open=True),
    "weight_decay": Range(0, 10),
    "warmup": Range(0, 1, high_open=True),
    "smoothing": Range(0, 1, high_open=True),
    "clip_norm": _POSITIVE,
    "ema": _SHARE,
    "patience": _COUNT,
    "pad_crop": Range(0, 512),
    "resized_crop": _SHARE,  # 0,0 turns it off
    "rotate": Range(0, 180),
    "affine": Range(0, 89),
    "colour": _SHARE,
    "erase": _SHARE,
    "mixup": Range(0, 100),
    "cutmix": Range(0, 100),
    "trivial": _SHARE,
    "threads": Range(1, 4096),
    "workers": Range(1, 4096),
    "loader_threads": Range(0, 256),
    "parts": _COUNT,
    "save_every": Range(0),
    "eval_every": _POSITIVE,
}

#: lists -> how many values they may hold
LENGTHS: Mapping[str, tuple[int, ...]] = {
    "mean": (1, 3),
    "std": (1, 3),
    "resized_crop": (2,),
    "affine": (3,),
    "colour": (4,),
}

_TIME = re.compile(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m(?:in)?)?(?:(\d+(?:\.\d+)?)s)?")


def parse_time(text: str) -> float:
    """Seconds in a length of time like `90s`, `15m`, `2h` or `1h30m`; UsageError EY-U019 for anything else.

    >>> parse_time("1h30m")
    5400.0
    """
    return _seconds(text, f"time = {text!r}", "time")


def _seconds(text: str, got: str, name: str) -> float:
    match = _TIME.fullmatch(text.strip().lower())
    hours, minutes, seconds = (float(part or 0) for part in match.groups()) if match else (0.0, 0.0, 0.0)
    total = hours * 3600 + minutes * 60 + seconds
    if not 0 < total < math.inf:
        # A bare number says nothing about its unit: show both readings instead of guessing.
        digits = text.strip()
        guess = f"{flag_of(name)} {digits}m" if digits.isdigit() and int(digits) else f"{flag_of(name)} 15m"
        raise UsageError("EY-U019", got=got, next=guess)
    return total


_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?")


def parse_size(text: str) -> int:
    """Bytes in a size like `50GB`, `500 MB`, `1.5TiB`; `none` is as much as there is. UsageError EY-U141 otherwise.

    >>> parse_size("50GB")
    50000000000
    """
    said = text.strip().lower()
    if said == "none":
        return 2**63 - 1
    match = _SIZE.fullmatch(said)
    if match is None or (match[2] == "" and float(match[1]) > 0):
        # A bare number says nothing about its unit.
        guess = f"{match[1]}GB" if match else "50GB"
        raise UsageError("EY-U141", got=f"cache_limit = {text!r}", next=f"{flag_of('cache_limit')} {guess}")
    base = 1024 if match[3] else 1000
    return int(float(match[1]) * base ** ("kmgt".index(match[2]) + 1 if match[2] else 0))


def flag_of(name: str) -> str:
    """The flag of a setting: `batch_size` -> `--batch-size`."""
    return "--" + name.replace("_", "-")


def kind_of(setting: Field[Any]) -> str:
    """`text`, `integer`, `number`, `bool`, `numbers` or `pairs`: what kind of value a setting holds."""
    written = str(setting.type).removesuffix(" | None")
    kinds = {
        "str": "text",
        "int": "integer",
        "float": "number",
        "bool": "bool",
        "tuple[float, ...]": "numbers",
        "dict[str, Any]": "pairs",
    }
    return kinds[written]


def closest(word: str, words: Sequence[str], fallback: str) -> str:
    """The word that was probably meant, or `fallback`."""
    from difflib import get_close_matches

    found = get_close_matches(word.lower(), words, n=1, cutoff=0.6)
    return found[0] if found else fallback


# ---- one value ----------------------------------------------------------------------------------------------------


def _integer(value: object) -> int | None:
    if isinstance(value, str):
        text = value.strip().replace("_", "")
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,30}", text) else None
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: object) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _in_range(name: str, value: float, got: str) -> None:
    allowed = RANGES[name]
    if name == "channels" and value not in (1, 3):
        raise UsageError("EY-U017", got=got, allowed="1, 3", next=f"{flag_of(name)} 3")
    if value in allowed:
        return
    # 94 where 0.94 is meant is the usual slip for shares.
    percent = allowed.high == 1 and 1 < value <= 100
    edge = min(max(value, allowed.low), allowed.high)
    guess = f"{flag_of(name)} {value / 100:g}" if percent else f"{flag_of(name)} {edge:g}" if edge in allowed else ""
    raise UsageError("EY-U016", got=got, allowed=allowed.text(name), next=guess)


def _numbers(setting: Field[Any], value: object, got: str) -> tuple[float, ...]:
    name = setting.name
    lengths = " / ".join(str(length) for length in LENGTHS[name])
    example = f"{flag_of(name)} {setting.metadata['metavar']}"
    items: Sequence[object]
    if isinstance(value, str):
        items = value.replace("\uff0c", ",").split(",")
    elif isinstance(value, list | tuple):
        items = cast("Sequence[object]", value)
    else:
        items = (value,)
    numbers = [_number(item) for item in items]
    found = tuple(number for number in numbers if number is not None)
    if len(found) < len(numbers):
        raise UsageError("EY-U014", got=got, allowed=RANGES[name].text(name), next=example)
    if len(found) not in LENGTHS[name]:
        raise UsageError("EY-U018", got=f"{got} ({len(found)})", allowed=lengths, next=example)
    for number in found:
        _in_range(name, number, got)
    if name == "resized_crop" and found[0] > found[1]:
        raise UsageError(
            "EY-U016", got=got, allowed="0 ≤ LO ≤ HI ≤ 1", next=f"{flag_of(name)} {found[1]:g},{found[0]:g}"
        )
    if name == "affine" and max(found[:2]) > 1:
        raise UsageError("EY-U016", got=got, allowed="T ≤ 1, S ≤ 1, D ≤ 89", next=f"{flag_of(name)} 0.1,0.1,10")
    return found


def _scalar(text: str) -> object:
    """A word as JSON would read it (number, true, false, list of them), else the word itself."""
    try:
        return json.loads(text, parse_constant=lambda name: name)
    except ValueError:
        return text


def _pairs(name: str, value: object, got: str) -> dict[str, Any]:
    """Keys and plain values, from a table or from texts like `width=64`."""
    error = UsageError("EY-U020", got=got, next=f"{flag_of(name)} width=64")
    found: dict[str, Any] = {}
    if isinstance(value, Mapping):
        found = {str(key): item for key, item in cast("Mapping[object, Any]", value).items()}
    else:
        items = cast("Sequence[object]", value) if isinstance(value, list | tuple) else str(value).split(",")
        for item in items:
            key, equals, text = str(item).partition("=")
            if not (equals and key.strip() and text.strip()):
                raise error
            found[key.strip()] = _scalar(text.strip())
    plain = (str, int, float, bool)
    for item in found.values():
        parts = cast("Sequence[object]", item) if isinstance(item, list | tuple) else (item,)
        if not all(isinstance(part, plain) for part in parts):
            raise error
    return found


def _text(setting: Field[Any], value: object, got: str) -> str:
    name, choices = setting.name, cast("tuple[str, ...]", setting.metadata["choices"])
    if isinstance(value, Path):
        value = str(value)
    if name in ("val", "test"):
        return _part_of_data(name, value, got)
    if not isinstance(value, str) or not value.strip():
        allowed = ", ".join(choices) or setting.metadata["metavar"]
        raise UsageError("EY-U025", got=got, allowed=allowed, next=f'{name} = "{value}"' if str(value).strip() else "")
    if choices and value not in choices:
        guess = closest(value, choices, choices[0])
        raise UsageError("EY-U017", got=got, allowed=", ".join(choices), next=f"{flag_of(name)} {guess}")
    if name == "time":
        _seconds(value, got, name)
    if name == "cache_limit":
        parse_size(value)
    if name == "preset" and value not in PRESETS:
        raise UsageError("EY-U012", got=got, allowed=", ".join(PRESETS) or "-")
    return value


def _part_of_data(name: str, value: object, got: str) -> str:
    """`none`, a fraction as text, or a path; a number that is no fraction is never meant as a file's name."""
    if isinstance(value, str) and value.strip().lower() == "none":
        return "none"
    number = _number(value)
    if number is None:
        if not isinstance(value, str) or not value.strip():
            raise UsageError("EY-U025", got=got, allowed="none|FRACTION|PATH", next=f"{flag_of(name)} none")
        return value
    if not 0 < number < 1:
        guess = f"{number / 100:g}" if 1 <= number < 100 else "none" if number == 0 else "0.1"
        raise UsageError("EY-U021", got=got, name=name, next=f"{flag_of(name)} {guess}")
    return str(value).strip()


def coerce(setting: Field[Any], value: object, got: str) -> object:
    """`value`, from a flag's text, a variable's text, TOML or Python, as the type and range of the setting want it.

    `got` is how it was said, for the message. Raises UsageError EY-U012 to EY-U025.
    """
    name, kind = setting.name, kind_of(setting)
    if kind == "text":
        return _text(setting, value, got)
    if kind == "numbers":
        return _numbers(setting, value, got)
    if kind == "pairs":
        return _pairs(name, value, got)
    if kind == "bool":
        words = {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }
        answer = words.get(value.strip().lower()) if isinstance(value, str) else value
        if not isinstance(answer, bool):
            raise UsageError("EY-U015", got=got, next=f"{flag_of(name)} | {flag_of('no_' + name)}")
        return answer
    number = _integer(value) if kind == "integer" else _number(value)
    if number is None:
        code = "EY-U013" if kind == "integer" else "EY-U014"
        whole = _number(value) if kind == "integer" else None
        guess = "" if whole is None else f"{flag_of(name)} {max(1, round(whole))}"
        raise UsageError(code, got=got, allowed=RANGES[name].text(name), next=guess)
    _in_range(name, number, got)
    return number


# ---- where values are said ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Said:
    """One value as it was said: where, and how strong that place is (later places win)."""

    value: Any
    origin: str
    level: int
    got: str


_PRESET, _FILE, _CONFIG, _VARIABLE, _FLAG = range(1, 6)
_FIELDS: Mapping[str, Field[Any]] = {setting.name: setting for setting in fields(Settings)}


def _line_of(text: str, key: str, table: str) -> str:
    """`:12` for the line that sets `key` in `table` ("" = before any table); "" when it is not plainly written."""
    here = ""
    for number, line in enumerate(text.splitlines(), 1):
        header = re.fullmatch(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(#.*)?", line)
        if header:
            here = header[1]
            if here == (f"{table}.{key}" if table else key):
                return f":{number}"
        elif here == table and re.match(rf"""\s*["']?{re.escape(key)}["']?\s*[=.]""", line):
            return f":{number}"
    return ""


def _read_toml(path: Path, shown: str) -> tuple[str, dict[str, Any]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
        return text, tomllib.loads(text)
    except OSError as error:
        raise UsageError("EY-U009", path=shown, detail=error.strerror or error) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError("EY-U008", path=shown, detail=error) from error


def _from_table(table: Mapping[str, Any], text: str, shown: str, section: str, level: int) -> dict[str, _Said]:
    said: dict[str, _Said] = {}
    for key, value in table.items():
        origin = shown + _line_of(text, key, section)
        if key not in _FIELDS:
            guess = closest(key.replace("-", "_"), list(_FIELDS), "")
            raise UsageError(
                "EY-U007",
                got=f"{key} ({origin})",
                allowed=", ".join(_FIELDS),
                next=f"{guess} = …" if guess else "eyas config show",
            )
        got = f"{origin}: {key} = {json.dumps(value, ensure_ascii=False, default=str)}"
        said[key] = _Said(value, origin, level, got)
    return said


def _from_folder(cwd: Path) -> dict[str, _Said]:
    """What `eyas.toml`, or else `[tool.eyas]` of `pyproject.toml`, in this folder says; parents are not searched."""
    own, project = cwd / "eyas.toml", cwd / "pyproject.toml"
    text, table = "", cast("Mapping[str, Any] | None", None)
    if project.is_file():
        text = project.read_text(encoding="utf-8", errors="replace")
        if "eyas" in text:  # somebody else's broken file is none of our business
            text, whole = _read_toml(project, project.name)
            table = whole.get("tool", {}).get("eyas")
    if own.is_file():
        if table is not None:
            raise UsageError("EY-U010", first=own.name, second=project.name)
        text, whole = _read_toml(own, own.name)
        return _from_table(whole, text, own.name, "", _FILE)
    return {} if table is None else _from_table(table, text, project.name, "tool.eyas", _FILE)


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Said]:
    said: dict[str, _Said] = {}
    for key, value in environ.items():
        if not key.startswith("EYAS_") or not value:  # an empty variable counts as not set
            continue
        other = any(key == name or (name.endswith("_") and key.startswith(name)) for name in OTHER_VARIABLES)
        if other or FOREIGN_VARIABLES.fullmatch(key):
            continue
        name = key.removeprefix("EYAS_").lower()
        if name not in _FIELDS:
            known = [f"EYAS_{field.upper()}" for field in _FIELDS] + [n for n in OTHER_VARIABLES if n[-1] != "_"]
            # Without the prefix that all share, or everything would look alike.
            by_name = {variable.removeprefix("EYAS_").lower(): variable for variable in known}
            guess = by_name.get(closest(name, list(by_name), ""), "")
            following = f"export {guess}={value}" if guess else f"unset {key}"
            raise UsageError("EY-U011", got=f"{key}={value}", allowed=", ".join(known), next=following)
        said[name] = _Said(value, key, _VARIABLE, f"{key}={value}")
    return said


def _from_flags(flags: Mapping[str, Any]) -> dict[str, _Said]:
    said: dict[str, _Said] = {}
    for name, value in flags.items():
        assert name in _FIELDS, f"{name} is not a setting"
        if value is None:
            continue
        if isinstance(value, bool):
            got = flag_of(name if value else f"no_{name}")
        elif isinstance(value, list | tuple):
            got = " ".join(f"{flag_of(name)} {item}" for item in cast("Sequence[object]", value))
        else:
            got = f"{flag_of(name)} {value}"
        said[name] = _Said(value, "flag", _FLAG, got)
    return said


# ---- words that do not go together --------------------------------------------------------------------------------

#: pairs of which only one can hold
EXCLUSIVE = (("epochs", "time"), ("fresh", "extend"), ("splits", "val"), ("splits", "test"), ("splits", "holdout"))


def _contradictions(said: dict[str, _Said], settings: Mapping[str, Any]) -> list[str]:
    """Raise for settings that contradict each other; names those that gave way and removes them from `said`.

    Of `epochs` and `time` the one said in the stronger place wins, since nothing else can unset the other; a stop rule
    of a preset goes when there is no val.
    """
    notes: list[str] = []
    on = {name: one for name, one in said.items() if settings[name] not in (None, False)}
    if settings["splits"] == "none":  # which leaves everything to the other words
        on.pop("splits", None)
    for first, second in EXCLUSIVE:
        a, b = on.get(first), on.get(second)
        if a is None or b is None:
            continue
        if (first, second) == ("epochs", "time") and a.level != b.level:
            weak, (winner, loser) = (first, (b, a)) if a.level < b.level else (second, (a, b))
            notes.append(f"{loser.got} < {winner.got}")
            del said[weak], on[weak]
            continue
        raise UsageError("EY-U022", first=a.got, second=b.got)
    optimizer = on.get("optimizer")
    for name in ("momentum", "nesterov"):
        if name in on and optimizer is not None and settings["optimizer"] == "adamw":
            raise UsageError("EY-U022", first=on[name].got, second=optimizer.got)
    if "extend" in on and "out" not in on:
        raise UsageError("EY-U023", got=on["extend"].got, needs="--out DIR")
    for name, other in (("mean", "std"), ("std", "mean")):
        if name in on and other not in on:
            raise UsageError(
                "EY-U023", got=on[name].got, needs=f"{flag_of(other)} {_FIELDS[other].metadata['metavar']}"
            )
        if name in on and settings["channels"] == 1 and len(settings[name]) != 1:
            raise UsageError("EY-U022", first=on[name].got, second=on["channels"].got)
    if settings["val"] == "none":
        for name in ("until", "patience", "eval_every"):
            if name in on and on[name].level == _PRESET:
                notes.append(f"{on[name].got} < {on['val'].got}")
                del said[name]
            elif name in on:
                raise UsageError("EY-U024", got=on[name].got, val=on["val"].got)
    return notes


# ---- the whole ----------------------------------------------------------------------------------------------------


def resolve(flags: Mapping[str, Any], *, cwd: Path, environ: Mapping[str, str], config: Path | None = None) -> Resolved:
    """The settings in force, checked, with the origin of each. Raises UsageError EY-U007 to EY-U025.

    `flags` are settings by name, as text or typed; None means "not said". Paths in files count from `cwd`.
    A table (`model_arg`) that is said twice is replaced, not merged: the stronger place speaks for all of it.
    """
    said = _from_folder(cwd)
    if config is not None:
        # expanduser: `--config=~/x.toml` reaches us with the tilde
        text, table = _read_toml(cwd / config.expanduser(), str(config))
        said |= _from_table(table, text, str(config), "", _CONFIG)
    said |= _from_environment(environ)
    said |= _from_flags(flags)
    if "preset" in said:
        preset = coerce(_FIELDS["preset"], said["preset"].value, said["preset"].got)
        origin = f"preset {preset}"
        base = {
            key: _Said(value, origin, _PRESET, f"{origin}: {key} = {value}")
            for key, value in PRESETS[str(preset)].items()
        }
        said = base | said
    values = _values(said)
    notes = _contradictions(said, values)
    settings = Settings(**_values(said))
    origins = {name: said[name].origin if name in said else "default" for name in _FIELDS}
    return Resolved(settings, origins, tuple(notes))


def checked(settings: Settings) -> Settings:
    """The same settings with every value checked, for those made in Python; raises what `resolve` raises."""
    default = Settings()
    said: dict[str, _Said] = {}
    for name in _FIELDS:
        value = getattr(settings, name)
        if value != getattr(default, name):
            said[name] = _Said(value, "python", _FLAG, f"{name}={value!r}")
    _contradictions(said, values := _values(said))
    return Settings(**values)


def resolved_from(settings: Settings) -> Resolved:
    """Settings made in Python, with `python` as the origin of each that is not the default."""
    default = Settings()
    changed = {name for name in _FIELDS if getattr(settings, name) != getattr(default, name)}
    return Resolved(settings, {name: "python" if name in changed else "default" for name in _FIELDS})


def _values(said: Mapping[str, _Said]) -> dict[str, Any]:
    """Every setting's value: what was said, checked, else its default."""
    default = Settings()
    return {
        name: coerce(setting, said[name].value, said[name].got) if name in said else getattr(default, name)
        for name, setting in _FIELDS.items()
    }


# ---- writing it down ----------------------------------------------------------------------------------------------

#: settings that name or steer one run; repeating them from a file would resume that run, so they are only told
_ONE_RUN = ("out", "fresh", "extend")


def toml_value(value: object) -> str:
    """One value as TOML, on one line.

    >>> toml_value((0.5, "a", {"k": True}))
    '[0.5, "a", {k = true}]'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        bare = re.compile(r"[A-Za-z0-9_-]+")
        return "{" + ", ".join(f"{k if bare.fullmatch(k) else toml_value(k)} = {toml_value(v)}" for k, v in items) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in cast("Sequence[object]", value)) + "]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def to_toml(resolved: Resolved) -> str:
    """The text of `config.toml`: every setting with a comment where it came from; can be given to --config."""
    lines = ["# every setting of this run and where it came from; eyas train DATA --config THIS-FILE repeats it"]
    group = ""
    for name, setting in _FIELDS.items():
        if setting.metadata["group"] != group:
            group = setting.metadata["group"]
            lines += ["", f"# {group}"]
        value, origin = getattr(resolved.settings, name), resolved.origins.get(name, "default")
        if value is None:
            lines.append(f"# {name} =".ljust(32) + f"  # {origin}")
        elif name in _ONE_RUN:
            lines.append(f"# {name} = {toml_value(value)}".ljust(32) + f"  # {origin}")
        else:
            lines.append(f"{name} = {toml_value(value)}".ljust(32) + f"  # {origin}")
    return "\n".join([*lines, *(f"# {note}" for note in resolved.notes)]) + "\n"
