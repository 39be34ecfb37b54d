"""Train the bundled model `sna-reference` and write it as a model folder with its card.

    python scripts/train_reference_model.py --corpus DIR     # WikiText-2, Shakespeare, GSM8K files
    python scripts/train_reference_model.py                  # the same data sets from the hub
    python scripts/train_reference_model.py --device cuda --tokens 200e6
    python scripts/train_reference_model.py --corpus DIR --measure-only   # card and losses anew

Runs about 40 minutes on 2 CPU cores, where others use them too best with OMP_WAIT_POLICY=passive
in the environment. A killed run goes on with `--resume`. The steps stand in
`scripts/reference_model/`, one per module; how often each skill is exercised in `mixture.py`. It
does not build the tasks' items (`build_tasks.py` does, and `sna-eval transition` picks those of
`sna_transition` with the finished model: run that, then `--measure-only`).
"""

from __future__ import annotations

import sys
from argparse import Namespace

import torch
from tokenizers import Tokenizer

from reference_model.card import write_card
from reference_model.documents import Document
from reference_model.errors import UserInputError
from reference_model.measure import measure, recorded_run, write_losses
from reference_model.options import parse_options
from reference_model.pipeline import (
    Material,
    build_tokenizer,
    draw_documents,
    read_material,
    train_model,
)
from reference_model.shipping import load_shipped, ship
from reference_model.tokenizer import load_tokenizer


def main(arguments: list[str] | None = None) -> int:
    """Run the script; 2 and one line where the user's input is at fault."""
    options = parse_options(arguments)
    torch.set_num_threads(options.threads)
    try:
        run(options)
    except UserInputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def run(options: Namespace) -> None:
    """Train and ship unless only measuring, then measure and write the card."""
    material = read_material(options)
    if options.measure_only:
        tokenizer = load_tokenizer(options.out)
    else:
        tokenizer = build_tokenizer(material, vocab_size=options.vocab_size)
    long, short = draw_documents(material, tokenizer, options)
    facts = (
        recorded_run(options.out)
        if options.measure_only
        else train_and_ship(long, short, tokenizer=tokenizer, material=material, options=options)
    )
    write_findings(facts, [*long, *short], tokenizer=tokenizer, material=material, options=options)


def train_and_ship(
    long: list[Document],
    short: list[Document],
    *,
    tokenizer: Tokenizer,
    material: Material,
    options: Namespace,
) -> dict[str, object]:
    """Train, write the model folder, and give the facts of the run for the card."""
    model, tokens, seconds = train_model(
        long, short, tokenizer=tokenizer, material=material, options=options
    )
    ship(model, tokenizer, options.out)
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": tokenizer.get_vocab_size(),
        "layers": options.layers,
        "width": options.width,
        "heads": options.heads,
        "context": model.config.n_positions,
        "tokens_asked": int(options.tokens),
        "tokens": tokens,
        "minutes": round(seconds / 60, 1),
        "machine": f"{options.threads} CPU threads" if options.device == "cpu" else options.device,
        "seed": options.seed,
        "learning_rate": options.learning_rate,
        "label_weight": options.label_weight,
        "python": ".".join(map(str, sys.version_info[:2])),
    }


def write_findings(
    facts: dict[str, object],
    documents: list[Document],
    *,
    tokenizer: Tokenizer,
    material: Material,
    options: Namespace,
) -> None:
    """Measure the shipped folder and write `losses.json`, `held_out.json` and the card."""
    torch.set_num_threads(1)  # short texts one by one: two threads only wait for each other
    measured = measure(
        load_shipped(options.out),
        tokenizer,
        material=material,
        documents=documents,
        options=options,
    )
    write_losses(options.out, measured, facts)
    card = write_card(
        measured, run=facts, skills=material.skills, dropped=material.sources.reviews_dropped
    )
    (options.out / "MODEL_CARD.md").write_text(card, encoding="utf-8")
    print(card)


if __name__ == "__main__":
    sys.exit(main())
