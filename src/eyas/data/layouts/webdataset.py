"""WebDataset: tar files ("shards") in which `key.jpg` has its label beside it in `key.cls`, `key.txt` or `key.json`.

Shards are read in place. Their names say the split (`train-0000.tar`, `val/0000.tar`), a list of classes beside them
gives numbers their names.

Format: https://github.com/webdataset/webdataset#the-webdataset-format
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import cast, final

import numpy as np

from eyas.data.layouts.archive import Archive, ArchiveTree, tree_of
from eyas.data.layouts.assemble import class_list
from eyas.data.layouts.names import is_hidden, is_image, listing, natural_path, nfc, split_in
from eyas.data.layouts.scan import Seen
from eyas.data.layouts.table import numbers_to_names
from eyas.data.layouts.tree import DiskTree, is_file
from eyas.data.samples import Samples, Split
from eyas.errors import DataError
from eyas.errors.messages import say

LABEL_ENDS = ("cls", "txt", "json")
"""Best first."""
LABEL_KEYS = ("label", "class", "class_name", "cls", "category", "target")
"""Of a `.json`, best first."""
CLASS_FILES = ("classes.txt", "classnames.txt", "labels.txt")
LONGEST_LABEL = 1 << 20  # bytes of a label file
MOST_SHARDS = 100_000

_BRACES = re.compile(r"\{([^{}]*)\}")


def expand(pattern: str) -> list[str]:
    """The names that braces stand for, as in a shell; a pattern without braces stands for itself.

    >>> expand("{train,val}-{08..10}.tar")
    ['train-08.tar', 'train-09.tar', 'train-10.tar', 'val-08.tar', 'val-09.tar', 'val-10.tar']
    """
    pieces: list[list[str]] = []
    at, total = 0, 1
    for hit in _BRACES.finditer(pattern):
        inside = hit[1]
        span = re.fullmatch(r"(\d+)\.\.(\d+)", inside)
        if span is not None:
            first, last = int(span[1][-18:]), int(span[2][-18:])
            width = len(span[1]) if span[1].startswith("0") or len(span[1]) == len(span[2]) else 0
            step = 1 if last >= first else -1
            many = min(abs(last - first) + 1, MOST_SHARDS + 1)
            words = [f"{first + step * number:0{width}d}" for number in range(many)]
        elif "," in inside:
            words = inside.split(",")
        else:
            words = [hit[0]]
        total *= len(words)
        if total > MOST_SHARDS:
            return []
        pieces += [[pattern[at : hit.start()]], words]
        at = hit.end()
    return ["".join(words) for words in itertools.product(*pieces, [pattern[at:]])]


@final
class Shard:
    """One tar and its samples: key -> the name of the image, and of the file with its label."""

    def __init__(self, archive: Archive, seen: Seen) -> None:
        self.archive = archive
        self.images: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        for name in archive.names:
            folder, slash, last = name.rpartition("/")
            if is_hidden(last):
                continue
            stem, _, end = last.partition(".")
            key, end = f"{folder}{slash}{stem}", end.lower()
            if is_image(last) and "." not in end:
                if key in self.images:
                    seen.leave_out("second", name)
                self.images.setdefault(key, name)
            elif end in LABEL_ENDS:
                before = self.labels.get(key, "").rpartition(".")[2].lower()
                if before not in LABEL_ENDS or LABEL_ENDS.index(end) < LABEL_ENDS.index(before):
                    self.labels[key] = name

    def is_webdataset(self) -> bool:
        """Whether images have labels beside them: one `.cls` will do, of others (notes, captions) most need one."""
        both = self.images.keys() & self.labels.keys()
        return any(self.labels[key].lower().endswith(".cls") for key in both) or 2 * len(both) > len(self.images) > 0


def read_shards(where: Path, shards: Sequence[tuple[str, Shard]], seen: Seen) -> Samples:
    """The samples of shards, each under the name that it has in `where`. Raises EY-D081 when none has a label."""
    tree = tree_of(where, [(name, shard.archive) for name, shard in shards])
    found: list[tuple[str, str, Split]] = []
    kinds: set[str] = set()
    for name, shard in shards:
        split = split_in(name) or Split.NONE
        for key, image in shard.images.items():
            beside = shard.labels.get(key)
            label = None if beside is None else _label(tree, f"{name}/{beside}")
            if label is None:
                seen.leave_out("no_label", f"{name}/{image}")
                seen.unlabelled.append(f"{name}/{image}")
            else:
                assert beside is not None
                kinds.add(f".{beside.rpartition('.')[2].lower()}")
                found.append((f"{name}/{image}", label, split))
    if not found:
        examples = [f"{name}/{image}" for name, shard in shards for image in itertools.islice(shard.images.values(), 3)]
        n = sum(len(shard.images) for _, shard in shards)
        raise DataError("EY-D081", path=where, n=n, examples=listing(examples, most=3))
    found.sort(key=lambda sample: natural_path(sample[0]))
    beside = DiskTree(where)
    file = next((file for file in CLASS_FILES if is_file(beside, file)), CLASS_FILES[0])
    labels = numbers_to_names([label for _, label, _ in found], beside, seen, file=file)
    classes = class_list(set(labels), beside, seen, file=file)
    number = {name: i for i, name in enumerate(classes)}
    return Samples(
        source=tree.source([name for name, _, _ in found]),
        classes=classes,
        labels=np.fromiter((number[label] for label in labels), np.int32, len(labels)),
        splits=np.fromiter((split for _, _, split in found), np.uint8, len(found)),
        layout=say("layout_shards", n=len(shards), labels=", ".join(sorted(kinds))),
        root=where,
    )


def _label(tree: ArchiveTree, name: str) -> str | None:
    """The text of a `.cls` or `.txt`, or one of the usual keys of a `.json`; None when it says nothing."""
    data = tree.read(name, most=LONGEST_LABEL)
    try:
        text = data.decode("utf-8-sig").strip()
        if not name.lower().endswith(".json"):
            return nfc(text) if text and "\n" not in text else None
        value: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return _of_json(value)


def _of_json(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    known = cast(dict[str, object], value)
    said = next((known[key] for key in LABEL_KEYS if key in known and known[key] is not None), None)
    if isinstance(said, bool) or not isinstance(said, (str, int)):
        return None
    return nfc(str(said).strip()) or None
