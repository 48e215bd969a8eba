"""The command line as a person and as a script meet it: help, answers, errors, exit codes, two languages."""

import errno
import json
import os
import subprocess
import sys
from dataclasses import fields

import pytest
from PIL import Image

import eyas
from eyas.cli import predict
from eyas.cli import version as version_verb
from eyas.cli.app import NAMES, main
from eyas.cli.output import cells, plain, table, to_json, wrap
from eyas.errors.messages import PHRASES
from eyas.flows.settings import Settings


@pytest.fixture(autouse=True)
def _a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("EYAS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


@pytest.fixture
def call(capfd):
    """Runs `eyas` in this process; gives (exit code, stdout, stderr)."""

    def run(*words: str) -> tuple[int, str, str]:
        capfd.readouterr()
        code = main(list(words))
        out = capfd.readouterr()
        return code, out.out, out.err

    return run


def process(*words: str, **how) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "eyas", *words], capture_output="stdout" not in how, text=True, check=False, **how
    )


# ---- help ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_help_names_every_verb_in_the_language_that_is_asked_for(call, lang):
    code, out, err = call("--help", "--lang", lang)
    assert (code, err) == (0, "")
    for name in NAMES:
        assert f"\n  {name} " in out
    assert PHRASES["cli.heading.start"][lang == "zh"] in out


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("verb", NAMES)
def test_every_verb_explains_itself_with_examples(call, verb, lang):
    code, out, err = call(verb, "--help", "--lang", lang)
    assert (code, err) == (0, "")
    assert out.startswith(f"eyas {verb} ")
    assert f"  eyas {verb}" in out.split(PHRASES["cli.examples"][lang == "zh"])[-1]
    assert "--json" in out


def test_train_shows_common_options_first_and_all_on_request(call):
    short, everything = call("train", "--help")[1], call("train", "--help-all")[1]
    for setting in fields(Settings):
        flag = "--" + setting.name.replace("_", "-")
        assert (flag in everything) == (setting.metadata["group"] != "hidden")
        assert (f"  {flag} " in short) == (setting.metadata["group"] == "common")
    assert "--flip / --no-flip" in everything
    assert "photos/CLASS/*.jpg" in short


def test_no_words_at_all_is_a_question_for_help(call):
    code, out, err = call()
    assert (code, out) == (2, "")
    assert "train" in err


# ---- wrong words --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ("trian photos", "EY-U001", "eyas train"),
        ("train photos --epohcs 3", "EY-U002", "--epochs"),
        ("train photos -epochs 3", "EY-U002", "--epochs"),
        ("train photos --no-flpi", "EY-U002", "--no-flip"),
        ("train", "EY-U003", "eyas train photos/"),
        ("--json", "EY-U003", "eyas --help"),
        ("predict runs/latest", "EY-U003", "photo.jpg"),
        ("train photos --lr", "EY-U004", "--lr RATE"),
        ("train photos more", "EY-U005", "more"),
        ("train photos --fresh=1", "EY-U006", "--fresh"),
        ("train photos --lr fast", "EY-U014", "0 < lr ≤ 1000"),
        ("train photos --epochs 3 --time 15m", "EY-U022", "--time 15m"),
        ("train photos --optimizer sdg", "EY-U017", "sgd"),
        ("--lang fr doctor", "EY-U017", "en, zh"),
        ("config shwo", "EY-U017", "eyas config show"),
        ("evaluate runs/latest --split tset", "EY-U017", "--split test"),
        ("predict runs/latest a.jpg --top 0", "EY-U016", "1 ≤ top"),
        ("show photos --count many", "EY-U013", "1 ≤ count"),
        ("runs nowhere", "EY-U027", "nowhere"),
        ("config show --config none.toml", "EY-U009", "none.toml"),
    ],
)
def test_a_wrong_word_is_told_in_four_lines_and_ends_with_two(call, words, code, told):
    exit_code, out, err = call(*words.split())
    assert exit_code == 2
    assert err.startswith(f"error {code}  ")
    assert told in err
    assert len(err.splitlines()) <= 4
    assert "Traceback" not in err
    if "--json" not in words:
        assert out == ""


def test_an_error_in_json_is_one_document_with_the_same_code(call):
    code, out, err = call("train", "photos", "--lr", "fast", "--json")
    document = json.loads(out)
    assert code == document["error"]["exit_code"] == 2
    assert document["error"]["code"] == "EY-U014"
    assert "EY-U014" in err


