"""A run that answers: by name, by path, from damaged copies, and not before it is done."""

import json

import numpy as np
import pytest
from PIL import Image

import eyas
from eyas.errors import EyasWarning, StorageError, UsageError


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("c")
    g = np.random.default_rng(0)
    for name, level in (("dark", 60), ("light", 190)):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.clip(g.normal(level, 20, (32, 32, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EYAS_CACHE", str(folder / "cache"))
        eyas.train(folder / "photos", eyas.Settings(epochs=2, threads=1), quiet=True, root=folder / "runs")
    return folder


def test_one_path_is_a_list_of_one(trained):
    classifier = eyas.load("latest", root=trained / "runs")
    file = trained / "photos/dark/1.png"
    (by_path,), (by_text,), (by_list,) = (classifier.predict(f) for f in (file, str(file), [file]))
    assert by_path == by_text == by_list
    assert {label for label, _ in by_path.top} == {"dark", "light"}


def test_its_repr_is_one_short_line(trained):
    assert len(repr(eyas.load("1", root=trained / "runs"))) < 200


def damage(folder):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def test_a_damaged_copy_of_the_chosen_weights_falls_back_to_their_step_then_says_so(trained):
    file = trained / "photos/dark/1.png"
    before = eyas.load("latest", root=trained / "runs").predict(file)
    run = trained / "runs/001-photos"
    damage(run / "checkpoints/chosen")
    with pytest.warns(EyasWarning, match="does not match its checksum"):
        assert eyas.load("latest", root=trained / "runs").predict(file) == before
    document = json.loads((run / "run.json").read_text("utf-8"))
    for step in (run / "checkpoints").glob("step-*"):
        for path in step.glob("*.safetensors"):
            path.write_bytes(b"")
    with pytest.raises(StorageError, match="EY-S204"):
        eyas.load("latest", root=trained / "runs")
    (run / "run.json").write_text(json.dumps(document | {"chosen": None, "status": "running"}), "utf-8")
    with pytest.raises(UsageError, match="EY-U112"):
        eyas.load("latest", root=trained / "runs")
