"""How far scores lie from those in float64: `sna`'s, and those of `--model hf`.

    python benchmarks/exactness.py --model PATH            # the table of docs/reliability.md
    python benchmarks/exactness.py --model PATH --each     # with each shortcut of `sna` left out

The same requests go through lm_eval's own `HFLM`, through `sna`, and through plain passes of a
copy of the model in float64, where what transformers computes in float32 whatever the weights are
(norms, rotary tables) is in float64 too. Amplified scores are held against `HFLM` and the copy with
hooks of this script's own. Texts are the sentences that ship with the package, choices the words
that follow or random ones. The last column is how far `sna` is from `hf` at most.

Both root mean squares have the same rounding in them, so neither side is the better one where they
differ by a few hundredths, and a case of four values decides nothing. `--check` fails where, over
all values, `sna`'s is more than a tenth above `hf`'s.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from torch.overrides import TorchFunctionMode
from transformers import AutoModelForCausalLM, AutoTokenizer

from sna_eval.files import neutral_text_path
from sna_eval.harness.lm import SNALM
from sna_eval.intervention import Engine, find_sites

MOST = 1.1
"""Largest ratio of the two root mean squares that `--check` lets pass."""
MULTIPLIER = 2.0
NEURONS = tuple(range(0, 200, 20))
BATCH = 4
Documents = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Case:
    """Documents of one kind, each a context and its choices."""

    documents: Callable[[], Documents]
    bos: bool = True
    """Whether texts begin with the tokenizer's own beginning token, where it has one."""


def words(start: int, count: int) -> list[str]:
    """Consecutive words of the bundled text, which goes on from its beginning at its end."""
    text = neutral_text_path().read_text(encoding="utf-8").split()
    return list(islice(cycle(text), start % len(text), start % len(text) + count))


def following(context: int, documents: int, choices: int = 2) -> Documents:
    """Contexts of so many words, and single words to choose from: those that follow."""
    made = []
    for number in range(documents):
        chosen = words(97 * number, context + choices)
        made.append((" ".join(chosen[:context]), [f" {word}" for word in chosen[context:]]))
    return made


def long_choices() -> Documents:
    """A context of 50 words, and four choices of ten random words each."""
    rng, pool = random.Random(0), words(0, 400)
    return [
        (context, [" " + " ".join(rng.choices(pool, k=10)) for _ in range(4)])
        for context, _ in following(50, 6)
    ]


def fixed_shots() -> Documents:
    """The same 100 words before every document, and four short choices."""
    shots = " ".join(words(0, 100))
    return [(f"{shots} {context}", [" A", " B", " yes", " no"]) for context, _ in following(20, 8)]


CASES = {
    "ten tokens": Case(lambda: following(8, 24)),
    "ten tokens, no beginning token": Case(lambda: following(8, 24), bos=False),
    "640 tokens": Case(lambda: following(550, 4)),
    "four long choices": Case(long_choices),
    "a common beginning": Case(fixed_shots),
}


