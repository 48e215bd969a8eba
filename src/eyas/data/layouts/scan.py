"""The images below a folder, found once, in natural order, with an account of everything that was left out.

Only names are read: no file is opened and, where the system tells the kind of an entry with its name, none is even
looked at (1.2 million files: seconds). Links are followed inside the folder and never out of it; every real folder is
read at most once, so loops end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from eyas.data.layouts.names import IMAGE_SUFFIXES, is_hidden, is_text, listing, natural, suffix
from eyas.errors.messages import one_line, say


@final
@dataclass
class Seen:
    """What was left out and why: counts and the first names, turned into sentences at the end."""

    counts: dict[str, int] = field(default_factory=lambda: {})
    examples: dict[str, list[str]] = field(default_factory=lambda: {})
    sentences: list[str] = field(default_factory=lambda: [])
    unlabelled: list[str] = field(default_factory=lambda: [])
    """Images without a label."""

    def leave_out(self, why: str, name: str) -> None:
        """Counts one entry; `why` is a phrase `left_out_<why>`."""
        self.counts[why] = self.counts.get(why, 0) + 1
        first = self.examples.setdefault(why, [])
        if len(first) < 3:
            first.append(name)
        elif name < max(first):  # the same examples whatever the order in which a folder lists its files
            first[first.index(max(first))] = name

    def note(self, sentence: str) -> None:
        """Adds a finished sentence, once."""
        if sentence not in self.sentences:
            self.sentences.append(sentence)

    def account(self) -> tuple[tuple[str, int, tuple[str, ...]], ...]:
        """(why, how many, the first names) of what was left out."""
        return tuple(
            (why, self.counts[why], tuple(sorted(self.examples[why], key=natural))) for why in sorted(self.counts)
        )

    def notes(self) -> tuple[str, ...]:
        """All sentences, in a fixed order."""
        left_out = [
            say(
                f"left_out_{why}", n=self.counts[why], examples=listing(sorted(self.examples[why], key=natural), most=3)
            )
            for why in sorted(self.counts)
        ]
        return tuple(map(one_line, (*self.sentences, *left_out)))


@final
@dataclass
class Folder:
    """One folder: `name` relative to the root (empty for the root), its images and folders in natural order."""

    name: str
    images: list[str] = field(default_factory=lambda: [])
    folders: list[Folder] = field(default_factory=lambda: [])

    @property
    def last(self) -> str:
        """The folder's own name."""
        return self.name.rpartition("/")[2]

    def walk(self) -> Iterator[str]:
        """Names of all images below, relative to the root, in natural order of the whole path."""
        pending: list[str | Folder] = [self]
        while pending:
            entry = pending.pop()
            if isinstance(entry, str):
                yield entry
                continue
            prefix = f"{entry.name}/" if entry.name else ""
            if not entry.folders:  # the usual case, already in order
                for image in entry.images:
                    yield prefix + image
                continue
            inside: list[tuple[str, str | Folder]] = [(natural(image), prefix + image) for image in entry.images]
            inside += [(natural(folder.last), folder) for folder in entry.folders]
            inside.sort(key=lambda pair: pair[0], reverse=True)
            pending += [found for _, found in inside]

    def any(self) -> bool:
        """Whether there is at least one image below."""
        return next(self.walk(), None) is not None


def scan(root: Path, seen: Seen, *, exclude: frozenset[str] = frozenset()) -> Folder:
    """The tree of images below `root`, which must be readable; `exclude` are real paths to stay out of."""
    os.scandir(root).close()  # a folder below may be unreadable, the root may not
    top = Folder("")
    real_root = os.path.realpath(root)
    visited = {real_root}
    pending: list[tuple[Folder, str, str]] = [(top, str(root), real_root)]
    links: list[tuple[Folder, str, str]] = []
    while pending or links:
        if not pending:  # linked folders last: a folder is known by its real name if it has one here
            links.sort(key=lambda link: link[1])
            parent, path, name = links.pop(0)
            target = os.path.realpath(path)
            if target in visited:
                seen.leave_out("loop", name)
                continue
            visited.add(target)
            folder = Folder(name)
            parent.folders.append(folder)
            pending.append((folder, path, target))
            continue
        folder, path, real = pending.pop()
        try:
            entries = list(os.scandir(path))
        except OSError:
            seen.leave_out("unreadable", folder.name)
            continue
        prefix = f"{folder.name}/" if folder.name else ""
        for entry in entries:
            name = entry.name
            if is_hidden(name):
                seen.leave_out("hidden", prefix + name)
            elif not is_text(name):
                seen.leave_out("encoding", prefix + name.encode("utf-8", "replace").decode())
            elif entry.is_symlink():
                _follow(entry, folder, prefix, real_root, seen, links, exclude)
            elif entry.is_dir() and _is_ours(entry.path, name):
                seen.leave_out("run", prefix + name)
            elif entry.is_dir():
                inside = os.path.join(real, name)
                if inside not in exclude and inside not in visited:
                    visited.add(inside)
                    child = Folder(prefix + name)
                    folder.folders.append(child)
                    pending.append((child, entry.path, inside))
            elif not entry.is_file():
                seen.leave_out("special", prefix + name)
            elif suffix(name) in IMAGE_SUFFIXES:
                if not exclude or os.path.join(real, name) not in exclude:
                    folder.images.append(name)
            else:
                seen.leave_out("not_image", prefix + name)
    sort_tree(top)
    return top


def _is_ours(path: str, name: str) -> bool:
    """Whether a folder is a run of eyas, or `runs/` itself: who trains inside the photo folder finds them there."""
    run = os.path.isfile(os.path.join(path, "run.json")) and os.path.isdir(os.path.join(path, "checkpoints"))
    return run or (name == "runs" and os.path.isfile(os.path.join(path, "latest")))


def _follow(
    entry: os.DirEntry[str],
    folder: Folder,
    prefix: str,
    real_root: str,
    seen: Seen,
    links: list[tuple[Folder, str, str]],
    exclude: frozenset[str],
) -> None:
    """Takes a link that stays below the root and counts one that does not."""
    name = prefix + entry.name
    target = os.path.realpath(entry.path)
    if not is_below(target, real_root):
        seen.leave_out("outside", name)
    elif target in exclude:
        return
    elif os.path.isdir(target):
        links.append((folder, entry.path, name))
    elif not os.path.isfile(target):
        seen.leave_out("broken_link", name)
    elif suffix(entry.name) in IMAGE_SUFFIXES:
        folder.images.append(entry.name)
    else:
        seen.leave_out("not_image", name)


def is_below(real: str, real_root: str) -> bool:
    """Whether the real path `real` is `real_root` or below it."""
    return real == real_root or real.startswith(real_root.rstrip(os.sep) + os.sep)


def sort_tree(top: Folder) -> None:
    """Puts images and folders into natural order, in place."""
    pending = [top]
    while pending:
        folder = pending.pop()
        folder.images.sort(key=natural)
        folder.folders.sort(key=lambda f: natural(f.last))
        pending += folder.folders
