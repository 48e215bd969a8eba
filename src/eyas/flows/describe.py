"""What there is to say of prepared images: the `data` part of `run.json`, with the findings of `eyas check`."""

from __future__ import annotations

from typing import Any

import numpy as np

from eyas.data import audit, split
from eyas.data.samples import Split
from eyas.flows.prepare import Prepared


def describe(prepared: Prepared) -> dict[str, Any]:
    """The `data` part of `run.json`."""
    samples = prepared.samples
    splits: dict[str, Any] = {}
    for wanted in (Split.TRAIN, Split.VAL, Split.TEST, Split.HOLDOUT):
        rows = samples.rows(wanted)
        if len(rows):
            splits[wanted.name.lower()] = {"n": len(rows), "per_class": [int(c) for c in samples.counts(rows)]}
    return {
        "layout": samples.layout,
        "root": str(samples.root) if samples.root else None,
        "n": len(samples),
        "classes": list(samples.classes),
        "splits": splits,
        "findings": audit.to_list(findings(prepared), samples),
        "split": prepared.report.how,
        "split_version": split.SPLIT_VERSION,
        "notes": list(samples.notes),
        "pack": {
            "address": prepared.train.address,
            "bytes": prepared.train.bytes,
            "built": prepared.train.built,
            "seconds": prepared.train.seconds,
            "streamed": prepared.streamed,
        },
    }


def findings(prepared: Prepared) -> list[audit.Finding]:
    """What `eyas check` would say of these images and this split, from what is known already."""
    samples = prepared.samples
    packs = {id(pack): pack for pack in (*prepared.scored.values(), prepared.train)}
    found = audit.audit(samples, audit.of_packs(samples, list(packs.values())), splits=samples.splits)
    for leak in prepared.report.near_leaks:
        later, earlier = zip(*leak.examples, strict=True)
        said = audit.across(samples, leak.earlier, leak.later, "~", earlier)
        more = leak.count - len(later)
        found.append(audit.Finding("L04", np.array(later, np.int64), said, more=more, others=earlier))
    return audit.merged(found)
