"""The sweep against a loop over hooks: same model, same grid, same process.

    python benchmarks/sweep.py                  # GPT-2 Small shape, every layer, 84 configurations
    python benchmarks/sweep.py --every 1        # the loops run the whole grid too: half an hour
    python benchmarks/sweep.py --model PATH     # on a model of yours; --dtype bfloat16
    python benchmarks/sweep.py --device cuda
    python benchmarks/sweep.py --check          # exit status 1 where a bound does not hold

The model, unless one is named, is built from a config with random weights: speed does not depend on
them, and nothing is downloaded. The sweep runs the whole grid; the loops run every 13th
configuration of it, so that every count and multiplier occurs. They take as long for one as for
another, and each result they give is compared with the sweep's.

The bounds: 5 times as fast as either loop, and no probability differs by more than 1e-4 of itself.

Times are medians, over the loops' configurations and over the sweep's groups of prompts layer by
layer, so that what else the machine does now and then falls out; `wall_s` is the clock's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from statistics import median
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from sna_eval.intervention import Engine, Intervention, Row, amplify, find_sites, probe
from sna_eval.measuring.grid import PAPER_COUNTS, PAPER_MULTIPLIERS, Configuration, Grid
from sna_eval.measuring.items import ItemRow
from sna_eval.measuring.passes import GridPasses, LayerPlan, group_rows, tokens_per_pass
from sna_eval.measuring.starts import find_routes

SHAPES = {
    "small": {"n_layer": 12, "n_embd": 768, "n_head": 12},
    "medium": {"n_layer": 24, "n_embd": 1024, "n_head": 16},
}
LEAST_RATIO = 5.0
LARGEST_DIFFERENCE = 1e-4
"""Relative: with random weights, each of 50,257 tokens has next to no probability."""
Swept = dict[Configuration, torch.Tensor]
Loop = Callable[[Configuration], torch.Tensor]
"""Probability of every prompt's target under one configuration of a layer, `[prompt]`."""


def main() -> int:
    args = _arguments()
    torch.manual_seed(0)
    torch.set_grad_enabled(False)
    if args.threads:
        torch.set_num_threads(args.threads)
    dtype = getattr(torch, args.dtype)
    model = _model(args.model, args.shape, dtype).eval().to(args.device)
    sites, vocabulary = find_sites(model), model.config.vocab_size
    ids = torch.randint(0, vocabulary, (args.prompts, args.length), device=args.device)
    targets = torch.randint(0, vocabulary, (args.prompts,), device=args.device)
    step = max(1, sites.n_layers // args.layers) if args.layers else 1
    grid = Grid(tuple(sites.layers[::step]), PAPER_COUNTS, PAPER_MULTIPLIERS)
    neurons = torch.randperm(sites.d_mlp)[: grid.largest_count].tolist()
    cases = [configuration for layer in grid.layers for configuration in grid.at(layer)]

    start = time.perf_counter()
    swept, seconds = _sweep(model, ids, targets, grid, neurons, args.tokens)
    result: dict[str, Any] = {
        "model": args.model or args.shape,
        "dtype": args.dtype,
        "prompts": args.prompts,
        "length": args.length,
        "threads": torch.get_num_threads(),
        "configurations": len(cases),
        "sweep": {
            "s_per_configuration": seconds / len(cases),
            "s": seconds,
            "wall_s": time.perf_counter() - start,
        },
    }
    for name, loop in (
        ("hooks", _plain_hooks(model, ids, targets, neurons)),
        ("run_with_hooks", _run_with_hooks(model, ids, targets, neurons)),
    ):
        result[name] = _compared(loop, cases[:: args.every], swept, seconds / len(cases))
    held = all(_holds(result[name]) for name in ("hooks", "run_with_hooks"))
    print(json.dumps({**result, "bounds_hold": held}, indent=2))
    return 1 if args.check and not held else 0


def _model(folder: str | None, shape: str, dtype: torch.dtype) -> Any:
    if folder is None:
        return GPT2LMHeadModel(GPT2Config(**SHAPES[shape])).to(dtype)
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)


def _holds(compared: dict[str, float]) -> bool:
    fast = compared["over_sweep"] >= LEAST_RATIO
    return fast and compared["max_relative_difference"] <= LARGEST_DIFFERENCE


def _compared(
    loop: Loop, sample: list[Configuration], swept: Swept, sweep_s: float
) -> dict[str, float]:
    """A loop's time for one configuration, and how its results differ from the sweep's."""
    loop(sample[0])  # warms up
    found, seconds = zip(*(_timed(partial(loop, case)) for case in sample), strict=True)
    theirs, ours = torch.stack(found), torch.stack([swept[case] for case in sample])
    difference = (theirs - ours).abs()
    return {
        "s_per_configuration": median(seconds),
        "over_sweep": median(seconds) / sweep_s,
        "max_difference": float(difference.max()),
        "max_relative_difference": float((difference / theirs).max()),
    }


