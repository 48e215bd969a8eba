"""Where settings come from, which place wins, and what is said when a value cannot be meant."""

import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyas.errors import UsageError
from eyas.flows import config
from eyas.flows.config import Resolved, checked, parse_time, resolve, resolved_from, to_toml, toml_value
from eyas.flows.settings import Settings


def settle(flags=None, *, cwd=Path("/nowhere"), environ=None, file=None) -> Resolved:
    return resolve(flags or {}, cwd=cwd, environ=environ or {}, config=file)


def refused(code: str, flags=None, **where) -> str:
    with pytest.raises(UsageError) as caught:
        settle(flags, **where)
    assert caught.value.code == code
    caught.value.text("zh")  # every field of the other language is there as well
    return caught.value.text("en")


# ---- precedence ---------------------------------------------------------------------------------------------------


def test_nothing_said_gives_the_defaults():
    resolved = settle()
    assert resolved.settings == Settings()
    assert set(resolved.origins) == {field.name for field in fields(Settings)}
    assert set(resolved.origins.values()) == {"default"}


def test_each_place_wins_over_the_one_before_it(tmp_path, monkeypatch):
    monkeypatch.setattr(config, "PRESETS", {"fast": {"lr": 0.1, "seed": 1, "size": 32, "rotate": 5.0, "erase": 0.5}})
    (tmp_path / "eyas.toml").write_text('preset = "fast"\nlr = 0.2\nseed = 2\nsize = 48\nrotate = 6\n')
    given = tmp_path / "given.toml"
    given.write_text("# a comment\nlr = 0.3\nseed = 3\nsize = 64\n")
    environ = {"EYAS_LR": "0.4", "EYAS_SEED": "4"}
    resolved = settle({"lr": "0.5"}, cwd=tmp_path, environ=environ, file=given)
    s = resolved.settings
    assert (s.lr, s.seed, s.size, s.rotate, s.erase) == (0.5, 4, 64, 6.0, 0.5)
    told = [resolved.origins[name] for name in ("lr", "seed", "size", "rotate", "erase", "mixup")]
    assert told == ["flag", "EYAS_SEED", f"{given}:4", "eyas.toml:5", "preset fast", "default"]


def test_a_pyproject_may_hold_the_settings(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "x"\n[tool.eyas]\nlr = 0.25\n[tool.eyas.model_arg]\nwidth = 8\n'
    )
    resolved = settle(cwd=tmp_path)
    assert resolved.settings.lr == 0.25
    assert resolved.settings.model_arg == {"width": 8}
    assert resolved.origins["lr"] == "pyproject.toml:4"
    assert resolved.origins["model_arg"] == "pyproject.toml:5"


def test_a_broken_pyproject_of_somebody_else_does_not_matter(tmp_path):
    (tmp_path / "pyproject.toml").write_text("this is = = not toml")
    assert settle(cwd=tmp_path).settings == Settings()


def test_an_empty_variable_counts_as_not_set_and_other_names_are_left_alone():
    environ = {"EYAS_LR": "", "EYAS_CACHE": "/x", "EYAS_LANG": "zh", "EYAS_SERVICE_HOST": "10.0.0.1", "PATH": "/bin"}
    environ |= {"EYAS_PORT_80_TCP_ADDR": "10.0.0.1", "EYAS_TEST_DATA": "/y", "EYAS_DEBUG": "1"}
    assert settle(environ=environ).settings == Settings()


def test_text_and_typed_values_mean_the_same():
    text = {"epochs": "2.5", "batch_size": "1_024", "flip": "yes", "mean": "0.1,0.2,0.3", "std": "1,1,1"}
    text |= {"model_arg": ["width=64", "act=relu", "deep=true", "taps=[1, 2]"]}
    typed = {"epochs": 2.5, "batch_size": 1024, "flip": True, "mean": [0.1, 0.2, 0.3], "std": (1, 1, 1)}
    typed |= {"model_arg": {"width": 64, "act": "relu", "deep": True, "taps": [1, 2]}}
    assert settle(text).settings == settle(typed).settings


def test_every_number_has_a_range_and_every_list_a_length():
    kinds = {field.name: config.kind_of(field) for field in fields(Settings)}
    assert {name for name, kind in kinds.items() if kind in ("integer", "number", "numbers")} == set(config.RANGES)
    assert {name for name, kind in kinds.items() if kind == "numbers"} == set(config.LENGTHS)


