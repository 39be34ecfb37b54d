"""Holds the cost model against measurements on this machine.

    python benchmarks/scaling.py [--model PATH]

Scores random texts with a random Llama-shaped model, or one of yours, and prints, for each case,
predicted over measured processor time, and for each batch predicted over measured growth of memory
(on Linux). The speed of the machine is one number for all cases: all operations over all seconds.
Processor time, not time on the clock, so that other work on the machine counts little. A case's
layer, of the twelve that the random model has, is taken as deep in yours.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from cost import ModelSize, Work, amplified_flops, baseline_flops, scoring_bytes

from sna_eval.intervention import find_sites
from sna_eval.intervention.decoder import text_config

logging.disable(logging.WARNING)
SIZE = ModelSize(12, 512, 1408, 4096, keys=512, bytes_per_weight=4)
BATCH = 8
CASES = {
    "closed, 128 tokens": Work(32, 128, 1),
    "closed, 64 tokens": Work(64, 64, 1),
    "closed, 512 tokens": Work(8, 512, 1),
    "all open at layer 0": Work(32, 128, 1, 1.0, 0),
    "all open at layer 6": Work(32, 128, 1, 1.0, 6),
    "all open at layer 11": Work(32, 128, 1, 1.0, 11),
    "64 of 128 positions scored": Work(32, 128, 64),
}
BATCHES = (8, 32)


def build(folder: str | None) -> Any:
    """The model in a folder, or a random one of `SIZE`."""
    from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

    if folder is not None:
        return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    torch.manual_seed(0)
    heads = SIZE.d_model // 64
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=SIZE.vocabulary, hidden_size=SIZE.d_model, intermediate_size=SIZE.d_mlp,
            num_hidden_layers=SIZE.layers, num_attention_heads=heads, num_key_value_heads=heads,
            max_position_embeddings=1024,
        )
    ).eval()  # fmt: skip


def size_of(model: Any) -> ModelSize:
    """A model's sizes, in float32."""
    sites, config = find_sites(model), text_config(model)
    width = getattr(config, "head_dim", None) or sites.d_model // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return ModelSize(
        sites.n_layers, sites.d_model, sites.d_mlp, config.vocab_size, keys=heads * width,
        gated=any("gate" in name for name, _ in sites.blocks[0].named_modules()),
        bytes_per_weight=4,
    )  # fmt: skip


def as_deep(work: Work, model: Any) -> Work:
    """The case with its layer as deep in a model as it is in one of `SIZE`."""
    return replace(work, layer=work.layer * find_sites(model).n_layers // SIZE.layers)


def evaluator(model: Any, work: Work, batch: int) -> Any:
    """An `SNALM` that opens every gate or none."""
    from transformers import AutoTokenizer

    from sna_eval.files import reference_model_path
    from sna_eval.harness.lm import SNALM

    tokenizer = AutoTokenizer.from_pretrained(reference_model_path())
    gate = "always" if work.open_share else "never"
    lm = SNALM(
        model, tokenizer=tokenizer, batch_size=batch,
        layer=work.layer, neurons="1;2;3", multiplier=2.0, gate=gate,
    )  # fmt: skip
    lm.__dict__["scoring_engine"] = lm.engine  # shortcuts are not in the model
    return lm


def score(lm: Any, work: Work, documents: int) -> None:
    """Scores random token sequences."""
    from lm_eval.api.instance import Instance

    ids = torch.randint(1, 4000, (documents, work.tokens + 1)).tolist()
    split = work.tokens + 1 - work.scored
    encoded = [((str(n), ""), row[:split], row[split:]) for n, row in enumerate(ids)]
    instances = [
        Instance("loglikelihood", {}, texts, 0, ("any", n, 1))
        for n, (texts, _, _) in enumerate(encoded)
    ]
    lm.score_encoded(instances, encoded, quiet=True)


def seconds(model: Any, works: Sequence[Work], repeats: int) -> list[float]:
    """Processor time of every case: the least of some rounds, so that none gains by its place."""
    evaluators = [evaluator(model, work, BATCH) for work in works]
    rounds = [
        [_one(lm, work) for lm, work in zip(evaluators, works, strict=True)]
        for _ in range(repeats + 1)
    ]
    return [min(times) for times in zip(*rounds[1:], strict=True)]  # the first round warms up


def _one(lm: Any, work: Work) -> float:
    start = time.process_time()
    score(lm, work, work.documents)
    return time.process_time() - start


def peak(model: Any, batch: int) -> None:
    """Prints by how many bytes scoring makes this process grow."""
    work = as_deep(Work(batch, 256, 1, 1.0, 6), model)
    lm = evaluator(model, work, batch)
    score(lm, work, 1)
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak of loading
    before = _memory("VmRSS")
    score(lm, work, 2 * batch)
    print(_memory("VmHWM") - before)


def _memory(name: str) -> int:
    """An entry of this process' status, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=3, help="runs of a case, the best counts")
    parser.add_argument("--model", help="folder of a model to measure instead of a random one")
    parser.add_argument("--peak", type=int, help="measure this batch's memory and nothing else")
    arguments = parser.parse_args()
    model = build(arguments.model)
    if arguments.peak:
        peak(model, arguments.peak)
        return
    size = size_of(model)
    works = [as_deep(case, model) for case in CASES.values()]
    flops = [baseline_flops(size, work) + amplified_flops(size, work) for work in works]
    measured = seconds(model, works, arguments.repeats)
    rate = sum(flops) / sum(measured)
    print(
        "| case | GFLOP | measured s | predicted s | predicted / measured |\n|---|---|---|---|---|"
    )
    for name, operations, took in zip(CASES, flops, measured, strict=True):
        expected = operations / rate
        row = f"{operations / 1e9:.0f} | {took:.2f} | {expected:.2f} | {expected / took:.2f}"
        print(f"| {name} | {row} |", flush=True)
    print("\n| batch | measured MiB | predicted MiB | predicted / measured |\n|---|---|---|---|")
    for batch in BATCHES:
        named = ["--model", arguments.model] if arguments.model else []
        command = [sys.executable, __file__, *named, "--peak", str(batch)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        grown = int(done.stdout)
        work = as_deep(Work(batch, 256, 1, 1.0, 6), model)
        expected = scoring_bytes(size, work, batch=batch)
        row = f"{grown / 2**20:.0f} | {expected / 2**20:.0f} | {expected / max(grown, 1):.2f}"
        print(f"| {batch} | {row} |", flush=True)


if __name__ == "__main__":
    main()
