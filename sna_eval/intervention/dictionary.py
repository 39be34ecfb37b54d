"""Sparse dictionaries of a model's state: files, and how strongly each feature is active.

A sparse autoencoder writes the state `x` at one place of a model as a sum of few of its many
directions, `x ~ b + sum over i of a_i * W_dec[i]`. Read are the folders that sae_lens (`cfg.json`
and `sae_weights.safetensors`) and sparsify (`cfg.json` and `sae.safetensors`) write, with their
activations: ReLU, JumpReLU (Rajamanoharan et al. 2024, arXiv:2407.14435) and top-k (Gao et al.
2024, arXiv:2406.04093). Nothing else is: pickles can run code, and what an encoder does to a state
that these three do not describe would be guessed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from sna_eval.errors import InputError, reading
from sna_eval.files import MIB, expanded, is_file, is_folder, read_json, read_tensors
from sna_eval.typed import Json

FIELD = "dictionary"
"""The model argument that names folders."""
CONFIG_NAME = "cfg.json"
_LARGEST = 8 * 2**30  # bytes; 131,000 features of 4,096 numbers take half of it

Activation = Literal["relu", "jumprelu", "topk"]


@dataclass(frozen=True, eq=False)
class Dictionary:
    """One dictionary, in float32 on the CPU."""

    folder: str
    """Where it was read, for messages."""
    hook_point: str
    """Whose output it describes, as its maker names it: `blocks.8.hook_resid_post`, `layers.8`."""
    encoder: torch.Tensor
    """`[feature, d_model]`."""
    encoder_bias: torch.Tensor
    """`[feature]`."""
    decoder: torch.Tensor
    """What each feature writes per unit of its activation, `[feature, d_model]`."""
    bias: torch.Tensor
    """The decoder's, `[d_model]`."""
    activation: Activation
    shifts: bool = True
    """Whether the decoder's bias is taken from a state before it is encoded."""
    by_norm: bool = False
    """Of top-k: whether features are chosen by how far they write."""
    threshold: torch.Tensor | None = None
    """Of JumpReLU, `[feature]`."""
    k: int = 0
    """Of top-k: features that are active at once."""
    _placed: dict[Any, Dictionary] = field(default_factory=dict, repr=False)

    @property
    def n_features(self) -> int:
        return int(self.encoder.shape[0])

    @property
    def width(self) -> int:
        """Numbers of the states that it describes."""
        return int(self.encoder.shape[1])

    @property
    def sha256(self) -> str:
        """Hash of all that its activations and directions depend on."""
        told = [self.hook_point, self.activation, self.k, self.shifts, self.by_norm]
        parts = hashlib.sha256(repr(told).encode())
        for tensor in self._tensors().values():
            parts.update(tensor.contiguous().numpy().tobytes())
        return parts.hexdigest()

    def beside(self, values: torch.Tensor) -> Dictionary:
        """The same on the device of `values` and in its dtype, but in float32 at least."""
        dtype = torch.promote_types(values.dtype, torch.float32)
        if (values.device, dtype) == (self.encoder.device, self.encoder.dtype):
            return self
        place = (values.device, dtype)
        if place not in self._placed:
            moved: dict[str, Any] = {
                name: tensor.to(values.device, dtype) for name, tensor in self._tensors().items()
            }
            self._placed[place] = replace(self, **moved, _placed={})
        return self._placed[place]

    @torch.no_grad()
    def activations(self, states: torch.Tensor) -> torch.Tensor:
        """How strongly each feature is active, `[..., d_model]` to `[..., feature]`."""
        here = self.beside(states)
        shifted = states.to(here.encoder.dtype)
        if here.shifts:
            shifted = shifted - here.bias
        before = torch.nn.functional.linear(shifted, here.encoder, here.encoder_bias)
        if here.threshold is not None:
            return before.relu() * (before > here.threshold)
        if here.activation == "relu":
            return before.relu()
        ranked = before * here.decoder.norm(dim=-1) if here.by_norm else before
        largest = ranked.topk(here.k, dim=-1).indices
        chosen = before.gather(-1, largest).relu()
        return torch.zeros_like(before).scatter(-1, largest, chosen)

    def _tensors(self) -> dict[str, torch.Tensor]:
        return {
            "encoder": self.encoder, "encoder_bias": self.encoder_bias, "decoder": self.decoder,
            "bias": self.bias,
            **({} if self.threshold is None else {"threshold": self.threshold}),
        }  # fmt: skip


def read_dictionary(folder: str | Path) -> Dictionary:
    """Reads a dictionary in the layout of sae_lens or of sparsify.

    **Raises:** `InputError` for a folder that holds none, and for one that does more than the
    formulas here.
    """
    path = expanded(folder)
    if not is_folder(path):
        raise InputError(
            FIELD, expected="a folder with cfg.json and weights as safetensors", got=str(folder),
            hint="download it first, for example by `hf download`",
        )  # fmt: skip
    for name, read in _LAYOUTS.items():
        if is_file(path / name):
            raw = _config(path)
            with reading(f"{path / name}", expected="a safetensors file", got=name):
                tensors = read_tensors(path / name, largest=_LARGEST)
            with reading(f"{path / CONFIG_NAME}", expected="a dictionary's settings", got=name):
                return read(path, raw, tensors)
    there = ", ".join(sorted(entry.name for entry in path.iterdir())[:5]) or "nothing"
    raise InputError(
        FIELD, expected=f"{' or '.join(_LAYOUTS)} in {path}", got=there,
        hint="load it with sae_lens and save it anew by `save_model`; pickles are not read",
    )  # fmt: skip


