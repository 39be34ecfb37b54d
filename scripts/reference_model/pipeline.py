"""From sources to a trained model in memory: read, hold out, learn the tokenizer, pack, train."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer
from transformers import GPT2LMHeadModel

from task_items import Item

from .documents import (
    Document,
    Encode,
    hold_out_text,
    review_text,
    skill_pool,
    split_reviews,
    task_items,
    training_documents,
)
from .mixture import SKILLS, Skill, skills_with
from .packing import LONG_ROW, SHORT_ROW, Encoded, long_rows, short_rows
from .probes import probe_reviews, probe_task
from .sources import Review, Sources, read_sources
from .tokenizer import END_OF_TEXT, train_tokenizer
from .training import TrainingSpec, new_model, train


@dataclass(frozen=True)
class Material:
    """Everything a run trains on or measures with, before tokens."""

    sources: Sources
    texts: dict[str, list[str]]
    """Natural text for training, by domain."""
    held_texts: dict[str, list[str]]
    """Natural text held out, by domain."""
    reviews: list[Review]
    held_reviews: list[Review]
    skills: dict[str, Skill]
    pools: dict[str, list[str]]
    """Texts that exercise each skill."""


def read_material(options: Namespace) -> Material:
    """Read all sources and set the held-out parts aside."""
    sources = read_sources(corpus_dir=options.corpus, sst2_dir=sst2_folder(options))
    texts, held_texts = hold_out_text(sources)
    reviews, held_reviews = split_reviews(sources.reviews, seed=options.seed)
    skills = skills_with(options.rate)
    pools = {name: skill_pool(name, skill) for name, skill in skills.items()}
    return Material(sources, texts, held_texts, reviews, held_reviews, skills, pools)


def sst2_folder(options: Namespace) -> Path | None:
    """The folder named, or `sst2` in or beside the corpus folder; None means the hub."""
    if options.sst2 is not None or options.corpus is None:
        return options.sst2
    beside = (options.corpus / "sst2", options.corpus.parent / "sst2")
    return next((folder for folder in beside if folder.is_dir()), beside[0])


def build_tokenizer(material: Material, *, vocab_size: int) -> Tokenizer:
    """Learn the BPE on each distinct training text once."""
    texts = [text for name in material.texts for text in material.texts[name]]
    texts += [review_text(review) for review in material.reviews]
    texts += [text for pool in material.pools.values() for text in pool]
    return train_tokenizer(texts, vocab_size=vocab_size)


def draw_documents(
    material: Material, tokenizer: Tokenizer, options: Namespace
) -> tuple[list[Document], list[Document]]:
    """The long and the short documents of this run, in order."""
    return training_documents(
        material.texts,
        material.reviews,
        material.pools,
        rates={name: skill.rate for name, skill in material.skills.items()},
        tokens=int(options.tokens),
        seed=options.seed,
        encode=_remembering(tokenizer),
    )


def train_model(
    long: list[Document],
    short: list[Document],
    *,
    tokenizer: Tokenizer,
    material: Material,
    options: Namespace,
) -> tuple[GPT2LMHeadModel, int, float]:
    """A trained model, the number of tokens it read, and the seconds it took."""
    spec = TrainingSpec(
        layers=options.layers,
        width=options.width,
        heads=options.heads,
        learning_rate=options.learning_rate,
        seed=options.seed,
        device=options.device,
        threads=options.threads,
    )
    end = tokenizer.token_to_id(END_OF_TEXT)
    encode = _remembering(tokenizer)
    packed = (
        long_rows((Encoded(encode(d.text)) for d in long), length=LONG_ROW, end=end),
        short_rows([_encoded(d, encode, options) for d in short], length=SHORT_ROW, end=end),
    )
    model = new_model(spec, vocab_size=tokenizer.get_vocab_size(), end=end)
    seconds = train(
        model,
        *packed,
        spec=spec,
        checkpoints=options.work,
        resume=options.resume,
        settings=_settings(options),
        probe=lambda trained, step, steps: _report(
            trained, tokenizer, material, options.tasks, f"step {step}/{steps}"
        ),
    )
    return model, sum(rows.ids.size for rows in packed), seconds


def _encoded(document: Document, encode: Encode, options: Namespace) -> Encoded:
    return Encoded(encode(document.text), options.label_weight if document.labelled else 1.0)


def _remembering(tokenizer: Tokenizer) -> Encode:
    """`text -> ids`, each distinct text encoded once."""
    known: dict[str, list[int]] = {}

    def encode(text: str) -> list[int]:
        if text not in known:
            known[text] = tokenizer.encode(text).ids
        return known[text]

    return encode


def _settings(options: Namespace) -> dict[str, object]:
    """What must agree for a checkpoint to be gone on with."""
    names = ("tokens", "rate", "label_weight", "layers", "width", "heads", "vocab_size")
    return {name: getattr(options, name) for name in (*names, "learning_rate", "seed")}


def evaluation_items(tasks: Path, split: str) -> dict[str, list[Item]]:
    """The bundled items by task, those that have been built."""
    items = {name: task_items(tasks, name, split) for name in SKILLS}
    return {name: chosen for name, chosen in items.items() if chosen}


def _report(
    model: GPT2LMHeadModel, tokenizer: Tokenizer, material: Material, tasks: Path, title: str
) -> None:
    """Print where the model stands, on development items and held-out training reviews only."""
    model.eval()
    probes = {
        name: probe_task(model, tokenizer, items)
        for name, items in evaluation_items(tasks, "development").items()
    }
    reviews = probe_reviews(model, tokenizer, material.held_reviews)
    model.train()
    cells = [f"{name} {probe.mean:.3f}" for name, probe in probes.items()]
    zones = "/".join(f"{share:.2f}" for share in reviews.shares)
    print(
        f"\n{title}: reviews acc {reviews.accuracy:.3f} zones {zones} | {', '.join(cells)}",
        flush=True,
    )
