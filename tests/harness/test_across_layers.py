"""Neurons of all layers together in whole evaluations, against plain hooks on lm_eval's `hf`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sna_eval.errors import InputError
from sna_eval.harness.values import evidence_of
from tests.conftest import CONFIGS, VOCABULARY, build_model
from tests.harness.conftest import answers, flat_numbers
from tests.neurons.plain_hooks import multiplied

TASKS = ["own_choices", "sna_math_easy"]
MULTIPLIER = 3.0
TOLERANCE = 1e-5
PAIRS = [
    {"positive": "the cat sat on a mat", "negative": "rain fell over town"},
    {"positive": "a cat on the mat", "negative": "the rain fell"},
]


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS))
    return path


@pytest.mark.parametrize("name", CONFIGS)
def test_scores_are_those_of_plain_hooks(
    name: str, pairs: Path, evaluate: Any, make_sna: Any, make_hf: Any
) -> None:
    model = build_model(name, vocab_size=VOCABULARY, max_position_embeddings=256)
    lm = make_sna(
        model, method="cna", share=0.04, prompts=str(pairs), multiplier=MULTIPLIER, gate="always"
    )
    got = evaluate(lm, TASKS, limit=3)
    entries = lm.plans.resolved[TASKS[0]].interventions
    assert entries == lm.plans.resolved[TASKS[1]].interventions, "found on pairs, not on a task"
    neurons = {entry.layer: entry.neurons[""] for entry in entries}
    assert len(neurons) > 1
    assert sum(map(len, neurons.values())) == round(0.04 * 4 * lm.sites.d_mlp)
    plain = evaluate(make_hf(model), TASKS, limit=3)
    with multiplied(model, neurons, MULTIPLIER):
        amplified = evaluate(make_hf(model), TASKS, limit=3)
    assert flat_numbers(answers(got)) == pytest.approx(
        flat_numbers(answers(amplified)), abs=TOLERANCE
    )
    assert flat_numbers(answers(got)) != pytest.approx(flat_numbers(answers(plain)), abs=1e-2)
    sample = got["samples"][TASKS[0]][0]
    baseline = evidence_of(sample["resps"][0][0][0]).baseline
    expected = next(s for s in plain["samples"][TASKS[0]] if s["doc_id"] == sample["doc_id"])
    assert baseline == pytest.approx(float(expected["resps"][0][0][0]), abs=TOLERANCE)


def test_inline_and_file_find_the_same(
    evaluate: Any, make_sna: Any, tmp_path: Path, pairs: Path
) -> None:
    """A file of pairs lies beside the plan that names it."""
    (tmp_path / "beside.jsonl").write_text(pairs.read_text())
    (tmp_path / "plan.yaml").write_text("""
version: 1
tasks:
  "*":
    gate: {mode: always}
    interventions:
      - multiplier: 2.0
        select: {across_layers: true, share: 0.02, drop_universal: true, prompts: beside.jsonl}
""")
    found = []
    for arguments in (
        {"plan": str(tmp_path / "plan.yaml")},
        {
            "across_layers": True, "share": 0.02, "drop_universal": True, "prompts": str(pairs),
            "multiplier": 2.0, "gate": "always",
        },
    ):  # fmt: skip
        lm = make_sna(**arguments)
        evaluate(lm, ["own_choices"], limit=2)
        entries = lm.plans.resolved["own_choices"].interventions
        found.append([(entry.layer, entry.neurons) for entry in entries])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"share": 0.1, "layer": 1}, r"select.share: expected `across_layers: true` beside it"),
        ({"across_layers": True, "layer": 1}, r"layer: expected no such key beside `across"),
        ({"across_layers": True, "share": 2}, r"select.share: expected a fraction"),
        ({"across_layers": True, "share": 0.1, "top_k": 3}, r"top_k: expected no such key beside"),
        ({"across_layers": "maybe"}, r"select.across_layers: expected true or false"),
        ({"across_layers": True, "method": "other_layer"}, r"across_layers: .* other_layer, which"),
        (
            {"layer": 1, "select": "attribution", "prompts": "p.jsonl"},
            r"select.prompts: expected development for `attribution`",
        ),
        ({"layer": 1, "unrelated_prompts": "a.txt"}, r"expected `drop_universal: true` beside it"),
        ({"layer": 1, "prompts": "none.jsonl"}, r"select.prompts: expected a file of pairs"),
    ],
    ids=str,
)
def test_what_does_not_go_together(
    arguments: dict[str, Any], message: str, evaluate: Any, make_sna: Any
) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(make_sna(multiplier=2.0, **arguments), ["own_choices"], limit=2)
