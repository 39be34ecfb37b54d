"""The held-out text of each domain, and its loss under a model.

Texts that may be passed on (Shakespeare, GSM8K, the standard library, the project's own items)
are written beside the model in `held_out.json`, so that the recorded losses can be checked
without any corpus. WikiText and the reviews are read from their source again.
"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from .documents import review_text, task_items
from .mixture import DOMAIN_OF_SKILL, SKILLS
from .scoring import mean_loss
from .sources import Review

SHIPPED_DOMAINS = ("shakespeare", "gsm8k", "python", "arithmetic", "logic", "poetry", "code")
HELD_OUT_FILE = "held_out.json"


def skill_texts(tasks: Path) -> dict[str, list[str]]:
    """Development items of the held-out skills, by domain."""
    texts: dict[str, list[str]] = {}
    for name, skill in SKILLS.items():
        domain = DOMAIN_OF_SKILL.get(name.split("_")[0])
        if domain and skill.held_out:
            items = task_items(tasks, name, "development")
            texts.setdefault(domain, []).extend(item.prompt + item.target for item in items)
    return {domain: chosen for domain, chosen in texts.items() if chosen}


def held_out_texts(
    natural: dict[str, list[str]], reviews: list[Review], tasks: Path
) -> dict[str, list[str]]:
    """All held-out texts by domain."""
    return {**natural, "reviews": [review_text(r) for r in reviews], **skill_texts(tasks)}


def losses_of(
    model: GPT2LMHeadModel, tokenizer: Tokenizer, texts: dict[str, list[str]]
) -> dict[str, float]:
    """Loss in nats per token by domain."""
    return {domain: round(mean_loss(model, tokenizer, texts[domain]), 4) for domain in texts}


def write_held_out(folder: Path, texts: dict[str, list[str]]) -> None:
    """Ship the texts that may be passed on."""
    shipped = {domain: texts[domain] for domain in SHIPPED_DOMAINS if domain in texts}
    content = json.dumps(shipped, indent=1, ensure_ascii=False)
    (folder / HELD_OUT_FILE).write_text(content + "\n", encoding="utf-8")


def read_held_out(folder: Path) -> dict[str, list[str]]:
    """The shipped texts by domain."""
    return json.loads((folder / HELD_OUT_FILE).read_text(encoding="utf-8"))
