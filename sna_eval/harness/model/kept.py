"""What is kept of a model, and all that it depends on: what it allows, and what it answered.

What a model allows is tried once: a model that is loaded again is not tried again. The trials are
some twenty short passes. What they found lies in the cache folder under the hash of everything it
depends on: weights, config, the modules that a model is made of, precision, device, versions. A
model that something hooks into is tried at every start.

Answers go by what an answer depends on: weights, numerics, the plan, and what was asked.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
import transformers
from lm_eval.models.huggingface import HFLM
from torch import nn
from tqdm import tqdm

from sna_eval import __version__
from sna_eval.cache import digest, read_entry, write_entry
from sna_eval.harness.plugin.ranks import Ranks
from sna_eval.harness.scoring.kept_texts import TextKey, TextKind
from sna_eval.harness.tasks.items import Item
from sna_eval.harness.tasks.questions import LiveTasks
from sna_eval.intervention import Abilities, Engine, Sites, probe
from sna_eval.intervention.decoder import base_model, config_fingerprint
from sna_eval.intervention.projections import submodule
from sna_eval.intervention.shortcuts import Shortcuts, find_shortcuts, fused_activations
from sna_eval.plan import task_fingerprint
from sna_eval.typed import build

if TYPE_CHECKING:
    from sna_eval.harness.lm import SNALM

T = TypeVar("T")
_TRIALS = 2
"""Raised where a trial comes to ask for something else."""
_KERNELS = {kernel.__name__: kernel for kernel in (fused_activations,)}


def numerics(lm: HFLM) -> dict[str, Any]:
    """A model's precision, window and settings, as plain values.

    Answers, sweeps and measurements that differ in any of it must not be mixed.
    """
    dtypes = {
        "dtype": next(lm.model.parameters()).dtype,
        "mixed_precision_dtype": lm.mixed_precision_dtype,
        "softmax_dtype": lm.softmax_dtype,
    }
    named = {
        name: None if dtype is None else str(dtype).removeprefix("torch.")
        for name, dtype in dtypes.items()
    }
    features = lm.sites.features if getattr(lm, "dictionaries", ()) else None
    if features is not None:
        named["dictionary_hash"] = features.sha256
    return {**named, "max_length": lm.max_length, "config_hash": config_fingerprint(lm.model)}


class Loaded(Protocol):
    """A loaded model, as far as trials go."""

    model: nn.Module
    device: torch.device
    ranks: Ranks

    @property
    def sites(self) -> Sites: ...
    @property
    def engine(self) -> Engine: ...
    @property
    def model_hash(self) -> str: ...


def abilities_of(lm: Loaded) -> Abilities:
    """The passes that a model allows, from disk or by trying."""
    return tried_once(
        lm,
        "abilities",
        find=lambda: probe(lm.model, lm.sites),
        write=asdict,
        read=_read_abilities,
    )


def shortcuts_of(lm: Loaded) -> Shortcuts:
    """The work that scoring may leave out, from disk or by trying."""
    return tried_once(
        lm,
        "shortcuts",
        find=lambda: find_shortcuts(lm.engine),
        write=_shortcuts_entry,
        read=lambda entry: _read_shortcuts(entry, lm.sites.blocks[-1]),
    )


def tried_once(
    lm: Loaded,
    what: str,
    *,
    find: Callable[[], T],
    write: Callable[[T], dict[str, Any]],
    read: Callable[[dict[str, Any]], T],
) -> T:
    """What a trial finds, from disk or by trying.

    **Arguments:**

    - `what`: names the trial, and what it depends on beside the model.
    - `read`: the other way round than `write`; raises `ValueError` for what it cannot be.
    """
    if _is_hooked(lm.model):
        return find()
    name = digest([what, _depends_on(lm)])
    # those that hold one model together must all try it, or none
    entry = lm.ranks.agreed(lambda: read_entry(name)) if lm.ranks.sharded else read_entry(name)
    if entry is not None:
        try:
            return read(entry)
        except ValueError:  # what another program wrote, or another model left
            pass
    with _counted_passes(lm):
        found = find()
    if lm.ranks.first:
        write_entry(name, write(found))
    return found


@contextmanager
def _counted_passes(lm: Loaded) -> Iterator[None]:
    """A bar on the terminal that moves with every pass of the body."""
    with tqdm(
        desc="Trying what the model allows", unit=" passes", leave=False,
        disable=None if lm.ranks.first else True,
    ) as bar:  # fmt: skip

        def count(module: nn.Module, args: Any, output: Any) -> None:
            bar.update()

        handle = base_model(lm.model).register_forward_hook(count)
        try:
            yield
        finally:
            handle.remove()


def _depends_on(lm: Loaded) -> dict[str, Any]:
    """Everything that a trial's outcome may depend on, as plain values."""
    model = base_model(lm.model)
    return {
        "trials": _TRIALS,
        "model_hash": lm.model_hash,
        "modules": [[name, _kind(module)] for name, module in model.named_modules()],
        "attention": str(getattr(model.config, "_attn_implementation", None)),
        "numerics": numerics(lm),
        "device": _device(lm.device),
        "versions": [__version__, torch.__version__, transformers.__version__],
    }


