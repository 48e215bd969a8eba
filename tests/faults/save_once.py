"""A torch-free process that saves one checkpoint: what `test_disk.py` runs while the kernel refuses or lies.

python save_once.py FOLDER STEP     prints "saved" when the checkpoint was acknowledged, else the error
"""

import sys
from pathlib import Path

import numpy as np

from eyas.errors import EyasError
from eyas.training import checkpoint


def tensors(step: int) -> dict[str, dict[str, np.ndarray]]:
    made = np.random.default_rng(step)
    return {
        "model": {"a": made.normal(size=(64, 65)).astype(np.float32)},
        "optimizer": {"a": made.normal(size=(64, 65)).astype(np.float32)},
    }


if __name__ == "__main__":
    folder, step = Path(sys.argv[1]), int(sys.argv[2])
    try:
        checkpoint.write(folder, checkpoint.name_of(step, 0), tensors(step), {"step": step}, fingerprints={})
        checkpoint.prune(folder, set())
    except (OSError, EyasError) as error:
        print(error)
        sys.exit(1)
    print("saved")
