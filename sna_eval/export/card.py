"""An export's `README.md`: what it is, what it fits, what it leaves out, how to load it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sna_eval.export.lora import lora_rank
from sna_eval.export.source import Source
from sna_eval.gating import Gate

_ADAPTER = """\
```python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained({base}{revision})
model = PeftModel.from_pretrained(base, "PATH/TO/THIS/FOLDER")
with model.disable_adapter():
    ...  # the base model, to the last bit
```

`lm_eval --model hf --model_args pretrained={name},peft=PATH/TO/THIS/FOLDER --tasks {task}`
scores every item with the amplified model."""

_LORA_SERVING = """

The rank is {rank}. vLLM: `vllm serve {name} --enable-lora --max-lora-rank {slot} \\
--lora-modules sna=PATH/TO/THIS/FOLDER`, then `"model": "sna"` in a request."""

_MERGED = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("PATH/TO/THIS/FOLDER")
tokenizer = AutoTokenizer.from_pretrained("PATH/TO/THIS/FOLDER")
```

`lm_eval --model hf --model_args pretrained=PATH/TO/THIS/FOLDER --tasks {task}` scores every item
with the amplified model. Amplification cannot be switched off here; the base model is {name}."""

_WHAT = {
    "ia3": "a PEFT IA3 adapter: a vector on the input of the feed-forward output projection",
    "lora": "a PEFT LoRA adapter on the feed-forward output projection, computed, not trained",
    "merged": "a checkpoint whose feed-forward output projections have scaled columns",
}
_VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)


def card_text(source: Source, record: Mapping[str, Any]) -> str:
    """The card of an export with this record."""
    kind = record["format"]
    sections = [
        _front_matter(source, kind),
        f"# Selective Neuron Amplification for `{source.task}`\n\n"
        f"This is {_WHAT[kind]}. It multiplies the activations of the neurons below by a constant, "
        "at every position of every text (Akhtar 2026, arXiv:2604.07098). "
        f"Made by {record['made_by']}.",
        f"## Fits\n\n{_fits(record)}",
        f"## Interventions\n\n{_interventions(source)}",
        f"## Not included: the gate\n\n{_gate(source.plan.gate)}",
        f"## Load\n\n{_loading(source, kind)}",
        "`sna_export.json` holds all of this for programs, and the plan itself.",
    ]
    return "\n\n".join(sections) + "\n"


def _front_matter(source: Source, kind: str) -> str:
    library = "transformers" if kind == "merged" else "peft"
    return "\n".join(
        [
            "---",
            f"base_model: {json.dumps(source.name)}",  # a JSON string is a YAML string
            f"library_name: {library}",
            "tags: [sna-eval, selective-neuron-amplification]",
            "---",
        ]
    )


def _fits(record: Mapping[str, Any]) -> str:
    base = record["base_model"]
    rows = [
        ("base model", base["name"]),
        ("revision", base["revision"] or "none: loaded from a folder"),
        ("commit", base["commit"] or "unknown"),
        ("hash of its weights", base["model_hash"]),
        ("architecture", base["architecture"]),
        ("loaded in", base["dtype"]),
        ("plan fingerprint", record["plan_fingerprint"] or "unknown"),
        ("this task's fingerprint", record["task_fingerprint"]),
        ("oracle", "yes" if record["oracle"] else "no"),
    ]
    return _table(("", ""), [(label, f"`{value}`") for label, value in rows])


def _interventions(source: Source) -> str:
    rows = [
        (
            str(scaling.layer),
            f"`{source.module_name(scaling.layer)}`",
            f"{factor:g}",
            ", ".join(str(n) for n, own in scaling.factors.items() if own == factor),
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
        "from a request to the base model first. `docs/serving.md` and `scripts/gated_client.py` "
        "of sna-eval show how."
    )


def _loading(source: Source, kind: str) -> str:
    values = {
        "base": json.dumps(source.name),
        "revision": f", revision={json.dumps(source.revision)}" if source.revision else "",
        "name": source.name,
        "task": source.task,
    }
    if kind == "merged":
        return _MERGED.format(**values)
    text = _ADAPTER.format(**values) + _padded_vocabulary(source)
    if kind == "ia3":
        return text
    rank = lora_rank(source)
    slot = next((size for size in _VLLM_RANKS if size >= rank), rank)
    return text + _LORA_SERVING.format(rank=rank, slot=slot, **values)


def _padded_vocabulary(source: Source) -> str:
    """A warning about lm_eval, which with `peft=` resizes the vocabulary to the tokenizer's."""
    own, tokens = source.model.get_input_embeddings().weight.shape[0], len(source.tokenizer)
    if own == tokens:
        return ""
    return (
        f" This model has {own} vocabulary entries and its tokenizer {tokens}; with `peft=` "
        "lm_eval makes the two equal, so its scores differ by what the other entries would get. "
        "`sna-eval export --format merged` is scored as it is."
    )
