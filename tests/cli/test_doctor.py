"""What `eyas doctor` finds, and what it says when something is missing."""

import json
import os
import sys

import pytest

from eyas.cli import doctor
from eyas.cli.app import main
from eyas.machine import wait_politely


@pytest.fixture(autouse=True)
def _a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EYAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EYAS_LANG", "en")


def test_a_machine_that_can_train_is_ready(capfd):
    assert main(["doctor", "--json"]) == 0
    out, err = capfd.readouterr()
    document = json.loads(out)
    found = {finding["name"]: finding for finding in document["findings"]}
    assert document["ready"]
    assert err == ""
    assert sys.executable in found["python"]["value"]
    assert "JPEG" in found["codecs"]["value"]
    assert {"cpu", "cores", "memory", "gpu", "folder", "cache", "torch", "pillow", "chinese-font"} <= set(found)


def test_what_is_not_well_has_a_hint_and_what_is_well_has_none(capfd):
    main(["doctor", "--json"])
    for finding in json.loads(capfd.readouterr().out)["findings"]:
        assert bool(finding["hint"]) != finding["ok"], finding


def test_it_says_that_it_imports_torch(capfd):
    assert main(["doctor"]) == 0
    out, err = capfd.readouterr()
    assert "importing torch" in err
    assert out.rstrip().endswith("ready to train")


def test_without_torch_it_says_how_to_get_it_and_ends_with_69(capfd, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(["doctor"]) == 69
    out, err = capfd.readouterr()
    assert "pip install 'eyas[train]'" in out
    assert out.rstrip().endswith("not ready to train: see the lines above")
    assert err == ""


def test_a_torch_that_does_not_import_is_told_with_its_reason(capfd, monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    finding = doctor._torch()
    assert not finding.ok
    assert "libcudart" in finding.value
    assert finding.hint


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that nobody can write to, root included")
def test_a_cache_that_cannot_be_written_is_not_ready(capfd, monkeypatch):
    monkeypatch.setenv("EYAS_CACHE", "/proc/self/eyas")
    assert main(["doctor", "--json"]) == 69
    found = {finding["name"]: finding for finding in json.loads(capfd.readouterr().out)["findings"]}
    assert "EYAS_CACHE" in found["cache"]["hint"]


def test_sizes_are_written_as_people_read_them():
    assert [doctor.size(n) for n in (10, 3 * 2**20, 16 * 2**30)] == ["10 B", "3.0 MiB", "16.0 GiB"]


def test_threads_sleep_while_they_wait_only_where_the_cores_are_shared():
    environ: dict[str, str] = {}
    assert not wait_politely(0.1, environ)
    assert environ == {}
    assert wait_politely(0.8, environ)
    assert environ == {"OMP_WAIT_POLICY": "PASSIVE"}
    said = {"OMP_WAIT_POLICY": "ACTIVE"}
    assert not wait_politely(2.0, said)
    assert said == {"OMP_WAIT_POLICY": "ACTIVE"}
