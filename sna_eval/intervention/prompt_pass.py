"""One prompt pass for both: the unmodified model's first token, and the amplified continuation.

Installed around `model.generate`. The first forward pass runs unmodified and captures what enters
the lowest intervened layer. Rows that the gate opens are run on from there with the interventions,
into a cache of their own; their logits, keys and values then replace the baseline's. Every later
pass amplifies the open rows. Prompts are padded on the left, so the last position of the first pass
is every row's last prompt token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from sna_eval.intervention.amplify import amplify
from sna_eval.intervention.decoder import base_model, text_config
from sna_eval.intervention.partial_passes import captured_inputs, resumed
from sna_eval.intervention.sites import Sites
from sna_eval.intervention.spec import Affine, acting


class SharedPromptPass:
    """Gate and interventions for one call of `model.generate`.

    **Arguments:**

    - `interventions`: what open rows get; may be empty.
    - `decide`: from the first token's log-probabilities, `[batch, vocabulary]`, to the rows that
        open, bool `[batch]`. Called once.
    - `returns_tuple`: whether the model's blocks return a tuple.
    """

    def __init__(
        self,
        model: nn.Module,
        sites: Sites,
        interventions: Sequence[Affine],
        *,
        decide: Callable[[torch.Tensor], torch.Tensor],
        returns_tuple: bool,
    ) -> None:
        self._model = base_model(model)  # a PEFT wrapper's own forward is not what generates
        self._sites = sites
        self._interventions = tuple(interventions)
        self._decide = decide
        self._returns_tuple = returns_tuple
        self._rows: torch.Tensor | None = None
        """Open rows; `None` until decided."""

    @contextmanager
    def installed(self) -> Iterator[None]:
        """`model.generate` in the body is gated."""
        layers = [min(entry.layer for entry in self._interventions)] if self._interventions else []
        with ExitStack() as stack:
            captured = stack.enter_context(captured_inputs(self._sites, layers))
            stack.enter_context(
                amplify(self._model, self._interventions, sites=self._sites, mask=self._mask)
            )

            def after(
                module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
            ) -> Any:
                if self._rows is not None:
                    return output
                handle.remove()
                return self._after_prompt(args, kwargs, output, captured)

            handle = self._model.register_forward_hook(after, with_kwargs=True)
            stack.callback(handle.remove)
            yield

    def _mask(self, intervention: Affine, positions: int) -> torch.Tensor:
        """Nowhere in the prompt pass, then the open rows."""
        if self._rows is None:
            return torch.zeros(1, 1, dtype=torch.bool)
        return self._rows.unsqueeze(1) & acting_positions(
            intervention, positions, prompt=False, device=self._rows.device
        )

    def _after_prompt(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        output: Any,
        captured: Mapping[int, torch.Tensor],
    ) -> Any:
        """Decides, and puts the amplified prompt of the open rows into the output."""
        log_probs = torch.log_softmax(output.logits[:, -1].float(), dim=-1)
        rows = self._decide(log_probs).to(log_probs.device)
        if self._interventions and bool(rows.any()):
            (layer,) = captured
            self._replace(output, rows, layer, captured[layer], args, kwargs)
        self._rows = rows
        return output

    def _replace(
        self,
        output: Any,
        rows: torch.Tensor,
        layer: int,
        hidden: torch.Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        chosen = rows.nonzero().squeeze(1)
        fresh = amplified_prompt(
            self._model, self._sites, self._interventions, chosen, hidden, args, kwargs,
            returns_tuple=self._returns_tuple,
        )  # fmt: skip
        output.logits = output.logits.index_copy(0, chosen, fresh.logits)
        kept = output.past_key_values.layers
        for number in range(layer, len(kept)):
            put_rows(kept[number], fresh.past_key_values.layers[number], chosen)


def amplified_prompt(
    model: nn.Module,
    sites: Sites,
    interventions: Sequence[Affine],
    chosen: torch.Tensor,
    hidden: torch.Tensor,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    returns_tuple: bool,
) -> Any:
    """What the model gives for some rows of a prompt pass with the interventions on.

    **Arguments:**

    - `chosen`: numbers of these rows.
    - `hidden`: what entered the lowest intervened layer in the unmodified pass, `[batch, position,
        d_model]`; the pass goes on from there, into a cache of its own.
    - `args`, `kwargs`: those of the unmodified pass.
    """
    from transformers import DynamicCache

    batch = hidden.shape[0]
    arguments = {
        key: value[chosen.to(value.device)] if _is_batched(value, batch) else value
        for key, value in kwargs.items()
    }
    arguments["past_key_values"] = DynamicCache(config=text_config(model))
    chosen_args = tuple(arg[chosen] if _is_batched(arg, batch) else arg for arg in args)
    starts = padding_on_the_left(arguments.get("attention_mask"))

    def mask(intervention: Affine, positions: int) -> torch.Tensor:
        return acting_positions(
            intervention, positions, prompt=True, device=hidden.device, starts=starts
        )

    layer = min(entry.layer for entry in interventions)
    rows = hidden[chosen.to(hidden.device)]
    start = resumed(sites, layer, rows, returns_tuple=returns_tuple)
    with start, amplify(model, interventions, sites=sites, mask=mask):
        return model(*chosen_args, **arguments)


def acting_positions(
    intervention: Affine,
    positions: int,
    *,
    prompt: bool,
    device: torch.device,
    starts: torch.Tensor | None = None,
) -> torch.Tensor:
    """Positions of a pass that an intervention acts on: bool, `[batch or 1, position]`.

    **Arguments:**

    - `prompt`: whether the pass reads the prompt, not tokens decoded after it.
    - `starts`: where each row's text begins behind its padding, `[batch]`; `None`: at 0.
    """
    position = torch.arange(positions, device=device).unsqueeze(0)
    if prompt and starts is not None:
        position = position - starts.to(device).unsqueeze(1)
    # behind the prompt, no position is its last, nor one of its tokens
    touched = acting(intervention, position, position[:, -1:] if prompt else -1)
    return torch.ones_like(position, dtype=torch.bool) if touched is None else touched


def padding_on_the_left(attention_mask: Any) -> torch.Tensor | None:
    """Padded positions of every row, `[batch]`, from a mask, `[batch, position]`."""
    if not isinstance(attention_mask, torch.Tensor) or attention_mask.dim() != 2:
        return None
    return attention_mask.shape[1] - attention_mask.sum(dim=1)


def _is_batched(value: Any, batch: int) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() > 1 and value.shape[0] == batch


def put_rows(kept: Any, fresh: Any, rows: torch.Tensor) -> None:
    """Replaces some rows of what a cache holds of one layer, `[batch, ...]` each.

    Keys and values in most layers; states of a convolution or a recurrence in some; none in others.
    """
    for name, value in vars(kept).items():
        setattr(kept, name, _with_rows(value, getattr(fresh, name, None), rows))


def _with_rows(kept: Any, fresh: Any, rows: torch.Tensor) -> Any:
    if isinstance(kept, torch.Tensor) and isinstance(fresh, torch.Tensor) and kept.dim() > 1:
        return kept.index_copy(0, rows.to(kept.device), fresh)
    if isinstance(kept, dict):
        return {key: _with_rows(value, fresh[key], rows) for key, value in kept.items()}
    if isinstance(kept, list):
        return [_with_rows(value, new, rows) for value, new in zip(kept, fresh, strict=True)]
    return kept
