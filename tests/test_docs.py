"""What the documents say is true: commands parse, flags and codes exist, links lead somewhere, examples run."""

import os
import random
import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import click
import numpy as np
import pytest
from PIL import Image

from eyas.artifact.header import CODES
from eyas.cli.app import NAMES, VERBS, Eyas
from eyas.cli.command import GLOBAL, SettingOption
from eyas.errors import EyasError
from eyas.errors.messages import ERRORS
from eyas.flows.config import OTHER_VARIABLES, flag_of, resolve
from eyas.flows.settings import Settings

ROOT = Path(__file__).parents[1]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
DOCS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
TEXT = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in DOCS}

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
NUMBER = re.compile(r"<!-- number:(\w+) -->(.*?)<!-- /number -->")


def blocks(text: str, kind: str) -> list[str]:
    return [body for language, body in BLOCK.findall(text) if language == kind]


def prose(text: str) -> str:
    return BLOCK.sub("", text)


def pieces(line: str) -> list[list[str]]:
    """The commands of one line of a shell, each as words: cut at pipes, redirections left out, variables too."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    commands: list[list[str]] = [[]]
    skip = False
    for word in lexer:
        if set(word) <= set("|;&"):
            commands.append([])
        elif set(word) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        elif commands[-1] or not re.match(r"[A-Z_]+=", word):
            commands[-1].append(word)
    return [command for command in commands if command]


COMMANDS = [
    (name, line[2:], words)
    for name, text in TEXT.items()
    for body in blocks(text, "console")
    for line in body.splitlines()
    if line.startswith("$ ")
    for words in pieces(line[2:])
]
OURS = [pytest.param(words[1:], id=f"{name}: {line}") for name, line, words in COMMANDS if words[0] == "eyas"]


def verbs() -> dict[str, click.Command]:
    group = Eyas()
    found = {name: group.get_command(click.Context(group), name) for name in NAMES}
    return {name: verb for name, verb in found.items() if verb is not None}


def test_the_readmes_show_commands():
    assert len(OURS) > 10


@pytest.mark.parametrize("words", OURS)
def test_a_command_in_the_documents_is_one_that_eyas_takes(words, tmp_path):
    verb = verbs()[words[0]]
    with verb.make_context(words[0], list(words[1:])) as ctx:
        assert not ctx.args, "more words than the command takes"
        settings = {p.name for p in verb.params if isinstance(p, SettingOption)}
        said = {
            name: (list(value) or None) if isinstance(value, tuple) else value
            for name, value in ctx.params.items()
            if name in settings and name not in GLOBAL
        }
        resolve({name: value for name, value in said.items() if value is not None}, cwd=tmp_path, environ={})


@pytest.mark.parametrize("words", [words for _, _, words in COMMANDS if words[0].startswith("./")], ids=" ".join)
def test_a_script_in_the_documents_is_there_and_may_be_run(words):
    script = ROOT / words[0]
    assert script.is_file()
    assert script.stat().st_mode & 0o111


@pytest.mark.parametrize("name", TEXT)
def test_every_flag_verb_variable_and_code_that_is_named_exists(name):
    flags = {opt for verb in verbs().values() for p in verb.params for opt in (*p.opts, *p.secondary_opts)}
    flags |= {opt for p in Eyas().params for opt in (*p.opts, *p.secondary_opts)}
    variables = {"EYAS_" + flag_of(field)[2:].replace("-", "_").upper() for field in Settings.__dataclass_fields__}
    text = re.sub(r"https?://\S+", "", TEXT[name])
    assert not set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.sub(r"<!--.*?-->", "", text))) - flags
    assert not set(re.findall(r"`eyas ([a-z]+)", text)) - {verb for names in VERBS.values() for verb in names}
    assert not set(re.findall(r"EYAS_[A-Z]+(?:_[A-Z]+)*", text)) - variables - set(OTHER_VARIABLES)
    assert not set(re.findall(r"EY-[A-Z]\d{3}", text)) - set(ERRORS)


@pytest.mark.parametrize("name", TEXT)
def test_every_link_leads_somewhere(name):
    here = (ROOT / name).parent
    for target in LINK.findall(prose(TEXT[name])):
        url = urlsplit(target)
        if url.scheme:
            assert url.scheme == "https", target
            assert re.search(r"\.[a-z]{2,}$", url.hostname or ""), f"{target} is a machine, not a site"
        elif url.path:
            found = (here / url.path).resolve()
            assert found.is_relative_to(ROOT), f"{target} leads out of the repository"
            assert found.exists(), f"{target} is not there"


@pytest.mark.parametrize("name", TEXT)
def test_no_document_names_a_place_on_somebodys_machine(name):
    assert not re.findall(r"(?<![\w.~])/(?:work|tmp|home|root|opt|mnt|Users)/\S*", TEXT[name])
    assert not re.findall(r"\b(?:\d{1,3}\.){3}\d{1,3}\b|localhost", TEXT[name])
    assert not re.findall(r"index-url|pypi\.|download\.pytorch", TEXT[name])


def test_both_readmes_have_the_same_sections_code_links_and_numbers():
    english, chinese = (path.read_text("utf-8") for path in READMES)
    assert re.findall(r"^(#+) ", prose(english), re.MULTILINE) == re.findall(r"^(#+) ", prose(chinese), re.MULTILINE)
    assert BLOCK.findall(english) == BLOCK.findall(chinese)
    names = {path.name for path in READMES}
    assert [t for t in LINK.findall(english) if t not in names] == [t for t in LINK.findall(chinese) if t not in names]
    ours, theirs = dict(NUMBER.findall(english)), dict(NUMBER.findall(chinese))
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        assert re.findall(r"[\d.,]+\d", value) == re.findall(r"[\d.,]+\d", theirs[name]), name
    assert english.count("\n|") == chinese.count("\n|")


def test_chinese_punctuation_is_chinese():
    text = re.sub(r"`[^`]*`|\]\([^)]*\)|<!--.*?-->", "", prose(READMES[1].read_text("utf-8")))
    assert not re.findall(r"[\u4e00-\u9fff] ?[,;:?!()]|[,;:?!()][\u4e00-\u9fff]", text)


def test_the_tour_names_every_module():
    text = TEXT["docs/tour.md"]
    linked = {(ROOT / "docs" / target).resolve() for target in LINK.findall(text)}
    modules = {path for path in (ROOT / "src").rglob("*.py") if path.name != "__init__.py"}
    missing = sorted(path.relative_to(ROOT).as_posix() for path in modules - linked)
    assert not missing, "add a line to docs/tour.md"


def test_the_page_of_exit_codes_has_all_of_them_and_every_code_of_a_file():
    text = TEXT["docs/how-to/exit-codes-and-json.md"]
    listed = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert listed == {0, *(kind.exit_code for kind in EyasError.__subclasses__())}
    assert set(CODES) <= set(re.findall(r"^\| (E\d+) \|", text, re.MULTILINE))


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """The folder that the examples speak of: photos/ with two classes, and two more files."""
    noise = np.random.default_rng(0)

    def image(red: int, blue: int) -> Image.Image:
        pixels = np.array((red, 60, blue)) + noise.integers(-25, 25, (24, 24, 3))
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    for name, colour in (("cat", (200, 30)), ("dog", (30, 200))):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for i in range(40):
            image(*colour).save(folder / f"{i}.jpg")
    image(200, 30).save(tmp_path / "a.jpg")
    image(30, 200).save(tmp_path / "b.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EYAS_LANG", "en")
    return tmp_path


@pytest.fixture
def one_core():
    """The examples do not say how many threads; two that spin on cores that others use take minutes for seconds."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {random.choice(sorted(before))})
    yield
    os.sched_setaffinity(0, before)


WITH_PYTHON = [name for name, text in TEXT.items() if blocks(text, "python") and name != "README.zh-CN.md"]


@pytest.mark.usefixtures("one_core")
@pytest.mark.parametrize("name", WITH_PYTHON)
def test_the_python_examples_run(name, photos, capsys):
    names: dict[str, object] = {}
    for body in blocks(TEXT[name], "python"):
        exec(compile(body, name, "exec"), names)
    out = capsys.readouterr().out
    assert "a.jpg cat" in out
    assert "b.jpg dog" in out
