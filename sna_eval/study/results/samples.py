"""Items from the `samples_*.jsonl` that `--log_samples` writes.

An item is a document under one filter: a task with several filters writes a line for each.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval.utils import handle_non_serializable, hash_string

from sna_eval.clusters import normalized_answer
from sna_eval.errors import InputError, reading
from sna_eval.files import read_lines
from sna_eval.gating import Zone
from sna_eval.study.results.gold import gold_choice
from sna_eval.study.results.records import BASELINE, Items, ItemsByFilter, is_outcome
from sna_eval.typed import Json

_MOST_SCORES = 20_000_000
"""Samples times metrics, whether they have a value or not, and choices: what memory goes with."""
_NO_NUMBER = "no number"
_LARGEST_WHOLE = 2**1000
_ANSWERS = ("resps", "filtered_resps")
_ZONES: Mapping[Any, Zone] = {1: 1, 2: 2, 3: 3}


@dataclass(frozen=True, eq=False)
class Sample:
    """One line of a sample file; its parts are read when they are asked for."""

    raw: Json
    """As lm_eval wrote it."""
    place: str
    """File and line, for messages."""

    @property
    def filter(self) -> str:
        return str(self.raw.get("filter", "none"))

    @property
    def document(self) -> str:
        """Hash of the document."""
        return str(self.raw.get("doc_hash") or _document_hash(self.raw["doc"]))

    @property
    def prompt(self) -> str:
        """Hash of the prompt."""
        contexts = self.contexts
        return str(self.raw.get("prompt_hash") or hash_string(contexts[0] if contexts else ""))

    @property
    def target(self) -> str:
        """Hash of the target."""
        return str(self.raw.get("target_hash") or hash_string(str(self.raw["target"])))

    @property
    def scores(self) -> dict[str, Any]:
        """What each metric says of it: a number, a pair of them, or that it is something else."""
        names = self.raw.get("metrics", ())
        return {str(name): _score(self.raw.get(name)) for name in names}

    @property
    def requests(self) -> list[Sequence[Any]]:
        """The arguments of its requests: a list of lists in older files, a mapping in today's."""
        given = self.raw.get("arguments", ())
        if isinstance(given, Mapping):
            return [
                [arguments.get(f"arg_{n}", "") for n in range(len(arguments))]
                for arguments in given.values()
            ]
        return list(given)

    @property
    def contexts(self) -> list[str]:
        """The context of every request."""
        return [str(request[0]) if len(request) else "" for request in self.requests]

    @property
    def choices(self) -> tuple[float, ...]:
        """Log-likelihoods of its choices; empty where the answer was generated."""
        return self._likelihoods("filtered_resps")

    @property
    def baseline_choices(self) -> tuple[float, ...]:
        """The same by the unmodified model, where an `sna` run wrote them."""
        return self._likelihoods("baseline_filtered_resps")

    @property
    def conditional(self) -> list[Sequence[Any]]:
        """The arguments of its requests, but for those that ask again without a context."""
        requests = self.requests
        told = "acc_mutual_info" in self.raw
        return requests[: len(requests) - _unconditional(requests, told=told)]

    def _likelihoods(self, key: str) -> tuple[float, ...]:
        found = _choices(self.raw.get(key) or ())
        return found[: len(self.conditional)] if self.requests else found

    @property
    def continuations(self) -> list[str]:
        """What its choices are in words, without those asked for without a context."""
        return [str(request[1]) if len(request) > 1 else "" for request in self.conditional]

    @property
    def gold(self) -> int | None:
        """Number of its right choice; `None` where there is nothing to choose."""
        return gold_choice(self.raw.get("target"), self.continuations)

    def cluster(self, field: str | None) -> tuple[str, tuple[str, ...]]:
        """Its answer, or what a field of its document says, and what it may be answered with."""
        doc = self.raw.get("doc")
        if field is not None and isinstance(doc, Mapping) and field in doc:
            return normalized_answer(str(doc[field])), ()
        offered, gold = self.continuations, self.gold
        if gold is not None:
            answer = offered[gold]
        elif len(offered) > 1:  # none of its choices, so its answer is not known
            answer = f"item {self.document}"
        else:
            answer = str(self.raw.get("target"))
        return normalized_answer(answer), tuple(offered)

    @property
    def zone(self) -> Zone | None:
        """As it was written; `None` where there is none."""
        written = self.raw.get("zone")
        return _ZONES.get(written) if isinstance(written, (int, float)) else None

    @property
    def amplified(self) -> bool:
        """Whether its gate opened."""
        return self.raw.get("decision") in (True, 1.0)

    @property
    def oracle(self) -> bool:
        """Whether the direction followed the right answer; older files say no."""
        return self.raw.get("oracle") in (True, 1.0)

    def both(self, metric: str) -> tuple[float, float]:
        """A metric's value for the unmodified and for the amplified model.

        **Raises:** `InputError` where one of them is no number.
        """
        with reading(self.place, expected=f"scores and a zone for {metric}", got=self.raw):
            return float(self.raw[BASELINE + metric]), float(self.raw[metric])

    def paired_metrics(self) -> list[str]:
        """Outcomes that it has of both models, in the order of the file."""
        return [
            name
            for name in self.raw
            if is_outcome(name) and name not in _ANSWERS and BASELINE + name in self.raw
        ]


def read_samples(path: Path) -> Iterator[Sample]:
    """The samples of one file, in its order.

    **Raises:** `InputError` for a line that is no sample.
    """
    for number, line in read_lines(path):
        place = f"{path}:{number}"
        shown = line[:200].decode("utf-8", "replace").strip()
        with reading(place, expected="a sample in JSON", got=shown):
            raw = json.loads(line)
            if not isinstance(raw, dict):
                raise TypeError("no mapping")
        yield Sample(raw, place)