class Float64(TorchFunctionMode):
    """Whatever is asked for in float32 comes in float64."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is torch.Tensor.float:
            return args[0].double()
        wide = {torch.float32: torch.float64}
        args = tuple(wide.get(arg, arg) if isinstance(arg, torch.dtype) else arg for arg in args)
        kwargs = {
            name: wide.get(arg, arg) if isinstance(arg, torch.dtype) else arg
            for name, arg in (kwargs or {}).items()
        }
        return function(*args, **kwargs)


@contextmanager
def amplified(model: Any, layer: int) -> Iterator[None]:
    """Some neurons of a layer times `MULTIPLIER`, by a hook of this script's own."""

    def scale(module: Any, args: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        factors = torch.ones(args[0].shape[-1], dtype=args[0].dtype, device=args[0].device)
        factors[list(NEURONS)] = MULTIPLIER
        return (args[0] * factors,)

    handle = find_sites(model).projections[layer].register_forward_pre_hook(scale)
    try:
        yield
    finally:
        handle.remove()


@torch.no_grad()
def in_float64(model: Any, encoded: Sequence[tuple[list[int], list[int]]]) -> torch.Tensor:
    """Log-likelihood of every continuation, `[request]`, one plain pass for each text."""
    known: dict[tuple[int, ...], torch.Tensor] = {}
    found = []
    for context, continuation in encoded:
        read = tuple((context + continuation)[:-1])
        if (read, len(continuation)) not in known:
            with Float64():
                ids = torch.tensor([read], device=model.device)
                logits = model(ids, use_cache=False, logits_to_keep=len(continuation)).logits[0]
            known[read, len(continuation)] = torch.log_softmax(logits, dim=-1)
        log_probs = known[read, len(continuation)]
        found.append(log_probs[range(len(continuation)), continuation].sum())
    return torch.stack(found).cpu()


def instances(documents: Documents) -> list[Instance]:
    return [
        Instance("loglikelihood", {}, (context, choice), place, metadata=("case", number, 1))
        for number, (context, choices) in enumerate(documents)
        for place, choice in enumerate(choices)
    ]


def scores(lm: HFLM, requests: list[Instance]) -> list[Any]:
    return [value for value, _ in lm.loglikelihood(requests, disable_tqdm=True)]


def in_double(values: Sequence[float]) -> torch.Tensor:
    return torch.tensor([float(value) for value in values], dtype=torch.float64)


@dataclass(frozen=True)
class Compared:
    """Both sides' distances from float64, and their own."""

    hf: torch.Tensor
    sna: torch.Tensor

    @property
    def ratio(self) -> float:
        """`sna`'s root mean square over `hf`'s."""
        return _rms(self.sna) / _rms(self.hf)

    def cells(self) -> str:
        apart = float((self.hf - self.sna).abs().max())
        sides = (
            f"{_rms(side):.1e} | {float(side.abs().max()):.1e}" for side in (self.hf, self.sna)
        )
        return f"{' | '.join(sides)} | {self.ratio:.2f} | {apart:.1e}"


def _rms(values: torch.Tensor) -> float:
    return float(values.square().mean().sqrt())


def without_each(engine: Engine) -> dict[str, Engine]:
    """The engine as it is, with each of its shortcuts left out, and with none."""
    cuts, able = engine.shortcuts, engine.abilities
    made = {"as it is": engine}
    for kernel in cuts.kernels:
        left = tuple(other for other in cuts.kernels if other is not kernel)
        made[f"without {kernel.__name__}"] = replace(engine, shortcuts=replace(cuts, kernels=left))
    made["all positions of the last block"] = replace(engine, shortcuts=replace(cuts, narrow=()))
    for name in ("packs", "shares_prefix", "resumes"):
        made[f"without {name}"] = replace(engine, abilities=replace(able, **{name: False}))
    plain = type(able)(returns_tuple=able.returns_tuple)
    made["with none"] = replace(engine, abilities=plain, shortcuts=type(cuts)())
    return made


def compare(
    case: Case, models: tuple[Any, Any], tokenizer: Any, *, layer: int, each: bool
) -> Iterator[tuple[str, Compared]]:
    """Lines of the table: what of `sna` ran, which answers, and both sides' distances."""
    model, wide = models
    arguments = {"tokenizer": tokenizer, "batch_size": BATCH}
    if not case.bos:
        arguments["add_bos_token"] = False
    hf = HFLM(model, **arguments)
    neurons = ";".join(map(str, NEURONS))
    plan = {"layer": layer, "neurons": neurons, "multiplier": MULTIPLIER, "gate": "always"}
    sna = SNALM(model, **arguments, **plan)
    requests = instances(case.documents())
    encoded = [hf._encode_pair(*request.args) for request in requests]
    sides = {}
    for name in ("baseline", "amplified"):
        with ExitStack() as stack:
            if name == "amplified":
                stack.enter_context(amplified(model, layer))
                stack.enter_context(amplified(wide, layer))
            sides[name] = in_float64(wide, encoded), in_double(scores(hf, requests))
    engines = without_each(sna.scoring_engine) if each else {"": sna.scoring_engine}
    for way, engine in engines.items():
        sna.__dict__["scoring_engine"] = engine
        answers = scores(sna, requests)
        ours = {
            "baseline": in_double([value.evidence.baseline for value in answers]),
            "amplified": in_double(answers),
        }
        for name, (exact, theirs) in sides.items():
            yield f"{way}, {name}" if way else name, Compared(theirs - exact, ours[name] - exact)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="folder of a model in float32, or its name")
    parser.add_argument("--layer", type=int, help="that is amplified; the middle one if not given")
    parser.add_argument("--cases", nargs="*", default=list(CASES), choices=list(CASES))
    parser.add_argument("--each", action="store_true", help="leave out each shortcut in turn")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--check", action="store_true", help="fail where a bound does not hold")
    args = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model, wide = (
        AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32).eval().to(args.device)
        for _ in range(2)
    )
    layer = find_sites(model).n_layers // 2 if args.layer is None else args.layer
    print("| case | answers | `hf` rms | largest | `sna` rms | largest | ratio | `sna` - `hf` |")
    print("|---|---|---|---|---|---|---|---|")
    found: list[Compared] = []
    for name in args.cases:
        lines = compare(CASES[name], (model, wide.double()), tokenizer, layer=layer, each=args.each)
        for answers, compared in lines:
            print(f"| {name} | {answers} | {compared.cells()} |", flush=True)
            found.append(compared)
    whole = Compared(
        *(torch.cat(side) for side in zip(*((c.hf, c.sna) for c in found), strict=True))
    )
    return 1 if args.check and whole.ratio > MOST else 0


if __name__ == "__main__":
    sys.exit(main())
