"""Tables: CSV, TSV and JSON Lines with a column of paths and a column of labels, in any of the usual encodings.

Paths are relative to the table's folder. Every file is looked up in a listing of its folder, read once: no file is
touched, so a million rows cost a few seconds. Rows are put in natural order of their paths: shuffling the table does
not change the samples.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import os
import posixpath
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast, final

import numpy as np

from eyas.data.layouts.assemble import CLASS_FILE, class_list, decode_text, read_classes
from eyas.data.layouts.names import (
    IMAGE_SUFFIXES,
    is_image,
    is_text,
    listing,
    natural_path,
    nearest,
    nfc,
    split_names,
    split_of,
    suffix,
)
from eyas.data.layouts.scan import Seen
from eyas.data.layouts.tree import Tree
from eyas.data.samples import Samples, Split
from eyas.errors import DataError
from eyas.errors.messages import say

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


#: what a column means -> its usual names, best first
COLUMNS: dict[str, tuple[str, ...]] = {
    "path": _words(
        "path file_path filepath image_path img_path imagepath file_name filename file image_file image_name image img "
        "image_id id 图片路径 图像路径 文件路径 路径 图片名 图片名称 文件名 图片 图像 文件"
    ),
    "label": _words(
        "label label_name class class_name classname target category y 标签 类别 类别名称 分类 种类 类名 类"
    ),
    "split": _words("split subset partition set 划分 数据划分 集合 子集 数据集"),
    "group": _words("group group_id patient patient_id subject subject_id 分组 组 组别 病人 患者"),
    "weight": _words("weight sample_weight 权重 样本权重"),
}


@final
@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table; `line` counts from 1, as an editor shows it."""

    line: int
    cells: Sequence[str]


@final
@dataclass
class Table:
    """The rows of one file as text, the names of its columns, and which column plays which role."""

    tree: Tree
    """The folder that it is in."""
    path: Path
    """What it is called."""
    kind: str
    columns: list[str]
    rows: list[Row]
    roles: dict[str, str] = field(default_factory=lambda: {})

    def cell(self, row: Row, role: str) -> str:
        """What a row says for a role, stripped; empty when it says nothing."""
        column = self.roles.get(role)
        if column is None:
            return ""
        at = self.columns.index(column)
        return row.cells[at].strip() if at < len(row.cells) else ""


def read_table(
    tree: Tree, name: str, seen: Seen, *, columns: Mapping[str, str] | None = None, whole: Split | None = None
) -> Samples:
    """The samples of a table at the top of `tree`; `columns` names columns by role, `whole` is the split of all rows.

    Raises EY-D020 to EY-D029: no such column, paths that lead nowhere, empty labels, unknown splits, and the like.
    """
    table = load(tree, name, seen)
    assign_roles(table, seen, columns)
    return _to_samples(table, seen, whole)


def understands(tree: Tree, name: str) -> bool:
    """Whether a table beside images is the list of their labels: columns are found and the first rows lead to files."""
    quiet = Seen()
    try:
        table = load(tree, name, quiet, most_bytes=1 << 18)
        assign_roles(table, quiet, None)
    except DataError:
        return False
    table.rows = table.rows[:20]
    files = Files(tree)
    _choose_base(table, files, quiet)
    return any(files.find(_clean(table.cell(row, "path"))) is not None for row in table.rows)


def load(tree: Tree, name: str, seen: Seen, *, most_bytes: int | None = None) -> Table:
    """The file (or its first lines) as rows of text, delimiter and encoding found out. Raises EY-D026 and EY-D027."""
    path = tree.path(name)
    data = tree.read(name, most=most_bytes)
    if most_bytes is not None and len(data) == most_bytes:
        # no byte of a longer character is a line feed, in UTF-8 as in GB18030; UTF-16 is cut between its pairs
        data = data[: data.rfind(b"\n") + 1] if b"\n" in data and data[:1] < b"\xfe" else data
    text, encoding = decode_text(data, path)
    if encoding not in ("utf-8-sig", "utf-16"):
        seen.note(say("table_encoding", path=path.name, encoding=encoding.upper()))
    json_lines = suffix(name) in (".jsonl", ".ndjson")
    table = _load_jsonl(tree, path, text) if json_lines else _load_csv(tree, path, text, seen)
    if not table.rows:
        raise DataError("EY-D027", path=path, line=1, reason=say("table_empty"))
    return table


