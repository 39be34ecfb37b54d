"""Few-shot prompting: development items with their answers before the question.

Wu et al. (2025), arXiv:2501.17148 (AxBench) and others found that prompting beats steering, so no
comparison is honest without it. The `k` examples are drawn once from the development split and
stand before the question of every item whose gate opens, behind a description of the task if there
is one, written as lm_eval writes them: question, answer, delimiter. Nothing happens inside the
model. `strength: 0` leaves the examples out.
"""

from __future__ import annotations

import random

from sna_eval.errors import InputError
from sna_eval.intervention import Affine
from sna_eval.methods.method import Examples, Fitted, Method, MethodConfig, Resolution, Workbench


def find(bench: Workbench, examples: Examples, wanted: MethodConfig) -> Resolution:
    """The text that goes before a question."""
    count, questions = wanted.options["k"], examples.answered()
    if not 1 <= count <= len(questions):
        raise InputError(
            "options.k", expected=f"from 1 to the {len(questions)} development items", got=count
        )
    order = random.Random(wanted.options["seed"]).sample(range(len(questions)), count)
    shown = [questions[number] for number in order]
    text = "".join(question.shown + examples.delimiter for question in shown)
    return Resolution(parameters={"prompt": text}, remarks={"items": order})


def build(fitted: Fitted) -> tuple[Affine, ...]:
    """Nothing acts inside the model; the text is only looked at."""
    fitted.only("prompt")
    fitted.text("prompt")
    return ()


METHOD = Method(
    "few_shot",
    find,
    build,
    options={"k": 3, "seed": 0},
    needs_layer=False,
    fixed_positions=True,
    needs_answers=True,
)
