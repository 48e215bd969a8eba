"""Writes the golden vectors: tiny files of every kind, and the SHA-256 of the pixels that they decode to.

    python tests/artifact/make_golden.py

Run it only when DECODER changes, and say why in the change: until then the same bytes give the same pixels.
"""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image
from test_decode import ADOBE, P3, encoded, rows_png

from eyas.artifact.decode import decode, decoder_identity, limits_with

HERE = Path(__file__).parent / "golden"
RNG = np.random.default_rng(20)


def picture(size: tuple[int, int] = (24, 18), mode: str = "RGB") -> Image.Image:
    """A smooth picture."""
    coarse = Image.fromarray(RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8))
    return coarse.resize(size, Image.Resampling.BICUBIC).convert(mode)


def turned(value: int) -> Image.Exif:
    """EXIF that asks for a turn."""
    exif = Image.Exif()
    exif[0x0112] = value
    return exif


def files() -> dict[str, tuple[bytes, int | None]]:
    """Name -> bytes, min_side."""
    deep = RNG.integers(0, 65536, (9, 7, 3), dtype=np.uint16)
    mpo = io.BytesIO()
    picture().save(mpo, "MPO", save_all=True, append_images=[picture()])
    glass = RNG.integers(0, 256, (18, 24, 4), dtype=np.uint8)
    return {
        "rgb.png": (encoded(picture(), "PNG"), None),
        "palette-alpha.png": (encoded(picture().quantize(9), "PNG", transparency=bytes(range(0, 252, 28))), None),
        "one-bit.png": (encoded(picture(mode="1"), "PNG"), None),
        "deep-grey.png": (encoded(Image.fromarray(deep[..., 0]), "PNG"), None),
        "deep-colour.png": (rows_png(deep.astype(">u2").view(np.uint8).reshape(9, -1), 16, 2), None),
        "adobe-rgb.png": (encoded(picture(), "PNG", icc_profile=ADOBE), None),
        "turned-5.png": (encoded(picture(), "PNG", exif=turned(5)), None),
        "baseline.jpg": (encoded(picture(), "JPEG"), None),
        "progressive.jpg": (encoded(picture(), "JPEG", progressive=True), None),
        "grey.jpg": (encoded(picture(mode="L"), "JPEG"), None),
        "cmyk.jpg": (encoded(picture(mode="CMYK"), "JPEG"), None),
        "display-p3.jpg": (encoded(picture(), "JPEG", icc_profile=P3), None),
        "turned-6.jpg": (encoded(picture(), "JPEG", exif=turned(6)), None),
        "two-pictures.jpg": (mpo.getvalue(), None),
        "eighth.jpg": (encoded(picture((320, 240)), "JPEG"), 30),
        "half.jpg": (encoded(picture((160, 120)), "JPEG"), 60),
        "lossy.webp": (encoded(picture(), "WEBP"), None),
        "lossless-alpha.webp": (encoded(Image.fromarray(glass), "WEBP", lossless=True, exact=True), None),
        "animated.gif": (encoded(picture(), "GIF", save_all=True, append_images=[picture()]), None),
        "palette.bmp": (encoded(picture().quantize(16), "BMP"), None),
        "lzw.tif": (encoded(picture(), "TIFF", compression="tiff_lzw"), None),
    }


#: their pixels follow from the format alone, whatever library decodes them
EXACT = {
    "rgb.png",
    "palette-alpha.png",
    "one-bit.png",
    "deep-grey.png",
    "deep-colour.png",
    "turned-5.png",
    "animated.gif",
    "palette.bmp",
    "lossless-alpha.webp",
    "lzw.tif",
}


def main() -> None:
    """Write the folder."""
    HERE.mkdir(exist_ok=True)
    listed = []
    for name, (data, min_side) in files().items():
        (HERE / name).write_bytes(data)
        pixels = decode(data, min_side=min_side, limits=limits_with(("TIFF",)))
        digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes()).hexdigest()
        one = {"name": name, "shape": pixels.shape, "min_side": min_side, "exact": name in EXACT, "sha256": digest}
        listed.append(one)
    document = {"decoder": decoder_identity(), "files": listed}
    (HERE / "golden.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