def _load_jsonl(tree: Tree, path: Path, text: str) -> Table:
    found: list[tuple[int, dict[str, str]]] = []
    columns: dict[str, None] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value: object = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError("EY-D027", path=path, line=number, reason=str(error) or type(error).__name__) from error
        if not isinstance(value, dict):
            raise DataError("EY-D027", path=path, line=number, reason=say("table_not_object"))
        cells = {nfc(str(key)): _cell(inner) for key, inner in cast(dict[object, object], value).items()}
        columns.update(dict.fromkeys(cells))
        found.append((number, cells))
    rows = [Row(number, [cells.get(column, "") for column in columns]) for number, cells in found]
    return Table(tree, path, "JSONL", list(columns), rows)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def _load_csv(tree: Tree, path: Path, text: str, seen: Seen) -> Table:
    delimiter = _delimiter(text, path)
    kind = "TSV" if delimiter == "\t" else "CSV"
    rows: list[Row] = []
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        rows = [Row(reader.line_num, cells) for cells in reader if any(cells)]
    except csv.Error as error:
        raise DataError("EY-D027", path=path, line=reader.line_num, reason=error) from error
    if not rows:
        return Table(tree, path, kind, [], [])
    header = [nfc(cell.strip()) for cell in rows[0].cells]
    if any(is_image(cell) for cell in header):
        header = [f"column {i + 1}" for i in range(len(header))]
        seen.note(say("table_no_header", path=path.name))
    else:
        del rows[0]
    for row in rows:
        if len(row.cells) > len(header) and any(row.cells[len(header) :]):
            reason = say("table_cells", n=len(row.cells), k=len(header))
            raise DataError("EY-D027", path=path, line=row.line, reason=reason)
    return Table(tree, path, kind, header, rows)


def _delimiter(text: str, path: Path) -> str:
    """The delimiter whose first lines have the most known column names, then the same number of cells throughout."""
    head = text[:65536].replace("\r\n", "\n").replace("\r", "\n").split("\n")[:20]
    if len(text) > 65536:
        head = head[:-1] or head
    best, best_score = ("\t" if suffix(path.name) == ".tsv" else ","), (0, 0, 0)
    for delimiter in ("\t", ",", ";", "|"):
        try:
            rows = [row for row in csv.reader(head, delimiter=delimiter, skipinitialspace=True) if row]
        except csv.Error:
            continue
        if not rows:
            continue
        known = sum(_role(cell) is not None for cell in rows[0])
        width = len(rows[0])
        even = sum(len(row) == width for row in rows) if width > 1 else 0
        score = (known if width > 1 else 0, even, width)
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _folded(name: str) -> str:
    return nfc(name).strip().casefold().replace(" ", "_").replace("-", "_")


_ROLE_OF = {name: role for role, names in COLUMNS.items() for name in names}


def _role(column: str) -> str | None:
    return _ROLE_OF.get(_folded(column))


def assign_roles(table: Table, seen: Seen, columns: Mapping[str, str] | None) -> None:
    """Decides which column is the path, the label, and so on. Raises EY-D020 and EY-D021."""
    given = dict(columns or {})
    for role, column in given.items():
        if role not in COLUMNS:
            raise DataError(
                "EY-D021",
                path=table.path,
                name=role,
                allowed=listing(COLUMNS),
                near=_first(nearest(role, list(COLUMNS))),
            )
        if column not in table.columns:
            raise DataError(
                "EY-D021",
                path=table.path,
                name=column,
                allowed=listing(table.columns, most=20),
                near=_first(nearest(column, table.columns)),
            )
    roles: dict[str, str] = given
    folded = {_folded(column): column for column in reversed(table.columns)}
    for role, names in COLUMNS.items():
        if role not in roles:
            hit = next((folded[name] for name in names if name in folded and folded[name] not in roles.values()), None)
            if hit is not None:
                roles[role] = hit
    free = [column for column in table.columns if column not in roles.values()]
    if "path" not in roles:
        with_images = [c for c in free if all(_looks_like_image(table, row, c) for row in table.rows[:20])]
        if with_images:
            roles["path"] = with_images[0]
            free.remove(with_images[0])
    if "path" in roles and "label" not in roles and len(table.columns) == 2 and len(free) == 1:
        roles["label"] = free[0]
    missing = [role for role in ("path", "label") if role not in roles]
    if missing:
        raise DataError(
            "EY-D020",
            path=table.path,
            roles=" + ".join(missing),
            columns=listing(table.columns, most=20),
            allowed="; ".join(listing(COLUMNS[role], most=40) for role in missing),
        )
    table.roles = roles


def _looks_like_image(table: Table, row: Row, column: str) -> bool:
    at = table.columns.index(column)
    return at < len(row.cells) and is_image(row.cells[at].strip())


