"""`method: steered` on real weights against lm_eval's own model of that name, on the same modules.

SmolLM2's blocks add what attention and MLP write; Gemma 3 norms both first, so there only the
blocks' outputs are places of both.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from tests.real.conftest import Load, evaluate, log_likelihoods

TASKS, LIMIT = ["sna_logic_easy", "own_texts"], 2
TEXTS = ["Once upon a time there was a", "The three most important rules are: 1."]
YAML = """
task: own_texts
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
output_type: generate_until
test_split: test
doc_to_text: "{{{{text}}}}"
doc_to_target: ""
generation_kwargs: {{until: [], max_gen_toks: 10}}
metric_list: [{{metric: exact_match, aggregation: mean, higher_is_better: true}}]
"""
TOLERANCE = 1e-4
"""Between two ways to sum a row in float32: `hf` of two batch sizes differs by as much."""


def steers(width: int, *, components: bool) -> dict[str, dict[str, Any]]:
    """As lm_eval's `steered` holds them: directions drawn at random."""
    generator = torch.Generator().manual_seed(0)

    def drawn() -> torch.Tensor:
        return torch.randn(width, generator=generator)

    found: dict[str, dict[str, Any]] = {
        "layers.4": {"action": "add", "steering_vector": drawn(), "steering_coefficient": 0.5},
        "layers.9": {"action": "clamp", "steering_vector": drawn(), "steering_coefficient": 12.0,
                     "bias": drawn()},
    }  # fmt: skip
    if components:
        found["layers.6.mlp"] = {"action": "add", "steering_vector": drawn(),
                                 "steering_coefficient": 0.25}  # fmt: skip
        found["layers.7.self_attn"] = {"action": "clamp", "steering_vector": drawn(),
                                       "steering_coefficient": 3.0}  # fmt: skip
    return found


def test_scores_and_texts_are_those_of_lm_evals_model(
    real: Path, load: Load, tmp_path: Path
) -> None:
    from lm_eval.models.hf_steered import SteeredModel

    lines = [json.dumps({"text": text}) for text in TEXTS]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    (tmp_path / "own_texts.yaml").write_text(YAML.format(file=tmp_path / "texts.jsonl"))
    plain = load(real)
    given = steers(plain.model.config.hidden_size, components="SmolLM2" in real.name)
    tensors = {
        f"{place}/{own['action']}/{name}": torch.as_tensor(value)
        for place, own in given.items()
        for name, value in own.items()
        if name != "action"
    }
    save_file(tensors, tmp_path / "steer.safetensors")
    torch.save(given, tmp_path / "steer.pt")  # the one form of it that lm_eval reads
    entry = f"{{method: steered, options: {{file: {tmp_path / 'steer.safetensors'}}}}}"
    tasks = "".join(f"  {name}: {{gate: always, interventions: [{entry}]}}\n" for name in TASKS)
    (tmp_path / "plan.yaml").write_text(f"version: 1\ntasks:\n{tasks}")

    def answered(lm: Any) -> tuple[list[float], list[str]]:
        results = evaluate(lm, TASKS, limit=LIMIT, include=tmp_path)
        samples = sorted(results["samples"][TASKS[1]], key=lambda sample: sample["doc_id"])
        return log_likelihoods(results, TASKS[0]), [str(own["resps"][0][0]) for own in samples]

    theirs = answered(
        SteeredModel(
            pretrained=plain.model, tokenizer=plain.tokenizer, batch_size=8,
            steer_path=str(tmp_path / "steer.pt"),
        )
    )  # fmt: skip
    ours, before = answered(load(real, plan=str(tmp_path / "plan.yaml"))), answered(plain)
    assert ours[0] == pytest.approx(theirs[0], abs=TOLERANCE)
    assert ours[1] == theirs[1]
    assert max(abs(a - b) for a, b in zip(before[0], theirs[0], strict=True)) > 0.1
    assert before[1] != theirs[1]