def _kind(module: nn.Module) -> str:
    return f"{type(module).__module__}.{type(module).__qualname__}"


def _device(device: torch.device) -> list[Any]:
    """What computes; a home folder may be shared by machines of different kinds."""
    processor = [platform.machine(), torch.backends.cpu.get_cpu_capability()]
    if device.type == "cuda":
        return [*processor, torch.cuda.get_device_name(device), torch.version.cuda]
    return [*processor, device.type]


def _is_hooked(model: nn.Module) -> bool:
    """Whether something outside the model acts in its passes: no hash knows what."""
    return any(
        module._forward_hooks or module._forward_pre_hooks or "forward" in vars(module)
        for module in model.modules()
    )


def _read_abilities(entry: dict[str, Any]) -> Abilities:
    """**Raises:** `ValueError` for other entries than all of `Abilities`."""
    if entry.keys() != asdict(Abilities()).keys():
        raise ValueError("not what a model allows")
    return build(Abilities, entry)


@dataclass(frozen=True)
class _Names:
    """Shortcuts as they lie on disk."""

    kernels: tuple[str, ...]
    narrow: tuple[str, ...]


def _shortcuts_entry(found: Shortcuts) -> dict[str, Any]:
    return asdict(_Names(tuple(kernel.__name__ for kernel in found.kernels), found.narrow))


def _read_shortcuts(entry: dict[str, Any], block: nn.Module) -> Shortcuts:
    """**Raises:** `ValueError` for kernels and modules that there are none of."""
    names = build(_Names, entry)
    known = all(name in _KERNELS for name in names.kernels)
    if not known or any(submodule(block, path) is None for path in names.narrow):
        raise ValueError("another model's shortcuts")
    return Shortcuts(tuple(_KERNELS[name] for name in names.kernels), names.narrow)


_SCORES = "loglikelihood 4"  # of cached answers: before, choices without a context were none
_TEXTS: dict[TextKind, str] = {
    "generate_until": "generate_until 1",
    "loglikelihood_rolling": "loglikelihood_rolling 1",
}


def item_key(lm: SNALM, live: LiveTasks) -> Callable[[Item], Any]:
    """Of an item's scores, as plain JSON values."""
    settings = numerics(lm)

    def key(item: Item) -> list[Any]:
        plan = lm.plans.for_instance(item.instance)
        right = live.right_answer(item) if plan is not None and plan.sees_answer else None
        return [
            _SCORES, lm.model_hash, lm.strict, right, item.unconditional,
            task_fingerprint(plan) if plan is not None else None, settings,
            [[request.context, request.continuation] for request in item.requests],
            *(["alone"] if item.alone else []),
        ]  # fmt: skip

    return key


def text_key(lm: SNALM) -> TextKey:
    """Of a generated text, or of a whole text's score, as plain JSON values."""
    settings = numerics(lm)
    defaults = getattr(lm.model, "generation_config", None)
    writing = {
        "decide_at": lm.decide_at, "max_gen_toks": lm.max_gen_toks, "eos": lm.eot_token_id,
        "think_end_token": lm.think_end_token, "truncation": lm.truncation,
        "defaults": None if defaults is None else defaults.to_json_string(),
    }  # fmt: skip

    def key(kind: TextKind, request: Any, planned: bool) -> list[Any]:
        plan = lm.plans.for_instance(request) if planned else None
        text, *options = request.args
        generates = kind == "generate_until"
        return [
            _TEXTS[kind], lm.model_hash, lm.strict,
            task_fingerprint(plan) if plan is not None else None, settings,
            lm.tok_encode(text), [*options, writing] if generates else lm.prefix_token_id,
        ]  # fmt: skip

    return key
