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
from sna_eval.intervention.prefix import text_config
from sna_eval.intervention.resume import captured_inputs, resumed
from sna_eval.intervention.sites import Sites
from sna_eval.intervention.spec import Intervention


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
        interventions: Sequence[Intervention],
        *,
        decide: Callable[[torch.Tensor], torch.Tensor],
        returns_tuple: bool,
    ) -> None:
        self._model = model
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

    def _mask(self, intervention: Intervention, positions: int) -> torch.Tensor:
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
        from transformers import DynamicCache

        batch = rows.shape[0]
        chosen = rows.nonzero().squeeze(1)
        fresh = DynamicCache(config=text_config(self._model))
        own = {
            key: value[chosen.to(value.device)] if _is_batched(value, batch) else value
            for key, value in kwargs.items()
        }
        own["past_key_values"] = fresh
        own_args = tuple(arg[chosen] if _is_batched(arg, batch) else arg for arg in args)
        start = resumed(
            self._sites, layer, hidden[chosen.to(hidden.device)], returns_tuple=self._returns_tuple
        )
        with start, amplify(self._model, self._interventions, sites=self._sites, mask=_prompt_mask):
            amplified = self._model.forward(*own_args, **own)
        output.logits = output.logits.index_copy(0, chosen, amplified.logits)
        kept = output.past_key_values.layers
        for number in range(layer, len(kept)):
            _put_rows(kept[number], fresh.layers[number], chosen)


def acting_positions(
    intervention: Intervention, positions: int, *, prompt: bool, device: torch.device
) -> torch.Tensor:
    """Positions of a pass that an intervention acts on: bool, `[1, position]`.

    **Arguments:**

    - `prompt`: whether the pass reads the prompt, not tokens decoded after it.
    """
    if intervention.positions == "all":
        return torch.ones(1, positions, dtype=torch.bool, device=device)
    acting = torch.zeros(1, positions, dtype=torch.bool, device=device)
    acting[:, -1] = prompt or intervention.positions == "continuation"
    return acting


def _prompt_mask(intervention: Intervention, positions: int) -> torch.Tensor | None:
    if intervention.positions == "all":
        return None
    device = torch.device("cpu")
    return acting_positions(intervention, positions, prompt=True, device=device)


def _is_batched(value: Any, batch: int) -> bool:
    return isinstance(value, torch.Tensor) and value.dim() > 1 and value.shape[0] == batch


def _put_rows(kept: Any, fresh: Any, rows: torch.Tensor) -> None:
    """Replaces some rows' keys and values, `[batch, head, position, d_head]`, of one layer."""
    kept.keys = kept.keys.index_copy(0, rows.to(kept.keys.device), fresh.keys)
    kept.values = kept.values.index_copy(0, rows.to(kept.values.device), fresh.values)
