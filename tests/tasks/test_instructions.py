"""Instructions that rules check: the items, the rules, and the task under the gate."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch

from sna_eval.files import tasks_path
from sna_eval.harness.instructions import (
    KINDS,
    RULES,
    Requirement,
    instruction_results,
    is_followed,
)
from task_items.instructions import (
    Instruction,
    development_instructions,
    test_instructions,
)

test_instructions.__test__ = False  # type: ignore[attr-defined]  # the items of the test split
DATA = tasks_path() / "data" / "sna_instruct"
PARTS = {"development": development_instructions(), "test": test_instructions()}


def test_their_number_and_kinds() -> None:
    for name, each in (("development", 10), ("test", 30)):
        assert Counter(item.kind for item in PARTS[name]) == dict.fromkeys(KINDS, each)
    prompts = [item.prompt for items in PARTS.values() for item in items]
    assert len(set(prompts)) == len(prompts) == 160
    assert {item.rule for items in PARTS.values() for item in items} == set(RULES)


@pytest.mark.parametrize("split", PARTS)
def test_the_files_are_these(split: str) -> None:
    lines = (DATA / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [asdict(item) for item in PARTS[split]]


def test_a_harmful_request_has_a_harmless_one_beside_it() -> None:
    for items in PARTS.values():
        rules = [item.rule for item in items if item.kind == "refusal"]
        assert rules == ["refuse", "comply"] * (len(rules) // 2)


LONG = "The bread is baked in an oven that is hot and it is ready when the crust is brown"
Case = tuple[Requirement, list[str], list[str]]
CASES: dict[str, Case] = {
    "bullets": (
        Requirement("bullets", 2), ["- one\n- two", "* a\n\n* b c"],
        ["- one", "Here:\n- a\n- b", "-one\n-two", "- a\n- b\n- c"],
    ),
    "numbered": (
        Requirement("numbered", 2), ["1. a\n2. b", "1) a\n\n2) b"], ["1. a\n3. b", "1. a", "a\nb"]
    ),
    "upper_case": (Requirement("upper_case"), ["TEA IS HOT."], ["Tea IS HOT.", "123"]),
    "lower_case": (Requirement("lower_case"), ["tea is hot."], ["Tea is hot.", "123"]),
    "json_key": (
        Requirement("json_key", word="answer"), ['{"answer": "x"}', '```json\n{"answer": 1}\n```'],
        ["answer", '{"other": 1}', '["answer"]', 'Here: {"answer": 1}', "[" * 100_000],
    ),
    "quoted": (Requirement("quoted"), ['"Tea is hot."'], ['"Tea" is hot.', '""', "'Tea'"]),
    "begins": (
        Requirement("begins", word="Because"), ["Because of it."], ["It is, because", "Becauses"]
    ),
    "ends": (
        Requirement("ends", word="That is all."),
        ["So. That is all.", "So. That is all", '"That is all."'],
        ["That is all. Bye.", "That is"],
    ),
    "parted": (Requirement("parted", 2, "|"), ["a | b"], ["a b", "a | b | c", "a |"]),
    "no_commas": (Requirement("no_commas", 3), ["tea is hot"], ["tea, it is hot", "tea hot"]),
    "one_word": (Requirement("one_word"), ["Oven.", "*oven*"], ["An oven", "..."]),
    "words_at_most": (Requirement("words_at_most", 3), ["one two - three"], ["one two three four"]),
    "words_at_least": (
        Requirement("words_at_least", 3), ["one two three"], ["one two", "one two -"]
    ),
    "sentences": (
        Requirement("sentences", 2), ["It is. It was!", 'He said "so." Then he left.'],
        ["It is", "One. Two. Three."],
    ),
    "language": (
        Requirement("language", word="German"),
        ["Das Brot wird in dem Ofen gebacken und ist dann fertig."], [LONG, "Brot", "Das ist"],
    ),
    "refuse": (
        Requirement("refuse"),
        ["I'm sorry, but I can't help with that.", "I won\u2019t do this.", "This is illegal."],
        ["Sure! First, find a ladder.", "x" * 400 + " I cannot help"],
    ),
    "comply": (
        Requirement("comply", 3), ["Take a sharp knife."], ["I cannot help you with this.", "Yes."]
    ),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES)
def test_rules_by_hand(rule: str) -> None:
    asked, good, bad = CASES[rule]
    assert [is_followed(text, asked) for text in good] == [True] * len(good)
    assert [is_followed(text, asked) for text in bad] == [False] * len(bad)
    assert not is_followed(" \n", asked)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("English", LONG),
        ("French", "Le pain est cuit dans un four chaud et il est prêt quand la croûte est brune."),
        ("German", "Das Brot wird im Ofen gebacken, und es ist fertig, wenn die Kruste braun ist."),
        ("Spanish", "El pan se cuece en un horno y está listo cuando la corteza es muy dorada."),
        ("Italian", "Il pane si cuoce nel forno ed è pronto quando la crosta è scura, si dice."),
        ("Russian", "Хлеб пекут в горячей печи."),
        ("Greek", "ψωμί ψήνεται φούρνο"),
        ("Japanese", "パンはオーブンで焼きます。"),
    ],
)  # fmt: skip
def test_languages_are_told_apart(language: str, text: str) -> None:
    names = ["English", "French", "German", "Spanish", "Italian", "Russian", "Greek", "Japanese"]
    assert [name for name in names if is_followed(text, Requirement("language", word=name))] == [
        language
    ]


def test_metrics_of_a_text() -> None:
    doc = asdict(Instruction("Explain it.", "length", "words_at_most", 9))
    found = instruction_results(doc, ["a b c d a b c d a"])
    assert found == {
        "followed": 1, "followed_length": 1, "followed_format": None, "followed_language": None,
        "followed_refusal": None, "repetition": pytest.approx(1 - 4 / 6), "words": 9,
        "kl_from_baseline": 0,
    }  # fmt: skip
    assert instruction_results(doc, [""])["repetition"] == 0


def test_the_task_under_the_gate(make_sna: Any) -> None:
    """Both texts are judged, each metric stands twice; empty kinds are left out of the means."""
    from lm_eval.evaluator import evaluate
    from lm_eval.tasks import TaskManager

    loaded = TaskManager(include_path=tasks_path(), include_defaults=False).load(["sna_instruct"])
    loaded["tasks"]["sna_instruct"].set_config(
        "generation_kwargs", {"until": [], "max_gen_toks": 8}
    )
    lm = make_sna(layer=2, neurons="1;5;7", multiplier=6.0, gate="always")
    asked = {"sna_instruct": [0, 30, 60, 90, 91]}
    results = evaluate(lm, loaded, samples=asked, bootstrap_iters=0)
    assert results is not None
    told = results["results"]["sna_instruct"]
    names = ["followed", *(f"followed_{kind}" for kind in KINDS), "repetition", "words"]
    for name in names:
        assert {f"{name},none", f"baseline_{name},none"} <= set(told)
    samples = results["samples"]["sna_instruct"]
    for sample in samples:
        again = instruction_results(sample["doc"], [sample["baseline_resps"][0][0]])
        assert {name: sample[f"baseline_{name}"] for name in names} | {
            "kl_from_baseline": 0
        } == again
        assert sample["kl_from_baseline"] == pytest.approx(divergence(lm, sample), abs=1e-5)
    assert told["kl_from_baseline,none"] > 0.01
    assert "baseline_kl_from_baseline,none" not in told
    assert any(sample["resps"] != sample["baseline_resps"] for sample in samples)
    assert told["followed_refusal,none"] == sum(sample["followed"] for sample in samples[3:]) / 2


def divergence(lm: Any, sample: Any) -> float:
    """Mean KL along the amplified text, by plain passes and a hook of this test's own."""
    context = lm.tok_encode(sample["arguments"][0][0])
    text = lm.tok_encode(sample["resps"][0][0], add_special_tokens=False)

    def read() -> torch.Tensor:
        with torch.no_grad():
            logits = lm.model(torch.tensor([context + text])).logits[0, len(context) - 1 : -1]
        return torch.log_softmax(logits.double(), dim=-1)

    def scale(module: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor]:
        factors = torch.ones(args[0].shape[-1])
        factors[[1, 5, 7]] = 6.0
        return (args[0] * factors,)

    before = read()
    handle = lm.model.transformer.h[2].mlp.c_proj.register_forward_pre_hook(scale)
    after = read()
    handle.remove()
    return float((before.exp() * (before - after)).sum(-1).mean())


@pytest.fixture(scope="module")
def make_sna(word_tokenizer: Any) -> Any:
    from sna_eval.harness.lm import SNALM
    from tests.conftest import VOCABULARY, build_model

    model = build_model("gpt2", n_positions=256, vocab_size=VOCABULARY)
    return lambda **plan: SNALM(model, tokenizer=word_tokenizer, batch_size=5, **plan)


def test_paths_of_the_data() -> None:
    assert {path.name for path in DATA.iterdir()} == {"development.jsonl", "test.jsonl"}
    assert Path(tasks_path(), "sna_instruct.yaml").is_file()
