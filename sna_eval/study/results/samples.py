"""Per-item scores from the `samples_*.jsonl` that `--log_samples` writes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval.utils import handle_non_serializable, hash_string

from sna_eval.bounded import read_lines
from sna_eval.errors import InputError, reading
from sna_eval.study.results.records import Items, ItemsByFilter

_MOST_SCORES = 20_000_000
"""Samples times metrics, whether they have a value or not, and choices: what memory goes with."""
_NO_NUMBER = "no number"
_LARGEST_WHOLE = 2**1000


@dataclass(frozen=True, slots=True)
class _Sample:
    """What is kept of one line."""

    filter: str
    document: str
    prompt: str
    target: str
    scores: Mapping[str, Any]
    choices: tuple[float, ...]


def read_items(path: Path) -> ItemsByFilter:
    """All items of a sample file, by filter."""
    groups: dict[str, list[_Sample]] = defaultdict(list)
    metrics: set[str] = set()
    choices = 0
    for number, sample in enumerate(_samples(path), 1):
        groups[sample.filter].append(sample)
        metrics.update(sample.scores)
        choices += len(sample.choices)
        if len(metrics) * number + choices > _MOST_SCORES:
            raise InputError(
                f"{path}:{number}", expected=f"at most {_MOST_SCORES:,} scores in a file",
                got=f"{len(metrics):,} metrics and {choices:,} choices",
            )  # fmt: skip
    return {name: _items(samples) for name, samples in groups.items()}


def _samples(path: Path) -> Iterator[_Sample]:
    for number, line in read_lines(path):
        shown = line[:200].decode("utf-8", "replace").strip()
        with reading(f"{path}:{number}", expected="a sample in JSON", got=shown):
            raw = json.loads(line)
        with reading(f"{path}:{number}", expected="a sample of lm_eval's", got=raw):
            sample = _sample(raw)
        yield sample


def _sample(raw: Mapping[str, Any]) -> _Sample:
    contexts = _contexts(raw.get("arguments", ()))
    return _Sample(
        filter=str(raw.get("filter", "none")),
        document=str(raw.get("doc_hash") or _document_hash(raw["doc"])),
        prompt=str(raw.get("prompt_hash") or hash_string(contexts[0] if contexts else "")),
        target=str(raw.get("target_hash") or hash_string(str(raw["target"]))),
        scores={str(name): _score(raw.get(name)) for name in raw.get("metrics", ())},
        choices=_choices(raw.get("filtered_resps", ()), contexts, mutual="acc_mutual_info" in raw),
    )


def _score(value: Any) -> Any:
    """A number or a pair of them as it stands; of anything else only that it is something else."""
    parts = value if isinstance(value, list) and len(value) <= 2 else [value]
    return value if all(map(_is_number, parts)) else _NO_NUMBER


def _is_number(value: Any) -> bool:
    """Whether a float can hold it; `None` stands for no score."""
    if isinstance(value, int):
        return abs(value) < _LARGEST_WHOLE
    return value is None or isinstance(value, float)


def _items(samples: Sequence[_Sample]) -> Items:
    seen: Counter[str] = Counter()
    keys = []
    for sample in samples:
        keys.append((sample.document, seen[sample.document]))
        seen[sample.document] += 1
    metrics = dict.fromkeys(name for sample in samples for name in sample.scores)
    return Items(
        keys=tuple(keys),
        prompts=tuple(sample.prompt for sample in samples),
        targets=tuple(sample.target for sample in samples),
        values={name: tuple(sample.scores.get(name) for sample in samples) for name in metrics},
        choices=tuple(sample.choices for sample in samples),
    )


def _document_hash(document: Any) -> str:
    """As lm_eval hashes documents; releases before 0.4.3 did not write the hash.

    Piece by piece: with an indent, a deeply nested document has many times the size of its line.
    """
    encoder = json.JSONEncoder(indent=2, default=handle_non_serializable, ensure_ascii=False)
    found = hashlib.sha256()
    for piece in encoder.iterencode(document):
        found.update(piece.encode())
    return found.hexdigest()


def _contexts(arguments: Any) -> list[str]:
    """The context of every request: a list of lists in older files, a mapping in today's."""
    if isinstance(arguments, Mapping):
        return [str(request.get("arg_0", "")) for request in arguments.values()]
    return [str(request[0]) for request in arguments]


def _choices(answers: Any, contexts: Sequence[str], *, mutual: bool) -> tuple[float, ...]:
    """Log-likelihoods, without those that mutual information asks for without a context.

    lm_eval asks for them behind all others, one for each; a choice may have an empty context too.
    """
    try:
        if any(isinstance(answer, str) for answer in answers):
            return ()  # a generated text of two characters would pass for a pair
        values = [float(value) for value, _ in answers]
    except (TypeError, ValueError):
        return ()  # generated texts in lists, or rolling log-likelihoods
    half = len(values) // 2
    if mutual and not any(contexts[half:]):
        values = values[: len(values) - half]
    return tuple(values)
