"""Golden vectors: files that ship with the tests still decode to the pixels that they decoded to."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from eyas.artifact.decode import DECODER, decode, decoder_identity, limits_with

HERE = Path(__file__).parent / "golden"
GOLDEN = json.loads((HERE / "golden.json").read_text("utf-8"))


@pytest.mark.parametrize("one", GOLDEN["files"], ids=lambda one: one["name"])
def test_the_same_bytes_give_the_same_pixels(one):
    if not one["exact"] and GOLDEN["decoder"] != decoder_identity():
        pytest.skip(f"made by {GOLDEN['decoder']}; here is {decoder_identity()}")
    data = (HERE / one["name"]).read_bytes()
    pixels = decode(data, min_side=one["min_side"], limits=limits_with(("TIFF",)))
    assert list(pixels.shape) == one["shape"]
    assert hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest() == one["sha256"]


def test_the_vectors_are_those_of_this_decoder():
    assert GOLDEN["decoder"]["decoder"] == DECODER, "make_golden.py writes them anew"
    assert len(GOLDEN["files"]) == len([path for path in HERE.iterdir() if path.suffix != ".json"])