def _sweep(
    model: Any, ids: Any, targets: Any, grid: Grid, neurons: list[int], tokens: int | None
) -> tuple[Swept, float]:
    """The whole grid the project's way, trials of the model and baseline included."""
    passes, trials = _timed(lambda: _passes(model, tokens))
    engine = passes.engine
    routes, routing = _timed(lambda: find_routes(engine, grid.layers))
    entries = [
        ItemRow(Row(tuple(row.tolist()), ((int(target),),)), number, (number,))
        for number, (row, target) in enumerate(zip(ids, targets, strict=True))
    ]
    groups = group_rows(
        entries,
        configurations=grid.per_layer,
        tokens=passes.tokens,
        device=engine.device,
    )
    plans = [LayerPlan(layer, routes[layer], {"": tuple(neurons)}) for layer in grid.layers]
    scores: dict[int, list[torch.Tensor]] = {layer: [] for layer in grid.layers}
    times: dict[int, list[float]] = {layer: [] for layer in (-1, *grid.layers)}
    with passes.shortcuts.everywhere(model):
        for group in groups:
            weights = {"both": torch.ones(len(group.rows), 1, device=engine.device)}
            (_, captured), took = _timed(partial(passes.baseline, group, plans))
            times[-1].append(took)
            for plan, kept in zip(plans, captured, strict=True):
                run = partial(passes.amplified, group, plan, kept, weights, grid.at(plan.layer))
                found, took = _timed(run)
                scores[plan.layer].append(found.exp())
                times[plan.layer].append(took)
    seconds = (
        trials + routing + sum(len(of_layer) * median(of_layer) for of_layer in times.values())
    )
    return {
        configuration: torch.cat(scores[layer], dim=1)[number]
        for layer in grid.layers
        for number, configuration in enumerate(grid.at(layer))
    }, seconds


def _passes(model: Any, tokens: int | None) -> GridPasses:
    """The model tried out."""
    sites = find_sites(model)
    engine = Engine(model, sites, probe(model, sites))
    passes = GridPasses(engine, tokens or tokens_per_pass(engine.device))
    assert passes.shortcuts is not None  # found now, to be counted
    return passes


def _plain_hooks(model: Any, ids: Any, targets: Any, neurons: list[int]) -> Loop:
    """One forward pass a configuration, with a hook on the output projection."""

    def loop(configuration: Configuration) -> torch.Tensor:
        chosen = Intervention(
            configuration.layer, tuple(neurons[: configuration.n_neurons]), configuration.multiplier
        )
        with amplify(model, [chosen]):
            return _target_probs(model(ids).logits, targets)

    return loop


def _run_with_hooks(model: Any, ids: Any, targets: Any, neurons: list[int]) -> Loop:
    """One `TransformerBridge.run_with_hooks` a configuration: what the paper's method would be."""
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=_any_tokenizer(), eos_token="<eos>")
    copied = deepcopy(model)
    copied.config.architectures = [type(model).__name__]
    bridge = TransformerBridge.boot_transformers(
        "the same", hf_model=copied, tokenizer=tokenizer, device=str(ids.device)
    )

    def loop(configuration: Configuration) -> torch.Tensor:
        def scale(activations: torch.Tensor, hook: Any) -> torch.Tensor:
            activations[..., neurons[: configuration.n_neurons]] *= configuration.multiplier
            return activations

        hooks = [(f"blocks.{configuration.layer}.mlp.out.hook_in", scale)]
        return _target_probs(bridge.run_with_hooks(ids, fwd_hooks=hooks), targets)

    return loop


def _any_tokenizer() -> Any:
    """The bridge wants a tokenizer; it never sees a text here."""
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({"<eos>": 0}, unk_token="<eos>"))


def _target_probs(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    last = torch.softmax(logits[:, -1].float(), dim=-1)
    return last[torch.arange(len(targets), device=last.device), targets]


def _timed(run: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = run()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result, time.perf_counter() - start


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=sorted(SHAPES), default="small")
    parser.add_argument("--model", help="folder of a model to measure instead of a random one")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--layers", type=int, help="about so many layers, evenly spaced")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--length", type=int, default=16, help="tokens of a prompt")
    parser.add_argument("--every", type=int, default=13, help="configurations the loops skip to")
    parser.add_argument("--tokens", type=int, help="tokens in one pass of the sweep")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--check", action="store_true", help="fail where a bound does not hold")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
