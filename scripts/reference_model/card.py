"""`MODEL_CARD.md`, written from what was measured; no figure in it is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable

from .documents import CROP_SHARE
from .measure import BAND, Measurements
from .mixture import REVIEW_SHARE, TEXT_SHARES, Skill
from .probes import ReviewProbe, TaskProbe

_SOURCES = {
    "wikitext": ("WikiText-2, valid and test files", "CC BY-SA 3.0"),
    "shakespeare": ("Shakespeare's plays (tiny shakespeare)", "public domain"),
    "gsm8k": ("GSM8K train, calculator marks removed", "MIT"),
    "python": ("Python's standard library, a fixed list of modules", "PSF-2.0"),
    "reviews": ("SST-2 train by whole sentences, labelled", "research use; not shipped"),
}


def write_card(
    measured: Measurements, *, run: dict[str, object], skills: dict[str, Skill], dropped: int
) -> str:
    """The whole card."""
    sections = [
        _purpose(run),
        _architecture(run),
        _natural_text(measured, run),
        _exercises(measured, run, skills),
        _review_text(run, dropped),
        _losses(measured),
        _tasks(measured, skills),
        _reviews(measured),
        _limits(),
    ]
    return "\n\n".join(section.strip() for section in sections) + "\n"


def _purpose(run: dict[str, object]) -> str:
    return f"""# sna-reference

A very small English language model ({run["parameters"] / 1e6:.2f} million parameters) that ships
with sna-eval, so that everything can be shown and tested without a model hub. **It is a test bed,
not a good language model**: it was made to be sure of some tasks, unsure of others and undecided
on the rest. Use it to see gated amplification at work and to test code; conclude nothing from it
about useful models.

This file is written by `scripts/train_reference_model.py`."""


def _architecture(run: dict[str, object]) -> str:
    neurons = 4 * run["width"]
    return f"""## Architecture

`GPT2LMHeadModel`: {run["layers"]} layers, width {run["width"]}, {run["heads"]} heads,
{neurons:,} MLP neurons per layer, {run["context"]} positions, tied embeddings, no dropout. Weights
are stored in float16 and load as float32. The tokenizer is a byte-level BPE of
{run["vocabulary"]:,} tokens trained on the same text; every digit is a token of its own, words
carry their leading space, and `<|endoftext|>` is bos, eos and pad in one. Short documents were
trained without a token before them, so prompts need none."""


def _natural_text(measured: Measurements, run: dict[str, object]) -> str:
    total = sum(measured.source_tokens.values())
    rows = [
        (name, text, licence, *_amount(measured.source_tokens.get(name, 0), total))
        for name, (text, licence) in _SOURCES.items()
    ]
    shares = ", ".join(f"{name} {share:.0%}" for name, share in TEXT_SHARES.items())
    return f"""## Training text

{run["tokens"]:,} tokens were read, once through, in {run["minutes"]:.0f} minutes on
{run["machine"]} (seed {run["seed"]}, AdamW, peak learning rate {run["learning_rate"]:g}, one
cosine, bfloat16 autocast, 4,096 tokens per step, Python {run["python"]}). A source smaller than
its share is repeated in freshly shuffled passes.

{_table(("source", "text", "licence", "tokens", "share"), rows)}

Shares asked for: {shares}, reviews {REVIEW_SHARE:.0%}, of {run["tokens_asked"]:,} tokens; the rest
is text written for this project."""


def _amount(tokens: int, total: int) -> tuple[str, str]:
    return f"{tokens:,}", f"{tokens / total:.1%}"


def _exercises(measured: Measurements, run: dict[str, object], skills: dict[str, Skill]) -> str:
    total = sum(measured.source_tokens.values())
    rows = [
        (
            name,
            f"{skill.rate:g}",
            f"{round(skill.rate * run['tokens_asked'] / 1e6):,}",
            *_amount(measured.source_tokens.get(name, 0), total),
            "left out" if skill.held_out else "may occur",
        )
        for name, skill in skills.items()
    ]
    header = ("skill", "documents per million", "documents", "tokens", "share", "bundled items")
    return f"""### How often each skill is exercised

