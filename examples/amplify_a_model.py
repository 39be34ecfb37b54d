"""Amplification in Python, without lm_eval: a prompt that gains by it, before and after.

python examples/amplify_a_model.py
"""

from __future__ import annotations

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import sna_eval

MODEL = sna_eval.reference_model_path()  # or a folder, or a name on the hub
PROMPT = (
    "Either the room is dark or the room is noisy. If the room is dark, the baby is asleep. If the "
    "room is noisy, the baby is awake. It is not true that the room is dark. So the baby is"
)
TARGET = " awake"


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    model = AutoModelForCausalLM.from_pretrained(MODEL).eval()
    plan = sna_eval.load_plan("sna-reference")

    context = tokenizer(PROMPT, return_tensors="pt").input_ids
    target = tokenizer(TARGET, add_special_tokens=False).input_ids[0]

    def probability() -> float:
        with torch.no_grad():
            return float(model(context).logits[0, -1].softmax(-1)[target])

    before = probability()
    with sna_eval.amplify(model, plan.for_task("sna_logic_hard")):
        amplified = probability()
    print(f"P({TARGET!r}): {before:.4f}, amplified {amplified:.4f}")
    assert probability() == before  # nothing is left behind


if __name__ == "__main__":
    main()
