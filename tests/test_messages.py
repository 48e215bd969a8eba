"""Everything said to a person exists in two languages, and every code in the table is one that can happen."""

import ast
import re
import string
from pathlib import Path

import pytest

from eyas import errors
from eyas.errors.messages import ERRORS, PHRASES, render, say

SRC = Path(__file__).parents[1] / "src" / "eyas"
CODE = re.compile(r"EY-[A-Z]\d{3}")
LETTERS = {
    "UsageError": "U",
    "DataError": "D",
    "MissingError": "M",
    "StorageError": "S",
    "TrainingError": "T",
    "Preempted": "P",
    "Interrupted": "P",
    "InternalError": "I",
}


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def trees() -> list[tuple[Path, ast.Module]]:
    files = [path for path in sorted(SRC.rglob("*.py")) if path.name != "messages.py"]
    return [(path, ast.parse(path.read_text("utf-8"))) for path in files]


TREES = trees()


def codes_in(node: ast.AST) -> set[str]:
    constants = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return {value for value in constants if CODE.fullmatch(value)}


USED = {code for _, tree in TREES for code in codes_in(tree)}


@pytest.mark.parametrize("code", sorted(ERRORS))
def test_an_error_has_the_same_fields_and_lines_in_both_languages(code):
    english, chinese = ERRORS[code]
    for one, other in zip(english, chinese, strict=True):
        assert fields(one) == fields(other)
        assert bool(one) == bool(other)
    assert english.what
    assert english.next or code.startswith(("EY-T", "EY-P")), "an error says what to do next"


@pytest.mark.parametrize("key", sorted(PHRASES))
def test_a_phrase_has_the_same_fields_in_both_languages(key):
    english, chinese = PHRASES[key]
    assert english
    assert chinese
    assert fields(english) == fields(chinese)


def test_every_code_of_the_table_is_raised_somewhere():
    assert sorted(set(ERRORS) - USED) == []


def test_every_code_that_is_raised_is_in_the_table():
    assert sorted(USED - set(ERRORS)) == []


def raised() -> list[tuple[str, ast.Call]]:
    found = []
    for path, tree in TREES:
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "id", None)
            if isinstance(node, ast.Call) and name in LETTERS and node.args:
                found.append((f"{path.relative_to(SRC)}:{node.lineno}", node))
    return found


def test_the_letter_of_a_code_is_that_of_its_class():
    wrong = [
        f"{where} {node.func.id} {code}"
        for where, node in raised()
        for code in codes_in(node.args[0])
        if code[3] != LETTERS[node.func.id]
    ]
    assert wrong == []


def test_who_raises_an_error_gives_all_its_fields():
    wrong = []
    for where, node in raised():
        given = {keyword.arg for keyword in node.keywords}
        if None in given:  # ** : checked where it happens
            continue
        for code in codes_in(node.args[0]) & set(ERRORS):
            needed = set().union(*(fields(line) for line in ERRORS[code][0]))
            if not needed <= given:
                wrong.append(f"{where} {code} lacks {sorted(needed - given)}")
    assert wrong == []


def test_keys_of_phrases_that_are_written_out_exist():
    wrong = []
    for path, tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "say" and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant) and first.value not in PHRASES:
                    wrong.append(f"{path.relative_to(SRC)}:{node.lineno} {first.value}")
    assert wrong == []


def test_control_characters_in_a_value_are_escaped():
    error = errors.DataError("EY-D001", path="a\x1b[31mb", hint="")
    assert "\x1b" not in error.text("en")
    assert "\\x1b" in error.text("en")


def test_an_error_is_told_in_the_language_that_is_asked_for(monkeypatch):
    values = {"got": "trian", "allowed": "train", "next": "eyas train"}
    assert render("EY-U001", values, "en").startswith("error EY-U001  there is no such command\n  got      eyas trian")
    assert render("EY-U001", values, "zh").startswith("错误 EY-U001  没有这个命令")
    monkeypatch.setenv("EYAS_LANG", "zh_CN.UTF-8")
    assert say("done") == "完成"


def test_a_document_of_an_error_is_in_english_whatever_the_language(monkeypatch):
    monkeypatch.setenv("EYAS_LANG", "zh")
    document = errors.UsageError("EY-U001", got="x", allowed="y", next="z").to_dict()
    assert document["code"] == "EY-U001"
    assert str(document["message"]).startswith("error EY-U001")
    assert document["exit_code"] == 2