# ---- writing it down ----------------------------------------------------------------------------------------------


def test_what_is_written_down_can_be_given_back(tmp_path):
    flags = {"epochs": "3", "val": "0.2", "model": 'a"\\b 类别', "model_arg": ["width=64", "odd key=x"], "flip": False}
    flags |= {"mean": "0.5", "std": "0.25", "lr": "1e-5", "download": True}
    first = settle(flags, environ={"EYAS_SEED": "7"})
    written = tmp_path / "config.toml"
    written.write_text(to_toml(first), encoding="utf-8")
    assert "# EYAS_SEED" in written.read_text("utf-8")
    assert settle(file=written).settings == first.settings


def test_what_names_one_run_is_told_but_not_repeated(tmp_path):
    first = settle({"out": "runs/x", "epochs": "4", "extend": True})
    again = tmp_path / "c.toml"
    again.write_text(to_toml(first), encoding="utf-8")
    assert '# out = "runs/x"' in again.read_text("utf-8")
    assert settle(file=again).settings == Settings(epochs=4)


@given(
    st.recursive(
        st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_every_value_survives_toml(value):
    assert tomllib.loads(f"x = {toml_value(value)}")["x"] == value


def test_settings_made_in_python_are_checked_and_named_as_such():
    resolved = resolved_from(checked(Settings(lr=0.1)))
    assert resolved.origins["lr"] == "python"
    assert resolved.origins["seed"] == "default"
    with pytest.raises(UsageError, match="EY-U016"):
        checked(Settings(lr=-1))
    with pytest.raises(UsageError, match="EY-U022"):
        checked(Settings(epochs=3, time="15m"))


# ---- time ---------------------------------------------------------------------------------------------------------


def test_lengths_of_time():
    assert [parse_time(t) for t in ("90s", "15m", "2h", "1h30m", " 1.5H ", "15min")] == [90, 900, 7200, 5400, 5400, 900]


@pytest.mark.parametrize("text", ["", "15", "m", "-3m", "0s", "3d", "1m1h", "h"])
def test_what_is_no_length_of_time_is_refused(text):
    with pytest.raises(UsageError, match="EY-U019"):
        parse_time(text)


def test_a_bare_number_is_met_with_the_unit_that_is_missing():
    assert "--time 15m" in refused("EY-U019", {"time": "15"})


# ---- values that cannot be meant ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "flags", "told"),
    [
        ("EY-U012", {"preset": "fsat"}, "--preset fsat"),
        ("EY-U013", {"seed": "one"}, "0 ≤ seed"),
        ("EY-U013", {"batch_size": "2.5"}, "--batch-size 2"),
        ("EY-U013", {"seed": True}, "--seed"),
        ("EY-U014", {"lr": "fast"}, "0 < lr ≤ 1000"),
        ("EY-U014", {"lr": "nan"}, "--lr nan"),
        ("EY-U014", {"mean": "a,b,c", "std": "1,1,1"}, "--mean a,b,c"),
        ("EY-U015", {"flip": "perhaps"}, "--flip | --no-flip"),
        ("EY-U016", {"until": "94"}, "--until 0.94"),
        ("EY-U016", {"size": "1"}, "4 ≤ size ≤ 4096"),
        ("EY-U016", {"resized_crop": "0.9,0.1"}, "--resized-crop 0.1,0.9"),
        ("EY-U016", {"affine": "2,0,0"}, "T ≤ 1"),
        ("EY-U017", {"optimizer": "sdg"}, "--optimizer sgd"),
        ("EY-U017", {"channels": "2"}, "1, 3"),
        ("EY-U018", {"colour": "0.1,0.2"}, "B,C,S,H"),
        ("EY-U020", {"model_arg": ["width"]}, "--model-arg width"),
        ("EY-U020", {"model_arg": ["width=null"]}, "width=null"),
        ("EY-U021", {"val": "10"}, "--val 0.1"),
        ("EY-U021", {"test": "0"}, "--test none"),
        ("EY-U025", {"model": " "}, "NAME"),
        ("EY-U025", {"val": ""}, "none|FRACTION|PATH"),
    ],
)
def test_a_wrong_value_is_told_with_what_would_be_right(code, flags, told):
    assert told in refused(code, flags)


@pytest.mark.parametrize(
    ("flags", "both"),
    [
        ({"epochs": "3", "time": "15m"}, ("--epochs 3", "--time 15m")),
        ({"fresh": True, "extend": True, "out": "x"}, ("--fresh", "--extend")),
        ({"splits": "a.csv", "val": "0.1"}, ("--splits a.csv", "--val 0.1")),
        ({"optimizer": "adamw", "momentum": "0.9"}, ("--momentum 0.9", "--optimizer adamw")),
        ({"mean": "0,0,0", "std": "1,1,1", "channels": "1"}, ("--mean 0,0,0", "--channels 1")),
    ],
)
def test_options_that_contradict_each_other_are_both_named(flags, both):
    text = refused("EY-U022", flags)
    assert all(one in text for one in both)


@pytest.mark.parametrize("rule", ["until", "patience", "eval_every"])
def test_rules_about_val_need_a_val(rule):
    text = refused("EY-U024", {"val": "none", rule: "1"})
    assert f"--{rule.replace('_', '-')} 1" in text
    assert "--val none" in text


def test_an_option_that_needs_another_says_which():
    assert "--out DIR" in refused("EY-U023", {"extend": True})
    assert "--std S,S,S" in refused("EY-U023", {"mean": "0.5"})


def test_of_epochs_and_time_the_stronger_place_wins_and_that_is_told(tmp_path):
    (tmp_path / "eyas.toml").write_text("epochs = 30\n")
    resolved = settle({"time": "15m"}, cwd=tmp_path)
    assert (resolved.settings.epochs, resolved.settings.time) == (None, "15m")
    assert resolved.origins["epochs"] == "default"
    assert resolved.notes == ("eyas.toml:1: epochs = 30 < --time 15m",)


def test_a_stop_rule_of_a_preset_goes_when_there_is_no_val(monkeypatch):
    monkeypatch.setattr(config, "PRESETS", {"fast": {"patience": 3}})
    resolved = settle({"preset": "fast", "val": "none"})
    assert resolved.settings.patience is None
    assert resolved.notes


def test_mixup_and_cutmix_go_together():
    assert settle({"mixup": "0.2", "cutmix": "1"}).settings.cutmix == 1.0


# ---- files and variables ------------------------------------------------------------------------------------------


def test_a_misspelt_key_is_told_with_its_line_and_the_right_one(tmp_path):
    (tmp_path / "eyas.toml").write_text("lr = 0.1\nepoch = 3\n")
    text = refused("EY-U007", cwd=tmp_path)
    assert "epoch (eyas.toml:2)" in text
    assert "epochs = …" in text


def test_a_value_of_the_wrong_type_in_a_file_is_told_with_its_line(tmp_path):
    (tmp_path / "eyas.toml").write_text('\nlr = "fast"\n')
    assert 'eyas.toml:2: lr = "fast"' in refused("EY-U014", cwd=tmp_path)
    (tmp_path / "eyas.toml").write_text("model = 3\n")
    assert "eyas.toml:1: model = 3" in refused("EY-U025", cwd=tmp_path)


def test_a_file_that_is_not_toml_is_told_with_the_line(tmp_path):
    (tmp_path / "eyas.toml").write_text("lr = 0.1\nepochs == 3\n")
    assert "line 2" in refused("EY-U008", cwd=tmp_path)
    (tmp_path / "eyas.toml").write_bytes(b"\xff\xfe\x00")
    refused("EY-U008", cwd=tmp_path)


def test_a_config_that_is_not_there_is_told(tmp_path):
    assert "none.toml" in refused("EY-U009", cwd=tmp_path, file=Path("none.toml"))
    refused("EY-U009", cwd=tmp_path, file=tmp_path)


def test_two_configurations_in_one_folder_are_one_too_many(tmp_path):
    (tmp_path / "eyas.toml").write_text("lr = 0.1\n")
    (tmp_path / "pyproject.toml").write_text("[tool.eyas]\nlr = 0.2\n")
    assert "eyas.toml and [tool.eyas] in pyproject.toml" in refused("EY-U010", cwd=tmp_path)


def test_a_misspelt_variable_is_told_with_the_right_one():
    assert "export EYAS_EPOCHS=3" in refused("EY-U011", environ={"EYAS_EPOHCS": "3"})
    assert "unset EYAS_XYZZY" in refused("EY-U011", environ={"EYAS_XYZZY": "3"})


def test_a_wrong_value_in_a_variable_is_told_with_its_name():
    assert "EYAS_LR=fast" in refused("EY-U014", environ={"EYAS_LR": "fast"})