def _to_samples(table: Table, seen: Seen, whole: Split | None) -> Samples:
    path, roles = table.path, table.roles
    files = Files(table.tree)
    _choose_base(table, files, seen)
    lost: list[tuple[int, str]] = []
    unlabelled: list[int] = []
    found: dict[str, tuple[Row, str, Split]] = {}
    twice = 0
    for row in table.rows:
        raw = table.cell(row, "path")
        name = files.find(_clean(raw))
        label = nfc(table.cell(row, "label"))
        if name is None:
            lost.append((row.line, raw))
            continue
        if not label:
            unlabelled.append(row.line)
            continue
        split = _split(table, row) if whole is None else whole
        before = found.setdefault(name, (row, label, split))
        if before[0] is not row:
            if before[1:] != (label, split):
                got = f"{before[1]} ({before[2].name.lower()}) / {label} ({split.name.lower()})"
                raise DataError("EY-D025", path=path, name=name, line=row.line, other=before[0].line, got=got)
            twice += 1
    if lost:
        first = "; ".join(say("line_of", line=line, name=listing([raw])) for line, raw in lost[:5])
        examples = first + ("; …" if len(lost) > 5 else "")
        hint = _hint(files, lost[0][1])
        raise DataError(
            "EY-D022",
            path=path,
            n=len(lost),
            total=len(table.rows),
            examples=examples,
            base=files.tree.where,
            hint=hint,
        )
    if unlabelled:
        lines = listing([str(n) for n in unlabelled])
        raise DataError("EY-D023", path=path, n=len(unlabelled), lines=lines, column=roles["label"])
    if twice:
        seen.note(say("rows_repeated", n=twice))
    if whole is None and "split" not in roles:
        found = _splits_by_folder(found, seen)
    beyond = sum(name.startswith(("/", "../")) or os.path.isabs(name) for name in found)
    if beyond:
        seen.note(say("table_beyond", n=beyond))
    files.note(seen)
    names = sorted(found, key=natural_path)
    groups = weights = None
    if "group" in roles:
        groups = np.fromiter((group_number(table.cell(found[n][0], "group")) for n in names), np.int64, len(names))
    if "weight" in roles:
        weights = np.fromiter((_weight(table, found[n][0]) for n in names), np.float32, len(names))
    labels = numbers_to_names([found[n][1] for n in names], table.tree, seen)
    classes = class_list(set(labels), table.tree, seen)
    number = {name: i for i, name in enumerate(classes)}
    columns = ", ".join(f"{role}: {column}" for role, column in roles.items())
    return Samples(
        source=table.tree.source(names),
        classes=classes,
        labels=np.fromiter((number[label] for label in labels), np.int32, len(names)),
        splits=np.fromiter((found[n][2] for n in names), np.uint8, len(names)),
        layout=say("layout_table", kind=table.kind, name=path.name, columns=columns),
        root=table.tree.where,
        groups=groups,
        weights=weights,
    )


_Rows = dict[str, tuple[Row, str, Split]]


def _splits_by_folder(found: _Rows, seen: Seen) -> _Rows:
    """The same rows in the split whose name their first folder has, if all have one and one of them is train."""
    folders = {name.partition("/")[0] if "/" in name else "" for name in found}
    splits = {folder: split_of(folder) for folder in folders}
    if None in splits.values() or Split.TRAIN not in splits.values() or len(splits) < 2:
        return found
    seen.note(say("splits_from_folders", folders=listing(sorted(folders))))
    return {name: (row, label, splits[name.partition("/")[0]] or Split.NONE) for name, (row, label, _) in found.items()}


def _split(table: Table, row: Row) -> Split:
    cell = table.cell(row, "split")
    if not cell:
        return Split.NONE
    split = split_of(cell)
    if split is None:
        column = table.roles["split"]
        raise DataError("EY-D024", path=table.path, line=row.line, got=cell, allowed=split_names(), column=column)
    return split


def group_number(name: str) -> int:
    """A number for the name of a group, the same in every table and on every machine; -1 for "in no group"."""
    name = nfc(name.strip())
    if not name:
        return -1
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little") >> 1


def _weight(table: Table, row: Row) -> float:
    cell = table.cell(row, "weight")
    if not cell:
        return 1.0
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise DataError("EY-D029", path=table.path, line=row.line, got=cell, column=table.roles["weight"])
    return value


