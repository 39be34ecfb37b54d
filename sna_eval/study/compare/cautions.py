"""What does not forbid a comparison but may move scores a little.

Batch size, dtype, device and library versions change log-likelihoods in the last digits, and with
them an answer now and then (lm_eval issues 704, 1645 and 2583).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sna_eval.study.compare.metrics import BASELINE, is_outcome
from sna_eval.study.compare.records import MetricName, Run

_TOLERANCE = 1e-5


def find_cautions(a: Run, b: Run, tasks: Sequence[str]) -> list[str]:
    """One line for each."""
    return [*_environment(a, b), *_models(a, b), *_baselines(a, b, tasks), *_oracles(a, b, tasks)]


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


def _models(a: Run, b: Run) -> Iterator[str]:
    """Another model beside an amplification: the difference is not the amplification's alone."""
    if a.model != b.model and a.amplified != b.amplified:
        yield f"model: {a.model} against {b.model}, and only one of them amplified"


def _baselines(a: Run, b: Run, tasks: Sequence[str]) -> Iterator[str]:
    """The amplified run knows its own baseline, which a plain run of the model must agree with."""
    if a.amplified == b.amplified or a.half:
        return
    plain, amplified = (b, a) if a.amplified else (a, b)
    for task in tasks:
        own, other = plain.tasks[task].scores, amplified.tasks[task].scores
        for name, score in own.items():
            baseline = other.get(MetricName(BASELINE + name.metric, name.filter))
            if baseline is None or not is_outcome(name.metric):
                continue
            if abs(baseline.value - score.value) > _TOLERANCE:
                yield (
                    f"baseline of {task} {name}: {score.value:.6g} in the plain run, "
                    f"{baseline.value:.6g} in the amplified one"
                )


def _oracles(a: Run, b: Run, tasks: Sequence[str]) -> Iterator[str]:
    for label, run in (("A", a), ("B", b)):
        seen = [task for task in tasks if run.tasks[task].sees_answer]
        if seen:
            yield f"oracle: {label} knew the right answer in {', '.join(seen)}"
