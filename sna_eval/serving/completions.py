"""`--model sna-completions`: the same gate before a model that a server has already.

Stands for lm_eval's `local-completions`: its arguments, tokenizer and payloads. The server has the
base model and, under another name, the exported plan (`sna-eval export --format lora`).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.models.utils import has_bos_prefix

from sna_eval.errors import InputError, exit_cleanly_on_input_error
from sna_eval.harness.gated_lm import GatedLM
from sna_eval.harness.plugin.cache_file import take_over
from sna_eval.harness.plugin.ranks import Ranks
from sna_eval.harness.scoring.passes import Passes
from sna_eval.plan import PlanArguments, plan_from_arguments
from sna_eval.serving.adapter_names import AdapterNames
from sna_eval.serving.adapters import Adapters, Scalings
from sna_eval.serving.address import Address, ServedCard, check_served
from sna_eval.serving.asking import Asking
from sna_eval.serving.completions_model import CompletionsModel
from sna_eval.serving.kept_answers import KeptAnswers
from sna_eval.serving.passes import ServedPasses
from sna_eval.serving.plans import ServedPlans

exit_cleanly_on_input_error()


class SNACompletions(GatedLM, LocalCompletionsAPI):
    """lm_eval's `local-completions` with a gate between a base model and its adapter.

    **Arguments**, beside all of `local-completions`':

    - `base_url`: up to `/v1` or `/v1/completions`.
    - `model`: the base model's name on the server.
    - `adapter`: the name of the exported plan there; `TASK=NAME;TASK=NAME` where tasks have
        adapters of their own.
    - `plan`: as for `sna`, with neurons; `layer=...,neurons=...` too.
    - `report_baseline`: as for `sna`.
    - `max_length`: where it is not given, what the server says.
    - `add_bos_token`: where it is not given, what the tokenizer does by itself, as for `hf`.
    """

    def __init__(
        self,
        base_url: Any = None,
        *,
        model: str | None = None,
        pretrained: str | None = None,
        adapter: Any = None,
        report_baseline: bool = True,
        tokenizer: str | None = None,
        tokenizer_backend: str | None = "auto",
        max_length: int | None = None,
        add_bos_token: bool | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(report_baseline, bool):
            raise InputError("report_baseline", expected="true or false", got=report_baseline)
        given = {name: kwargs.pop(name) for name in PlanArguments.names() if name in kwargs}
        self.plan = plan_from_arguments(given)
        self.report_baseline, self.ranks = report_baseline, Ranks()
        verify = bool(kwargs.get("verify_certificate", True))
        self._address = Address.parse(base_url, kwargs.get("header"), verify=verify)
        self.cards = self._address.models()
        base = self._base(model or pretrained)
        card = self.cards.get(base, ServedCard())
        if tokenizer is None:
            tokenizer = card.root or base
        if tokenizer_backend == "auto":
            tokenizer_backend = "huggingface"
        self._load(
            {
                **kwargs,
                "base_url": self._address.url,
                "model": base,
                "tokenizer": tokenizer if tokenizer_backend == "huggingface" else None,
                "tokenizer_backend": tokenizer_backend,
                "max_length": max_length or card.max_length or 2048,
            }
        )
        self.add_bos_token = self._adds_bos() if add_bos_token is None else bool(add_bos_token)
        self._names = AdapterNames.parse(adapter) if self.has_plan else AdapterNames({})
        self._kept = KeptAnswers()
        self._begin_counting()

    def _base(self, name: str | None) -> str:
        if not name:
            listed = ", ".join(self.cards) or "the server lists none"
            raise InputError(
                "model", expected="the base model's name on the server", got=None, hint=listed
            )
        check_served(name, self.cards, field="model", hint="name the base model")
        return name

    def _load(self, arguments: dict[str, Any]) -> None:
        """What lm_eval loads is the tokenizer alone."""
        try:
            super().__init__(**arguments)
        except ModuleNotFoundError as error:
            raise InputError(
                "model", expected="lm_eval's packages for servers", got=str(error).split(".")[0],
                hint='pip install "lm-eval[api]"',
            ) from error  # fmt: skip
        except Exception as error:
            said = (str(error).strip().splitlines() or ["no details"])[0][:300]
            raise InputError(
                "tokenizer", expected="a folder or hub name that transformers loads a tokenizer of",
                got=arguments["tokenizer"], hint=f"tokenizer=FOLDER ({said})",
            ) from error  # fmt: skip

    def _adds_bos(self) -> bool:
        """Whether the tokenizer puts its first token before a text by itself."""
        if self.tokenizer_backend != "huggingface" or self.tokenizer.bos_token_id is None:
            return False
        return bool(self.tokenizer("a").input_ids[:1] == [self.tokenizer.bos_token_id])

    def tok_encode(
        self,
        string: Any,
        left_truncate_len: Any = None,
        add_special_tokens: Any = None,
        **kwargs: Any,
    ) -> Any:
        """As `hf` does it: special tokens where they are wanted, and none where the text has them.

        lm_eval's own puts them before continuations too, and before chats that begin with them.
        """
        if self.tokenizer_backend != "huggingface":
            return super().tok_encode(string, left_truncate_len)
        if not isinstance(string, str):
            return [self.tok_encode(text, left_truncate_len, add_special_tokens) for text in string]
        wanted = self.add_bos_token if add_special_tokens is None else bool(add_special_tokens)
        wanted = wanted and not has_bos_prefix(string, self.tokenizer.bos_token)
        tokens = self.tokenizer(string, add_special_tokens=wanted).input_ids
        return tokens[-left_truncate_len:] if left_truncate_len else tokens

    @cached_property
    def adapters(self) -> Adapters:
        return Adapters(self._adapter_of)

    def _adapter_of(self, task: str, scalings: Scalings) -> str:
        name = self._names.of(task)
        check_served(
            name, self.cards, field="adapter", hint="vLLM: --enable-lora --lora-modules NAME=FOLDER"
        )
        return name

    @cached_property
    def plans(self) -> ServedPlans:
        return ServedPlans(self.plan, self.adapters, self._encode_pair)

    @property
    def served(self) -> CompletionsModel:
        """The server's models."""
        asking = Asking(
            self._address,
            batch_size=max(1, int(self._batch_size)),
            concurrent=max(1, self._concurrent),
            tries=max(1, self.max_retries),
            timeout=self.timeout,
            kept=self._kept,
        )
        return CompletionsModel(self, asking, self.adapters, self.cards)

    @property
    def passes(self) -> Passes:
        return ServedPasses(self.served, self.adapters, self.ledger)

    @property
    def model_hash(self) -> None:
        """Nobody sees a server's weights: `sna-eval verify` compares what they do."""

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "base_url": self._address.url,
            "base": self.model,
            "adapters": self.adapters.by_task,
        }

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Keeps the server's answers in lm_eval's cache file, each as it comes."""
        if self.has_plan:
            self._kept = KeptAnswers(take_over(cache_hook))
        else:
            super().set_cache_hook(cache_hook)