The text written for this project exercises the bundled tasks' skills at these rates, in documents
per million training tokens. The rate is the knob (`--rate SKILL=N`) that should decide the zone in
which the model finds the task. Where the bundled development and test items are left out of the
text, the skill has to generalise to them; where they may occur, memory is the skill.

{_table(header, rows)}

The contexts of `sna_transition` occur with each of their twelve answers equally often, so the
answer that a bundled item happens to have is never more frequent than the other eleven; every
second name or place is left out."""


def _review_text(run: dict[str, object], dropped: int) -> str:
    return f"""### Reviews

They have the form of the evaluation, `Review: {{sentence}} Sentiment: positive` or ` negative`. In
{CROP_SHARE:.0%} of the draws only a run of at least half the sentence's words is shown, under the
same label. The label counts {run["label_weight"]:g} times in the loss. SST-2's dev and test
sentences never occur: {dropped} training sentences that equal one of them, letters and digits
compared, were dropped."""


def _losses(measured: Measurements) -> str:
    rows = [(domain, f"{loss:.3f}") for domain, loss in measured.losses.items()]
    return f"""## Loss on held-out text

Nats per token of this model's own tokenizer. A rerun of the script on the same corpus should lie
within {BAND} nats of each: rounding on another machine and another Python's standard library move
them. They are recorded in `losses.json`; the texts that may be passed on are in `held_out.json`
(arithmetic, logic, poetry and code: development items of the tasks whose items were left out).

{_table(("domain", "loss"), rows)}"""


def _tasks(measured: Measurements, skills: dict[str, Skill]) -> str:
    rows = [_task_row(name, measured) for name in skills if name in measured.test]
    header = ("task", "development", "zone", "test", "zone", "test items in zone 1 / 2 / 3",
              "test items that occur", "occurrences")  # fmt: skip
    return f"""## The bundled tasks

Baseline P(target), the mean over items, and the zone of that mean (1 below 0.07, 3 above 0.10); the
share of the test items in each zone; and how often the test items stand in the training text,
prompt and target word for word.

{_table(header, rows)}"""


def _task_row(name: str, measured: Measurements) -> tuple[str, ...]:
    development, test = measured.development.get(name), measured.test[name]
    seen = measured.occurrences[name]
    return (
        f"sna_{name}",
        *_mean_and_zone(development),
        *_mean_and_zone(test),
        _shares(test.shares),
        f"{seen.present} of {seen.items}",
        f"{seen.total:,}",
    )


def _mean_and_zone(probe: TaskProbe | None) -> tuple[str, str]:
    return (f"{probe.mean:.4f}", str(probe.zone)) if probe else ("-", "-")


def _reviews(measured: Measurements) -> str:
    probes = {"held-out training reviews": measured.held_reviews, "SST-2 dev": measured.dev_reviews}
    rows = [_review_row(name, probe) for name, probe in probes.items() if probe]
    header = ("reviews", "n", "accuracy", "share in zone 1 / 2 / 3", "accuracy in zone 1 / 2 / 3")
    return f"""## Sentiment, zero-shot

`Review: {{sentence}} Sentiment:` with the choices ` positive` and ` negative`; zones by the margin
`|p1 - p2| / (p1 + p2)` at 0.30 and 0.60. Settings were chosen on the held-out training reviews.

{_table(header, rows)}"""


def _review_row(name: str, probe: ReviewProbe) -> tuple[str, ...]:
    count, accuracy = str(probe.items), f"{probe.accuracy:.3f}"
    return (name, count, accuracy, _shares(probe.shares), _shares(probe.zone_accuracy))


def _limits() -> str:
    return """## Limits

It writes no usable text, knows no facts worth having, and has seen little English and some Python.
Its skills are those of the templates it was trained on: another wording of the same question may
find nothing. Wikipedia, Shakespeare and film reviews carry the views of their authors. Gains
from amplification measured here show that the machinery works, not how large they are elsewhere."""


def _shares(values: Iterable[float]) -> str:
    return " / ".join(f"{value:.2f}" for value in values)


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
