"""Which items of a sweep go together, as its manifest keeps it: numbers in the order of items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sna_eval.clusters import Ints
from sna_eval.errors import InputError, reading
from sna_eval.study.statistics import cluster_codes


def written_clusters(labels: Sequence[str]) -> str:
    """Numbers with spaces between them; empty where every item stands for itself."""
    codes = cluster_codes(labels)
    return "" if len(set(codes.tolist())) == len(codes) else " ".join(map(str, codes))


def stored_clusters(manifest: Mapping[str, Any], task: str, items: int) -> Ints:
    """The cluster of each of a task's items, from 0; in stores of before, each its own.

    **Raises:** `InputError` where the manifest has not one for each of so many items.
    """
    written = manifest["tasks"][task].get("clusters", "")
    field = f"manifest.tasks.{task}.clusters"
    with reading(field, expected="whole numbers", got=written):
        codes = [int(own) for own in written.split()]
    if not codes:
        return np.arange(items)
    if len(codes) != items:
        raise InputError(field, expected=f"one for each of {items} items", got=len(codes))
    return cluster_codes(codes)
