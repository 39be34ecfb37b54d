"""What a model allows is tried once and kept: a model that is loaded again is not tried again.

The trials are some twenty short passes. What they found lies in the cache folder under the hash of
everything it depends on: weights, config, the modules that a model is made of, precision, device,
versions. A model that something hooks into is tried at every start.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

import torch
import transformers
from torch import nn
from tqdm import tqdm

from sna_eval import __version__
from sna_eval.cache import digest, read_entry, write_entry
from sna_eval.harness.model.answer_keys import numerics
from sna_eval.harness.plugin.ranks import Ranks
from sna_eval.intervention import Abilities, Engine, Sites, probe
from sna_eval.intervention.decoder import base_model
from sna_eval.intervention.projections import submodule
from sna_eval.intervention.shortcuts import Shortcuts, find_shortcuts, fused_activations
from sna_eval.typed import build

T = TypeVar("T")
_TRIALS = 2
"""Raised where a trial comes to ask for something else."""
_KERNELS = {kernel.__name__: kernel for kernel in (fused_activations,)}


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