def numbers_to_names(labels: list[str], tree: Tree, seen: Seen, *, file: str = CLASS_FILE) -> list[str]:
    """Labels 0..n-1 become the names in `classes.txt` when there is one and it holds no such numbers."""
    listed = read_classes(tree, file)
    if not listed or set(labels) & set(listed):
        return labels
    if not all(
        label.isascii() and label.isdigit() and int(label[:9]) < len(listed) and len(label) < 9 for label in set(labels)
    ):
        return labels
    seen.note(say("numbers_are_classes", path=file))
    return [listed[int(label)] for label in labels]


# ---- finding the files -----------------------------------------------------------------------------------------------


def _clean(cell: str) -> str:
    """A path as a POSIX path without `./` and doubled slashes."""
    return posixpath.normpath(cell.strip()) if cell.strip() else ""


@final
class Files:
    """Looks names up in listings of their folders; small differences of spelling are bridged and counted."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.prefix = ""
        self._listed: dict[str, set[str]] = {}
        self._loose: dict[str, dict[str, str | None]] = {}
        self._bare: dict[str, dict[str, str | None]] = {}
        self.counts: dict[str, int] = {}

    def find(self, name: str) -> str | None:
        """The name of the file as it is on disk, relative to the tree (absolute when it was given so), or None."""
        if not name or "\0" in name or not is_text(name):
            return None
        if self.prefix and not posixpath.isabs(name):
            name = posixpath.normpath(f"{self.prefix}/{name}")
        hit = self._find(name)
        if hit is None and "\\" in name:
            hit = self._find(posixpath.normpath(name.replace("\\", "/")))
            self._count("backslashes", hit)
        return hit

    def _find(self, name: str) -> str | None:
        folder, _, last = name.rpartition("/")
        if name.startswith("/") and not folder:
            folder = "/"
        listed = self._list(folder)
        if last in listed:
            return name
        hit = self._similar(self._loose, folder, last, lambda n: nfc(n).casefold())
        if hit is not None:
            self._count("spelling", hit)
        elif suffix(last) not in IMAGE_SUFFIXES:
            hit = self._similar(self._bare, folder, last, lambda n: nfc(n.rpartition(".")[0]) if is_image(n) else "")
            self._count("no_suffix", hit)
        return None if hit is None else posixpath.join(folder, hit)

    def _similar(
        self, tables: dict[str, dict[str, str | None]], folder: str, last: str, key: Callable[[str], str]
    ) -> str | None:
        """The only name in `folder` with the same key."""
        if folder not in tables:
            table: dict[str, str | None] = {}
            for name in self._list(folder):
                table[key(name)] = None if key(name) in table else name
            tables[folder] = table
        wanted = nfc(last).casefold() if tables is self._loose else nfc(last)
        return tables[folder].get(wanted) if wanted else None

    def _list(self, folder: str) -> set[str]:
        """Names of the regular files in `folder`; links that lead out of the table's folder are left out."""
        if folder not in self._listed:
            self._listed[folder], outside = self.tree.named(folder)
            if outside:
                self.counts["outside"] = self.counts.get("outside", 0) + outside
        return self._listed[folder]

    def _count(self, what: str, hit: str | None) -> None:
        if hit is not None:
            self.counts[what] = self.counts.get(what, 0) + 1

    def note(self, seen: Seen) -> None:
        """Says what had to be bridged."""
        for what, n in sorted(self.counts.items()):
            seen.note(say(f"table_{what}", n=n))

    def near(self, name: str) -> list[str]:
        """Files with a similar name in the folder that was meant."""
        folder, _, last = _clean(name).rpartition("/")
        return [posixpath.join(folder, hit) for hit in nearest(last, sorted(self._list(folder))[:5000], n=2)]


def _choose_base(table: Table, files: Files, seen: Seen) -> None:
    """Paths are relative to the table's folder; when none of the first leads anywhere, to the one in it that fits."""
    first = [_clean(table.cell(row, "path")) for row in table.rows[:20]]
    if not any(files.find(name) is not None for name in first):
        try:
            folders = files.tree.listing().folders
        except OSError:
            folders = []
        fitting: dict[str, int] = {}
        for folder in folders[:200]:
            files.prefix = folder
            fitting[folder] = sum(files.find(name) is not None for name in first)
        files.prefix = max(fitting, key=lambda folder: fitting[folder], default="")
        if not fitting.get(files.prefix):
            files.prefix = ""
        else:
            seen.note(say("table_base", folder=files.prefix))
    files.counts.clear()  # what was bridged while trying says nothing


def _hint(files: Files, lost: str) -> str:
    near = files.near(lost)
    return say("table_near", names=listing(near)) if near else say("table_relative", base=files.tree.where)


def _first(names: list[str]) -> str:
    return names[0] if names else "-"
