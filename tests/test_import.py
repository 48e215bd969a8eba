"""What `import eyas` gives, and what it must not cost."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import eyas

ROOT = Path(__file__).parents[1]

PUBLIC = [
    "Augment", "Batch", "Classifier", "Decided", "Evaluated", "Event", "EyasError", "Order", "Plan", "Preprocess",
    "Progress", "Recipe", "Recovered", "Samples", "Saved", "Score", "Settings", "Stepped", "Stopped", "Stream",
    "__version__", "check", "decode", "evaluate", "find", "load", "predict", "show", "train",
]  # fmt: skip


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def test_the_public_names_are_these_and_no_others():
    assert sorted(eyas.__all__) == sorted(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_can_be_used(name):
    assert getattr(eyas, name) is not None
    assert name in dir(eyas)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="trian"):
        eyas.trian  # noqa: B018 - the access is the test


def test_import_eyas_loads_nothing_heavy():
    code = "import sys, json, eyas; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(run("-c", code).stdout)
    heavy = {"numpy", "torch", "rich", "PIL", "click", "matplotlib", "msgspec", "inspect", "asyncio"}
    assert not heavy & set(loaded)


def test_help_loads_neither_numpy_nor_torch_nor_rich_nor_pillow():
    code = (
        "import sys, json\n"
        "from eyas.cli.app import main\n"
        "code = main(['--help'])\n"
        "print(json.dumps([code, sorted(sys.modules)]))\n"
    )
    code, loaded = json.loads(run("-c", code).stdout.splitlines()[-1])
    assert code == 0
    assert not {"numpy", "torch", "rich", "PIL", "matplotlib"} & set(loaded)


def test_the_version_is_that_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert eyas.__version__ == project["version"]


def test_python_m_eyas_works():
    ran = run("-m", "eyas", "--version")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"eyas {eyas.__version__}\n", "")
