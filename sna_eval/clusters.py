"""Items that go together: those that share their answer, or what a field says.

An intervention that makes the answer 7 likelier does so in every sum that comes to 7, so such items
are no independent observations of it. Where every item has the same choices (two sentiments, four
letters) an answer says nothing of the kind, and every item stands for itself.

Items that share a label are a cluster. Clusters have numbers, and parts that share none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sna_eval.errors import InputError

Ints = NDArray[np.int64]
KEY = "cluster"
"""In a plan's task, and in the `metadata` of a task's YAML: the document's field that says it."""


def normalized_answer(text: str) -> str:
    """An answer as answers are compared: without spaces around, case and ways of encoding."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def cluster_labels(answers: Sequence[str], choices: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """A label for each item; items that share it go together.

    **Arguments:**

    - `answers`: the right answer of each item, as text.
    - `choices`: what each item may be answered with; one for an item without choices.
    """
    offered = {tuple(sorted(map(normalized_answer, of_doc))) for of_doc in choices}
    if len(offered) == 1 and len(offered.pop()) > 1:
        return tuple(f"item {number}" for number in range(len(answers)))
    return tuple(map(normalized_answer, answers))


def field_labels(docs: Sequence[Any], field: str, task: str) -> tuple[str, ...]:
    """The label of each document, as a field of it says.

    **Raises:** `InputError` for a field that a document does not have.
    """
    for number, doc in enumerate(docs):
        if not isinstance(doc, Mapping) or field not in doc:
            known = ", ".join(map(str, doc)) if isinstance(doc, Mapping) else "none"
            raise InputError(
                f"{task}.{KEY}", expected=f"a field of its documents ({known})", got=field,
                hint=f"document {number} has none of that name",
            )  # fmt: skip
    return tuple(normalized_answer(str(doc[field])) for doc in docs)


def metadata_field(metadata: Any) -> str | None:
    """The field that a task's `metadata` names."""
    named = metadata.get(KEY) if isinstance(metadata, Mapping) else None
    return None if named is None else str(named)


def cluster_codes(labels: Sequence[Hashable]) -> Ints:
    """Numbers of clusters, `[item]`, from 0 in the order in which their labels come."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)


def fold_numbers(clusters: ArrayLike, folds: int, *, seed: int = 0) -> Ints:
    """Parts of about equally many items, `[item]` from 0, that share no cluster.

    Clusters in random order, the largest first, each into the part that is smallest so far.
    """
    codes = np.unique(np.asarray(clusters), return_inverse=True)[1]
    sizes = np.bincount(codes)
    mixed = np.random.default_rng(seed).permutation(len(sizes))
    filled, fold_of = np.zeros(folds, dtype=np.int64), np.zeros(len(sizes), dtype=np.int64)
    for cluster in mixed[np.argsort(-sizes[mixed], kind="stable")]:
        fold_of[cluster] = smallest = int(filled.argmin())
        filled[smallest] += sizes[cluster]
    return fold_of[codes]
