"""An export's `README.md`: what it is, what it fits, what it leaves out, how to load it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sna_eval.export.format import ExportFormat
from sna_eval.export.source import Source, made_by
from sna_eval.gating import Gate
from sna_eval.plan import task_fingerprint

_SCALES = (
    "It multiplies the activations of the neurons below by a constant, at every position of every "
    "text (Akhtar 2026, arXiv:2604.07098)."
)
_ADDS = (
    "It adds a vector to the residual stream as it leaves the blocks below, at every position of "
    "every text."
)


def card_text(source: Source, chosen: ExportFormat) -> str:
    """The card of an export in this format."""
    sections = [
        _front_matter(source, chosen),
        f"# Selective Neuron Amplification for `{source.task}`\n\n"
        f"This is {chosen.what}. {_ADDS if source.vectors else _SCALES} Made by {made_by()}.",
        f"## Fits\n\n{_fits(source)}",
        f"## Interventions\n\n{_interventions(source)}",
        f"## Not included: the gate\n\n{_gate(source.plan.gate)}",
        f"## Load\n\n{chosen.loading(source)}",
        "`sna_export.json` holds all of this for programs, and the plan itself.",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(source: Source, chosen: ExportFormat) -> str:
    return "\n".join(
        [
            "---",
            f"base_model: {json.dumps(source.name)}",  # a JSON string is a YAML string
            f"library_name: {chosen.library}",
            "tags: [sna-eval, selective-neuron-amplification]",
            "---",
        ]
    )


def _fits(source: Source) -> str:
    rows = [
        ("base model", source.name),
        *([("GGUF file", source.gguf_file)] if source.gguf_file is not None else []),
        ("revision", source.revision or "none: loaded from a folder"),
        ("commit", source.commit or "unknown"),
        ("hash of its weights", source.model_hash),
        ("architecture", source.sites.architecture),
        ("loaded in", source.dtype),
        ("plan fingerprint", source.plan_hash or "unknown"),
        ("this task's fingerprint", task_fingerprint(source.plan)),
        ("oracle", "yes" if source.plan.oracle else "no"),
    ]
    return _table(("", ""), [(label, f"`{value}`") for label, value in rows])


def _interventions(source: Source) -> str:
    if source.vectors:
        norms = [
            (str(vector.layer), f"{float(vector.values.norm()):.6g}") for vector in source.vectors
        ]
        return _table(("layer", "norm of the vector"), norms)
    rows = [
        (
            str(scaling.layer),
            f"`{source.name_of(scaling)}`",
            f"{factor:g}",
            ("heads " if scaling.unit == "head" else "")
            + ", ".join(str(n) for n, scale in scaling.factors.items() if scale == factor),
        )
        for scaling in source.scalings
        for factor in dict.fromkeys(scaling.factors.values())
    ]
    return _table(("layer", "module", "factor", "neurons"), rows)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _gate(gate: Gate) -> str:
    if gate.mode == "always":
        return "The plan amplifies every item (`gate: always`), and so does this export."
    transition = "is amplified too" if gate.transition == "amplify" else "is left alone"
    answer = " It reads the right answer, which no server knows." if gate.sees_answer else ""
    return (
        f"The plan amplifies an item only where `{gate.signal}` of the *unamplified* model is "
        f"below {gate.low:g} (zone 1); between that and {gate.high:g} (zone 2) an item "
        f"{transition}.{answer} This export amplifies whatever it is given: the sender decides, "
        "from a request to the base model first. `docs/serving.md` of sna-eval shows how, and "
        "`lm_eval --model sna-completions` does it."
    )
