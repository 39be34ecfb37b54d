"""Few-shot examples through a chat template: both answers to what `--model hf` is asked."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lm_eval.evaluator import evaluate
from lm_eval.tasks import TaskManager

TEMPLATE = (
    "{% for message in messages %}[{{ message['role'] }}] {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
TASKS = ("own_choices", "own_generation")
ALWAYS = {"layer": 2, "neurons": "1;5;7", "multiplier": 6.0, "gate": "always"}


@pytest.fixture
def talking(tiny_gpt2: Any, word_tokenizer: Any) -> Callable[..., Any]:
    """A model of either type whose tokenizer has a chat template."""
    tokenizer = copy.deepcopy(word_tokenizer)
    tokenizer.chat_template = TEMPLATE

    def make(kind: type, **arguments: Any) -> Any:
        return kind(tiny_gpt2, tokenizer=tokenizer, batch_size=4, **arguments)

    return make


def run(lm: Any, folder: Path, *, shots: int, **chat: Any) -> tuple[dict[str, Any], list[str]]:
    """Results, and the contexts that were asked."""
    loaded = TaskManager(include_path=folder, include_defaults=False).load(list(TASKS))
    for task in loaded["tasks"].values():
        task.set_config(key="num_fewshot", value=shots)
        task.set_fewshot_seed(1234)
    results = evaluate(lm, loaded, bootstrap_iters=0, apply_chat_template=True, **chat)
    asked = [one.args[0] for task in loaded["tasks"].values() for one in task.instances]
    assert results is not None
    return results, asked


@pytest.mark.parametrize(
    ("chat", "turns"),
    [
        ({"fewshot_as_multiturn": True, "system_instruction": "Be brief."}, 6),
        ({"fewshot_as_multiturn": True}, 6),
        ({"fewshot_as_multiturn": False, "system_instruction": "Be brief."}, 2),
    ],
)
def test_examples_as_turns(
    talking: Callable[..., Any], own_tasks: Path, chat: dict[str, Any], turns: int
) -> None:
    from lm_eval.models.huggingface import HFLM

    from sna_eval.harness.lm import SNALM

    told, asked = run(talking(SNALM, **ALWAYS), own_tasks, shots=2, **chat)
    plain, asked_of_hf = run(talking(HFLM), own_tasks, shots=2, **chat)
    assert asked == asked_of_hf
    for context in asked:
        assert context.count("[user]") + context.count("[assistant]") == turns
        assert context.startswith("[system] Be brief.") == ("system_instruction" in chat)
    for name in TASKS:
        for key, value in plain["results"][name].items():
            if "," in key and "stderr" not in key:
                assert told["results"][name][f"baseline_{key}"] == pytest.approx(value, abs=1e-6)
        pairs = list(zip(told["samples"][name], plain["samples"][name], strict=True))
        assert any(own["resps"] != own["baseline_resps"] for own, _ in pairs)
        if name == "own_generation":
            assert all(own["baseline_resps"] == other["resps"] for own, other in pairs)
