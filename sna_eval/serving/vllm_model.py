"""A base model and its adapters in a vLLM engine of this process, asked by lm_eval's `vllm`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from sna_eval.harness.plugin.stand_in import generated, stand_in
from sna_eval.intervention.rows import Tokens
from sna_eval.serving.completions_model import rolling_windows
from sna_eval.serving.served_model import Completion, Continuation, ContinuationScore, Prompt


@dataclass(frozen=True, eq=False)
class VLLMModel:
    """A served model behind lm_eval's own methods."""

    lm: Any
    """An lm_eval `VLLM`."""
    folders: Mapping[str, Path]
    """Adapters by name."""

    @property
    def max_length(self) -> int:
        return int(self.lm.max_length) - 1  # vLLM generates a token at least

    def scores(
        self, asked: Sequence[Continuation], *, quiet: bool = False
    ) -> list[ContinuationScore]:
        found: dict[int, ContinuationScore] = {}
        for adapter, numbers in _by_adapter(asked).items():
            answering = stand_in(self._with(adapter), _parse_logprobs=_score)
            requests = [
                (None, list(asked[number].context), list(asked[number].continuation))
                for number in numbers
            ]
            answers = answering._loglikelihood_tokens(requests, disable_tqdm=quiet)
            found.update(zip(numbers, answers, strict=True))
        return [found[number] for number in range(len(asked))]

    def completions(self, asked: Sequence[Prompt], *, quiet: bool = False) -> list[Completion]:
        found: dict[int, Completion] = {}
        for adapter, numbers in _by_adapter(asked).items():
            prompts = [asked[number] for number in numbers]
            found.update(zip(numbers, self._completed(adapter, prompts, quiet), strict=True))
        return [found[number] for number in range(len(asked))]

    def distributions(
        self, contexts: Sequence[Tokens], *, quiet: bool = False
    ) -> list[torch.Tensor]:
        from vllm import SamplingParams

        asked = SamplingParams(temperature=0, max_tokens=1, logprobs=-1, detokenize=False)
        outputs = self._with(None)._model_generate(
            requests=[list(context) for context in contexts], generate=True,
            sampling_params=[asked] * len(contexts),
        )  # fmt: skip
        return [
            torch.tensor([entry.logprob for entry in output.outputs[0].logprobs[0].values()])
            for output in outputs
        ]

    def tokens(self, prompt: Prompt) -> Tokens:
        from lm_eval.models.utils import maybe_truncate

        _, _, new = self.lm.modify_gen_kwargs(
            dict(prompt.settings), default_max_gen_toks=self.lm.max_gen_toks
        )
        kept, _ = maybe_truncate(
            self.lm.tok_encode(prompt.text), max_gen_toks=new, max_model_len=self.lm.max_length,
            side=self.lm.truncation_side, verbose=False,
        )  # fmt: skip
        return tuple(kept)

    def windows(self, text: str) -> list[tuple[Tokens, Tokens]]:
        return rolling_windows(self.lm, text, self.lm.max_length - 2)

    def _with(self, adapter: str | None) -> Any:
        """The lm_eval model, answering as an adapter."""
        if adapter is None:
            return stand_in(self.lm, lora_request=None)
        from vllm.lora.request import LoRARequest

        number = 1 + list(self.folders).index(adapter)
        request = LoRARequest(adapter, number, str(self.folders[adapter]))
        return stand_in(self.lm, lora_request=request)

    def _completed(
        self, adapter: str | None, prompts: Sequence[Prompt], quiet: bool
    ) -> list[Completion]:
        answering = self._with(adapter)
        outputs: list[Any] = []

        def generate(requests: Any, generate: bool, sampling_params: list[Any]) -> Any:
            for settings in sampling_params:
                settings.logprobs = 1
            found = answering._model_generate(
                requests=requests, generate=generate, sampling_params=sampling_params
            )
            outputs.extend(found)
            return found

        requests = [SimpleNamespace(args=(one.text, dict(one.settings))) for one in prompts]
        contexts: list[str] = []
        texts = generated(
            answering, requests, generate=generate, quiet=quiet,
            told=lambda arguments, text: contexts.append(arguments[0]),
        )  # fmt: skip
        first = {
            context: max(entry.logprob for entry in output.outputs[0].logprobs[0].values())
            for context, output in zip(contexts, outputs, strict=True)
        }
        return [
            Completion(text, first[prompt.text])
            for text, prompt in zip(texts, prompts, strict=True)
        ]


def _by_adapter(asked: Sequence[Continuation | Prompt]) -> dict[str | None, list[int]]:
    numbers: dict[str | None, list[int]] = {}
    for number, each in enumerate(asked):
        numbers.setdefault(each.adapter, []).append(number)
    return numbers


def _score(tokens: list[int], outputs: Any, ctxlen: int) -> ContinuationScore:
    """lm_eval's own reading, and the likeliest token after the context."""
    from lm_eval.models.vllm_causallms import VLLM

    value, greedy = VLLM._parse_logprobs(tokens=tokens, outputs=outputs, ctxlen=ctxlen)
    top = outputs.prompt_logprobs[ctxlen]
    return ContinuationScore(value, greedy, max(entry.logprob for entry in top.values()))
