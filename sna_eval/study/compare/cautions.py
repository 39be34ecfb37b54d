"""What does not forbid a comparison but may move scores a little.

Batch size, dtype, device and library versions change log-likelihoods in the last digits, and with
them an answer now and then (lm_eval issues 704, 1645 and 2583).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sna_eval.gating import DESCRIPTIVE
from sna_eval.study.compare.formatting import listed
from sna_eval.study.results.metrics import is_outcome
from sna_eval.study.results.records import Run

_TOLERANCE = 1e-5


def find_cautions(a: Run, b: Run, tasks: Sequence[str]) -> list[str]:
    """One line for each."""
    return [*_environment(a, b), *_models(a, b, tasks), *_answers(a, b, tasks)]


def _environment(a: Run, b: Run) -> Iterator[str]:
    unknown = []
    for label in dict.fromkeys([*a.environment, *b.environment]):
        first, second = a.environment.get(label), b.environment.get(label)
        if (first is None) != (second is None):
            unknown.append(label)
        elif first != second:
            yield f"{label}: {first} against {second}"
    if unknown:
        yield f"known of one run only: {', '.join(unknown)}"


def _models(a: Run, b: Run, tasks: Sequence[str]) -> Iterator[str]:
    """Where one run is amplified, the other must be its baseline for the effect to be its own.

    Seen from the baseline that an amplified run of the bundled tasks carries along, and where there
    is none, from the models' names.
    """
    if a.amplified == b.amplified or a.half:
        return
    plain, amplified = (b, a) if a.amplified else (a, b)
    known = [
        (task, name, score.value, baseline.value)
        for task in tasks
        for name, score in plain.tasks[task].scores.items()
        if is_outcome(name.metric)
        and (baseline := amplified.tasks[task].scores.get(name.baseline)) is not None
    ]
    for task, name, own, other in known:
        if abs(own - other) > _TOLERANCE:
            yield (
                f"baseline of {task} {name}: {own:.6g} in the plain run, "
                f"{other:.6g} in the amplified one"
            )
    if not known and a.model != b.model:
        yield f"model: {a.model} against {b.model}, and only one of them amplified"


def _answers(a: Run, b: Run, tasks: Sequence[str]) -> Iterator[str]:
    """Where the right answer had a say: in the direction, or in the gate alone."""
    for label, run in (("A", a), ("B", b)):
        records = [run.tasks[task] for task in tasks if not run.tasks[task].subtasks]
        oracles = [own.name for own in records if own.oracle]
        gates = [own.name for own in records if own.sees_answer and not own.oracle]
        if oracles:
            yield f"oracle: {label} amplified by the right answer in {listed(oracles)}"
        if gates:
            yield (
                f"gate: that of {label} sees the right answer in {listed(gates)}, where "
                f"{DESCRIPTIVE}"
            )