def _config(path: Path) -> dict[str, Any]:
    with reading(f"{path / CONFIG_NAME}", expected="a JSON object", got=CONFIG_NAME):
        raw = read_json(path / CONFIG_NAME, largest=MIB)
        if not isinstance(raw, dict):
            raise ValueError("no object")
    told = raw.get("metadata")
    return {**(told if isinstance(told, dict) else {}), **raw}


def _sae_lens(path: Path, raw: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> Dictionary:
    """As `SAE.save_model` of sae_lens writes it, by releases of before 6 too."""
    named = raw.get("activation_fn", raw.get("activation_fn_str", "relu"))
    activation: Any = raw.get("architecture", "standard")
    if activation == "standard":
        activation = named
    _expect(path, "architecture", activation, ("relu", "jumprelu", "topk"))
    _expect(path, "activation_fn", named, ("relu", "topk"))
    _expect(path, "reshape_activations", raw.get("reshape_activations"), (None, "none"))
    _expect(path, "normalize_activations", raw.get("normalize_activations"), (None, "none", False))
    for name in ("hook_head_index", "hook_point_head_index", "finetuning_scaling_factor"):
        _expect(path, name, raw.get(name), (None, False))
    loaded = raw.get("model_from_pretrained_kwargs") or {}
    for name in ("center_writing_weights", "fold_ln"):
        given = loaded.get(name) if isinstance(loaded, dict) else loaded
        _expect(path, f"model_from_pretrained_kwargs.{name}", given, (None, False))
    of = _Tensors(path, tensors, width=raw.get("d_in"), count=raw.get("d_sae"))
    decoder = of.take("W_dec", "fd")
    encoder, bias = of.take("W_enc", "df").T.contiguous(), of.take("b_enc", "f")
    threshold = of.take("threshold", "f") if activation == "jumprelu" else None
    k = raw.get("k", (raw.get("activation_fn_kwargs") or {}).get("k"))
    return Dictionary(
        str(path), _hook_name(path, raw), encoder, bias, decoder, of.take("b_dec", "d"), activation,
        shifts=bool(raw.get("apply_b_dec_to_input", True)),
        by_norm=activation == "topk" and bool(raw.get("rescale_acts_by_decoder_norm")),
        threshold=threshold, k=_k(path, k, bias) if activation == "topk" else 0,
    )  # fmt: skip


def _sparsify(path: Path, raw: dict[str, Any], tensors: Mapping[str, torch.Tensor]) -> Dictionary:
    """As `SparseCoder.save_to_disk` of sparsify writes it, in a folder named as the hook point."""
    _expect(path, "activation", raw.get("activation", "topk"), ("topk",))
    for name in ("transcode", "skip_connection", "signed"):
        _expect(path, name, raw.get(name), (None, False))
    of = _Tensors(path, tensors, width=raw.get("d_in"), count=raw.get("num_latents") or None)
    encoder, bias = of.take("encoder.weight", "fd"), of.take("encoder.bias", "f")
    return Dictionary(
        str(path), path.resolve().name, encoder, bias, of.take("W_dec", "fd"),
        of.take("b_dec", "d"), "topk", k=_k(path, raw.get("k", 32), bias),
    )  # fmt: skip


_LAYOUTS: Mapping[str, Callable[[Path, dict[str, Any], Mapping[str, torch.Tensor]], Dictionary]]
_LAYOUTS = {"sae_weights.safetensors": _sae_lens, "sae.safetensors": _sparsify}


class _Tensors:
    """A file's tensors, each taken in the shape it must have."""

    def __init__(
        self, path: Path, tensors: Mapping[str, torch.Tensor], *, width: Any, count: Any
    ) -> None:
        self._path, self._tensors = path, tensors
        decoder = tensors.get("W_dec")
        shape = (None, None) if decoder is None or decoder.dim() != 2 else decoder.shape
        self._sizes = {"f": count or shape[0], "d": width or shape[1]}

    def take(self, name: str, axes: str) -> torch.Tensor:
        """
        **Arguments:**

        - `axes`: `f` for features, `d` for numbers of a state.
        """
        found = self._tensors.get(name)
        wanted = [self._sizes[axis] for axis in axes]
        if found is None or list(found.shape) != wanted or not bool(found.isfinite().all()):
            got = "none" if found is None else f"{list(found.shape)}, {found.dtype}"
            raise InputError(
                f"{FIELD}: {self._path}: {name}", expected=f"finite numbers, {wanted}", got=got
            )
        return found.to(torch.float32)


def _k(path: Path, value: Any, bias: torch.Tensor) -> int:
    if not isinstance(value, int) or not 1 <= value <= len(bias):
        raise InputError(
            f"{FIELD}: {path}: k", expected=f"a number from 1 to {len(bias)}, the features",
            got=value,
        )  # fmt: skip
    return value


def _hook_name(path: Path, raw: Json) -> str:
    name = raw.get("hook_name", raw.get("hook_point"))
    if not isinstance(name, str):
        raise InputError(
            f"{FIELD}: {path}: hook_name", expected="a place such as blocks.8.hook_resid_post",
            got=name, hint=f"write it into {CONFIG_NAME}",
        )  # fmt: skip
    return name


def _expect(path: Path, name: str, value: Any, allowed: tuple[Any, ...]) -> None:
    if not any(
        type(value) is type(choice) and value == choice for choice in allowed
    ):  # 0 is not False
        known = " or ".join(str(choice) for choice in allowed if choice is not None)
        raise InputError(
            f"{FIELD}: {path}: {name}", expected=known, got=value,
            hint="such a dictionary does more than is computed here",
        )  # fmt: skip