def test_an_error_is_told_in_chinese_when_that_is_the_language(call, monkeypatch):
    assert "没有这个命令" in call("trian", "--lang", "zh")[2]
    monkeypatch.setenv("EYAS_LANG", "zh")
    assert "没有这个命令" in call("trian")[2]
    assert "no such command" in call("trian", "--lang=en")[2]
    assert os.environ["EYAS_LANG"] == "zh"


def test_a_misspelt_setting_of_the_environment_ends_the_command(call, monkeypatch):
    monkeypatch.setenv("EYAS_EPOHCS", "3")
    code, _, err = call("config", "show")
    assert code == 2
    assert "export EYAS_EPOCHS=3" in err


def test_without_torch_training_says_what_to_install(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, _, err = call("train", "photos")
    assert code == 69
    assert "EY-M001" in err
    assert "pip install 'eyas[train]'" in err


# ---- ends that nobody planned -------------------------------------------------------------------------------------


def test_a_bug_leaves_its_traceback_in_a_file(call, monkeypatch, tmp_path):
    def broken() -> dict[str, str | None]:
        raise RuntimeError("a wheel\nfell off")

    monkeypatch.setattr(version_verb, "versions", broken)
    code, out, err = call("version", "--json")
    assert code == 70
    assert json.loads(out)["error"]["code"] == "EY-I001"
    assert "RuntimeError: a wheel" in err
    assert "Traceback" not in err
    (crash,) = (tmp_path / "cache" / "crashes").iterdir()
    assert str(crash) in err
    assert "fell off" in crash.read_text("utf-8")
    assert "eyas version --json" in crash.read_text("utf-8")
    monkeypatch.setenv("EYAS_DEBUG", "1")
    assert "Traceback" in call("version")[2]


def test_ctrl_c_ends_with_130(call, monkeypatch):
    class Terminal:
        def __iter__(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", Terminal())
    code, _, err = call("predict", "runs/latest", "-")
    assert code == 130
    assert "EY-P010" in err
    assert "Traceback" not in err


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_an_answer_that_cannot_be_written_is_an_error_of_storage():
    with open("/dev/full", "w") as full:
        ran = process("version", stdout=full, stderr=subprocess.PIPE)
    assert ran.returncode == 74
    assert ran.stderr.startswith("error EY-S001")
    assert os.strerror(errno.ENOSPC) in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_a_reader_that_went_away_is_no_reason_to_complain():
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as nobody:
        ran = process("version", stdout=nobody, stderr=subprocess.PIPE)
    assert (ran.returncode, ran.stderr) == (0, "")


# ---- answers ------------------------------------------------------------------------------------------------------


def test_version_is_one_document_in_json_and_one_word_when_quiet(call):
    assert json.loads(call("version", "--json")[1])["eyas"] == eyas.__version__
    assert call("version", "-q")[1] == f"{eyas.__version__}\n"
    assert json.loads(call("--json", "version")[1]) == json.loads(call("version", "--json")[1])


def test_config_show_tells_every_value_and_where_it_is_from(call, monkeypatch, tmp_path):
    (tmp_path / "eyas.toml").write_text("epochs = 30\nlr = 0.3\n")
    monkeypatch.setenv("EYAS_SEED", "7")
    code, out, _ = call("config", "show", "--lr", "0.5", "--model-arg", "width=64", "--no-flip", "--json")
    assert code == 0
    said = json.loads(out)["settings"]
    assert set(said) == {setting.name for setting in fields(Settings)}
    assert said["epochs"] == {"value": 30.0, "origin": "eyas.toml:1"}
    assert said["lr"] == {"value": 0.5, "origin": "flag"}
    assert said["seed"] == {"value": 7, "origin": "EYAS_SEED"}
    assert said["model_arg"] == {"value": {"width": 64}, "origin": "flag"}
    assert said["flip"] == {"value": False, "origin": "flag"}
    assert said["mixup"] == {"value": None, "origin": "default"}
    text = call("config")[1]
    assert any(line.split() == ["lr", "0.3", "eyas.toml:2"] for line in text.splitlines())


def test_what_gave_way_is_told(call, tmp_path):
    (tmp_path / "eyas.toml").write_text("epochs = 30\n")
    code, out, err = call("config", "show", "--time", "15m", "--json")
    assert code == 0
    assert json.loads(out)["notes"] == ["eyas.toml:1: epochs = 30 < --time 15m"]
    assert err == ""
    assert "--time 15m" in call("config", "show", "--time", "15m")[2]


def test_verbose_tells_what_was_set(call):
    assert "lr = 0.5  (flag)" in call("config", "show", "--lr", "0.5", "-v")[2]
    assert call("config", "show", "--lr", "0.5")[2] == ""


def test_no_runs_is_an_answer_and_not_an_error(call, tmp_path):
    code, out, _ = call("runs", "--json")
    assert (code, json.loads(out)) == (0, {"runs": [], "damaged": []})
    assert "runs" in call("runs")[1]
    (tmp_path / "empty").mkdir()
    assert call("runs", "empty")[0] == 0


def test_an_unknown_run_is_told_with_those_there_are(call):
    for verb in ("report", "evaluate"):
        code, _, err = call(verb, "runs/none")
        assert (code, err.split()[1]) == (2, "EY-U110")


def test_models_lists_every_net_with_its_weights(call):
    code, out, _ = call("models", "--json")
    assert code == 0
    found = {row["name"]: row for row in json.loads(out)["models"]}
    assert found["fashion-cnn"]["parameters"] > 10_000
    assert found["fashion-cnn"]["input"] == [28, 28, 1]
    assert sum(row["default"] for row in found.values()) == 1
    assert set(call("models", "-q")[1].split()) == set(found)
    assert "XLA" in call("models", "--lang", "zh")[1]


# ---- what predict is pointed at -----------------------------------------------------------------------------------


def test_folders_and_lists_stand_for_the_images_in_them(tmp_path):
    inner = tmp_path / "photos" / "b"
    inner.mkdir(parents=True)
    for path in (inner / "2.png", inner / "1.JPG", tmp_path / "photos" / "a b.webp", inner / ".hidden.png"):
        Image.new("RGB", (4, 4)).save(path, format="PNG")
    (inner / "notes.txt").write_text("no image")
    got = list(predict.expanded(["photos", "-", "gone.jpg"], ["x y.jpg\n", "\n", "z.png"]))
    assert got == ["photos/a b.webp", "photos/b/1.JPG", "photos/b/2.png", "x y.jpg", "z.png", "gone.jpg"]


def test_an_empty_folder_is_nothing_to_predict(call, tmp_path):
    (tmp_path / "empty").mkdir()
    code, _, err = call("predict", "runs/latest", "empty")
    assert code == 2
    assert "EY-U026" in err


# ---- how things are written ---------------------------------------------------------------------------------------


def test_chinese_characters_count_as_two_columns():
    assert [cells("轮次"), cells("epoch"), cells("e\u0301")] == [4, 5, 1]
    rows = table([("类别", "1"), ("cat", "20")]).splitlines()
    assert rows == ["类别  1", "cat   20"]


def test_wrapped_lines_fit_and_lose_nothing():
    text = "验证集:none、比例(如 0.1)或路径 and some words in English, too"
    for width in (10, 17, 40):
        lines = wrap(text, width)
        assert all(cells(line) <= width + 2 for line in lines)  # closing punctuation may hang
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_json_holds_numbers_of_numpy_and_nothing_that_is_no_number():
    import numpy as np

    document = {"a": np.float32(0.5), "b": np.arange(2), "c": float("nan"), "d": (1, None, True), "e": "类"}
    assert json.loads(to_json(document)) == {"a": 0.5, "b": [0, 1], "c": None, "d": [1, None, True], "e": "类"}
    with pytest.raises(TypeError, match="object"):
        plain(object())


def test_a_file_name_that_is_no_text_does_not_break_the_answer(call, tmp_path):
    name = os.fsdecode(b"bad\xff")
    (tmp_path / name).mkdir()
    code, out, _ = call("runs", name, "--json")
    assert (code, json.loads(out)) == (0, {"runs": [], "damaged": []})
    assert call("runs", name)[0] == 0


def test_a_damaged_run_is_named_among_the_runs(call, tmp_path):
    folder = tmp_path / "runs/001-photos"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    code, _, err = call("runs", str(tmp_path / "runs"))
    assert code == 0
    assert str(folder / "run.json") in err
    assert json.loads(call("runs", str(tmp_path / "runs"), "--json")[1])["damaged"] == [str(folder)]


def test_a_flag_that_other_tools_have_gets_the_advice_that_is_meant(call):
    _, _, err = call("train", "photos", "--resume", "--epochs", "3")
    assert "eyas train photos --epochs 3" in err
    assert "--fresh" not in err
    _, _, err = call("show", "photos", "--out", "a.png")
    assert err.rstrip().endswith("--to")
