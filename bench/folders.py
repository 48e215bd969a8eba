"""Real folders of photographs, trained by one command each from a cold start: seconds, accuracy, loader tax.

    EYAS_TEST_DATA=folder ./scripts/bench folders hands      # folder/hands/<digit>/*.JPG, 2,062 photographs
    EYAS_TEST_DATA=folder ./scripts/bench folders cifar10    # folder/cifar10/{train,test}/<class>/*.jpg, 60,000 files

Cold means: an empty pack cache, a new process; the page cache of the system is as it is. The clock starts before the
process and stops after it: imports, packing, training, scoring and the report are in it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from paired import environment, keep

SETS: dict[str, tuple[str, list[str]]] = {
    "hands": ("hands", []),
    "cifar10": ("cifar10", []),
}


def once(data: Path, arguments: list[str], cache: Path) -> dict[str, Any]:
    """One `eyas train` from process start to its end."""
    eyas = str(Path(sys.executable).with_name("eyas"))
    with tempfile.TemporaryDirectory() as folder:
        command = [eyas, "train", str(data), *arguments, "--json"]
        begun = time.perf_counter()
        done = subprocess.run(
            command, cwd=folder, env=os.environ | {"EYAS_CACHE": str(cache)}, stdout=subprocess.PIPE, check=True
        )
        seconds = time.perf_counter() - begun
        told = json.loads(done.stdout)
        run = json.loads((Path(folder) / told["run"] / "run.json").read_text("utf-8"))
    scores = {s: told[s] and {k: told[s][k] for k in ("accuracy", "n", "interval")} for s in ("val", "test")}
    return {
        "command": ["eyas", "train", data.name, *arguments],
        "seconds": seconds,
        "seconds_by": run["result"]["seconds_by"],
        "loader_tax": told["loader_tax"],
        "images_per_second": told["images_per_second"],
        "epochs": told["epochs"],
        **scores,
    }


def main() -> None:
    """Run and keep."""
    parser = argparse.ArgumentParser()
    parser.add_argument("set", choices=sorted(SETS))
    told, rest = parser.parse_known_args()
    where = os.environ.get("EYAS_TEST_DATA")
    name, arguments = SETS[told.set]
    if not where or not (Path(where) / name).is_dir():
        sys.exit(f"set EYAS_TEST_DATA to the folder that holds {name}/")
    with tempfile.TemporaryDirectory() as cache:
        cold = once(Path(where) / name, [*arguments, *rest], Path(cache))
    print(json.dumps(cold, indent=1))
    print(keep(f"folders-{told.set}", environment() | {"cold": cold}))


if __name__ == "__main__":
    main()
