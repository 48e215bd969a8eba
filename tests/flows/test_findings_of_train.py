"""`eyas train` writes down what `eyas check` would say of the same images, and reads what it is allowed to read."""

import numpy as np
import pytest
from PIL import Image

from eyas.artifact.preprocess import Preprocess
from eyas.flows.check import Question, check
from eyas.flows.describe import describe, findings
from eyas.flows.feeding import training_stream
from eyas.flows.prepare import prepare
from eyas.flows.request import Request
from eyas.training.recipe import Recipe


@pytest.fixture
def photos(tmp_path):
    """Two classes of 20, one with a copy, a turned photo, a broken one, a TIFF and one that is hidden."""
    rng = np.random.default_rng(5)
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(20):
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / "photos" / name / f"{i}.png")
    root = tmp_path / "photos"
    (root / "dog" / "copy.png").write_bytes((root / "dog" / "1.png").read_bytes())
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(root / "cat" / "3.png").save(root / "cat" / "turned.jpg", exif=exif)
    (root / "cat" / "4.png").write_bytes(b"GIF89a")
    Image.open(root / "dog" / "5.png").save(root / "dog" / "scan.tif")
    (root / "dog" / ".DS_Store").write_bytes(b"x")
    return root


def prepared(tmp_path, photos, **how):
    return prepare(Request(str(photos), **how), workers=1, cache=tmp_path / "cache")


def test_train_writes_down_the_codes_that_check_finds(tmp_path, photos):
    ready = prepared(tmp_path, photos)
    listed = {f["code"]: f for f in describe(ready)["findings"]}
    checked = check(Question(str(photos)), cache=tmp_path / "cache", workers=1)
    assert {f.code for f in checked.findings} == set(listed) == {"E03", "E07", "L01", "C02", "C05", "W02"}
    assert listed["L01"]["examples"] == ["dog/copy.png: = dog/1.png"]
    assert listed["E07"]["count"] == 1
    assert listed["C05"]["examples"] == ["dog/.DS_Store"]
    assert [f.code for f in findings(ready)] == list(listed)


def test_allowed_formats_are_read_from_training_to_prediction_and_part_of_the_fingerprint(tmp_path, photos):
    without, ready = prepared(tmp_path, photos), prepared(tmp_path, photos, allow="tiff")
    assert {row: code for row, (code, _) in ready.bad.items()} != {row: code for row, (code, _) in without.bad.items()}
    assert "E07" not in {f["code"] for f in describe(ready)["findings"]}
    assert ready.preprocess.allow == ("TIFF",)
    assert ready.preprocess.fingerprint() != without.preprocess.fingerprint()
    again = Preprocess.from_dict(ready.preprocess.to_dict())
    data = (photos / "dog" / "scan.tif").read_bytes()
    np.testing.assert_array_equal(again.from_bytes(data), again.from_bytes((photos / "dog" / "5.png").read_bytes()))


def test_a_cache_that_cannot_be_written_does_not_stop_a_run(photos, tmp_path):
    (tmp_path / "file").write_text("a file where the cache should be")
    made = prepare(Request(str(photos)), workers=1, cache=tmp_path / "file")
    assert made.streamed
    kept = prepare(Request(str(photos)), workers=1, cache=tmp_path / "cache")
    assert not kept.streamed
    assert made.identity() == kept.identity()
    image = training_stream(made, Recipe("small-net")).batch(0, 4).images
    assert (image == training_stream(kept, Recipe("small-net")).batch(0, 4).images).all()