def read_items(path: Path, cluster: str | None = None) -> ItemsByFilter:
    """All items of a sample file, by filter, without their texts.

    **Arguments:**

    - `cluster`: field of the documents that says which items go together; `None`: those that share
        their answer.
    """
    groups: dict[str, list[_KeptSample]] = defaultdict(list)
    metrics: set[str] = set()
    choices = 0
    for number, sample in enumerate(read_samples(path), 1):
        with reading(sample.place, expected="a sample of lm_eval's", got=sample.raw):
            kept = _kept(sample, cluster)
        groups[sample.filter].append(kept)
        metrics.update(kept.scores)
        choices += len(kept.choices) + len(kept.baseline_choices)
        if len(metrics) * number + choices > _MOST_SCORES:
            raise InputError(
                sample.place, expected=f"at most {_MOST_SCORES:,} scores in a file",
                got=f"{len(metrics):,} metrics and {choices:,} choices",
            )  # fmt: skip
    return {name: _items(samples) for name, samples in groups.items()}


@dataclass(frozen=True, slots=True)
class _KeptSample:
    """What is kept of one line: its texts would fill the memory."""

    document: str
    prompt: str
    target: str
    scores: Json
    choices: tuple[float, ...]
    baseline_choices: tuple[float, ...]
    zone: Zone | None
    cluster: str
    offered: str
    """Hash of what it may be answered with; empty where that is one thing."""
    gold: int | None


def _kept(sample: Sample, field: str | None) -> _KeptSample:
    label, offered = sample.cluster(field)
    return _KeptSample(
        sample.document,
        sample.prompt,
        sample.target,
        sample.scores,
        sample.choices,
        sample.baseline_choices,
        sample.zone,
        hash_string(label),
        hash_string("\n".join(sorted(map(normalized_answer, offered)))) if offered[1:] else "",
        sample.gold,
    )


def _items(samples: Sequence[_KeptSample]) -> Items:
    seen: Counter[str] = Counter()
    keys = []
    for sample in samples:
        keys.append((sample.document, seen[sample.document]))
        seen[sample.document] += 1
    metrics = dict.fromkeys(name for sample in samples for name in sample.scores)
    zones = tuple(sample.zone for sample in samples)
    return Items(
        keys=tuple(keys),
        prompts=tuple(sample.prompt for sample in samples),
        targets=tuple(sample.target for sample in samples),
        values={name: tuple(sample.scores.get(name) for sample in samples) for name in metrics},
        choices=tuple(sample.choices for sample in samples),
        baseline_choices=tuple(sample.baseline_choices for sample in samples),
        zones=zones if any(zones) else None,
        clusters=() if _same_choices(samples) else tuple(sample.cluster for sample in samples),
        gold=tuple(sample.gold for sample in samples),
    )


def _same_choices(samples: Sequence[_KeptSample]) -> bool:
    """Whether every item may be answered with the same words: then an answer is no cluster."""
    offered = {sample.offered for sample in samples}
    return len(offered) == 1 and offered != {""}


def _score(value: Any) -> Any:
    """A number or a pair of them as it stands; of anything else only that it is something else."""
    parts = value if isinstance(value, list) and len(value) <= 2 else [value]
    return value if all(map(_is_number, parts)) else _NO_NUMBER


def _is_number(value: Any) -> bool:
    """Whether a float can hold it; `None` stands for no score."""
    if isinstance(value, int):
        return abs(value) < _LARGEST_WHOLE
    return value is None or isinstance(value, float)


def _document_hash(document: Any) -> str:
    """As lm_eval hashes documents; releases before 0.4.3 did not write the hash.

    Piece by piece: with an indent, a deeply nested document has many times the size of its line.
    """
    encoder = json.JSONEncoder(indent=2, default=handle_non_serializable, ensure_ascii=False)
    found = hashlib.sha256()
    for piece in encoder.iterencode(document):
        found.update(piece.encode())
    return found.hexdigest()


def _unconditional(requests: Sequence[Sequence[Any]], *, told: bool) -> int:
    """How many of a document's requests, the last ones, ask for a choice without its context.

    lm_eval asks so for mutual information, behind all others, one for each choice; a choice may
    have an empty context too. A task's own code may report no mutual information all the same: then
    it shows in the second half, which repeats the choices of the first.

    **Arguments:**

    - `told`: whether mutual information is reported.
    """
    half, odd = divmod(len(requests), 2)
    pairs = [(str(request[0]), str(request[1])) for request in requests if len(request) > 1]
    first, second = pairs[:half], pairs[half:]
    if odd or len(pairs) != len(requests) or any(context for context, _ in second):
        return 0
    if told:
        return half
    choices = [choice for _, choice in second]
    behind = choices == [choice for _, choice in first] and (
        len(set(choices)) == half or any(context for context, _ in first)
    )
    in_front = all(
        context.endswith(choice.strip())
        for (context, _), choice in zip(first, choices, strict=True)
    )
    return half if len(set(choices)) > 1 and (behind or in_front) else 0


def _choices(answers: Any) -> tuple[float, ...]:
    """Log-likelihoods; none of texts, and of what is scored as a whole."""
    try:
        if any(isinstance(answer, str) for answer in answers):
            return ()  # a generated text of two characters would pass for a pair
        return tuple(float(value) for value, _ in answers)
    except (TypeError, ValueError):
        return ()  # generated texts in lists, or rolling log-likelihoods
