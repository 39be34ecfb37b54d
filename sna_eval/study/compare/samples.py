"""Per-item scores from the `samples_*.jsonl` that `--log_samples` writes."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lm_eval.utils import handle_non_serializable, hash_string

from sna_eval.errors import InputError
from sna_eval.study.compare.records import Items, ItemsByFilter


def read_items(path: Path) -> ItemsByFilter:
    """All items of a sample file, by filter."""
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for sample in _lines(path):
        groups[str(sample.get("filter", "none"))].append(sample)
    return {name: _items(samples) for name, samples in groups.items()}


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                sample = json.loads(line)
            except ValueError as error:
                raise InputError(
                    f"{path}:{number}", expected="a sample in JSON", got=line.strip()
                ) from error
            if not isinstance(sample, dict) or "doc" not in sample:
                raise InputError(f"{path}:{number}", expected="a sample of lm_eval's", got=sample)
            yield sample


def _items(samples: list[Mapping[str, Any]]) -> Items:
    seen: Counter[str] = Counter()
    keys = []
    for sample in samples:
        document = _document_hash(sample)
        keys.append((document, seen[document]))
        seen[document] += 1
    metrics = dict.fromkeys(name for sample in samples for name in sample.get("metrics", ()))
    return Items(
        keys=tuple(keys),
        prompts=tuple(_prompt_hash(sample) for sample in samples),
        targets=tuple(
            sample.get("target_hash") or hash_string(str(sample.get("target")))
            for sample in samples
        ),
        values={name: tuple(sample.get(name) for sample in samples) for name in metrics},
        choices=tuple(_choices(sample) for sample in samples),
    )


def _document_hash(sample: Mapping[str, Any]) -> str:
    """lm_eval's own hash; releases before 0.4.3 wrote none, so it is computed as they later did."""
    written = sample.get("doc_hash")
    if isinstance(written, str):
        return written
    text = json.dumps(sample["doc"], indent=2, default=handle_non_serializable, ensure_ascii=False)
    return str(hash_string(text))


def _prompt_hash(sample: Mapping[str, Any]) -> str:
    written = sample.get("prompt_hash")
    if isinstance(written, str):
        return written
    contexts = _contexts(sample)
    return str(hash_string(contexts[0] if contexts else ""))


def _contexts(sample: Mapping[str, Any]) -> list[str]:
    """The context of every request: a list of lists in older files, a mapping in today's."""
    arguments = sample.get("arguments", [])
    if isinstance(arguments, Mapping):
        return [str(request.get("arg_0", "")) for request in arguments.values()]
    return [str(request[0]) for request in arguments]


def _choices(sample: Mapping[str, Any]) -> tuple[float, ...]:
    """Log-likelihoods, without those that mutual information asks for without a context."""
    answers = sample.get("filtered_resps", [])
    try:
        values = [float(value) for value, _ in answers]
    except (TypeError, ValueError):
        return ()
    contexts = _contexts(sample)
    if len(contexts) == len(values) and any(contexts):
        values = [value for value, context in zip(values, contexts, strict=True) if context]
    return tuple(values)
