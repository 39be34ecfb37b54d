"""`--model sna`: lm_eval's Hugging Face model with gated amplification inside.

Everything that is not amplification is HFLM's own: loading, tokenizing, batching of arguments,
devices, adapters. `gate=never` answers as `--model hf` does, to the last bit with `strict=true`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, TypeVar

import torch
from lm_eval.models.huggingface import HFLM

import sna_eval.harness.metric_names  # noqa: F401  (known to lm_eval from here on)
from sna_eval.errors import InputError, exit_cleanly_on_input_error
from sna_eval.harness.model.answer_keys import item_key, text_key
from sna_eval.harness.model.arguments import (
    DecideAt,
    check_adapter,
    check_arguments,
    for_loading,
)
from sna_eval.harness.model.description import describe
from sna_eval.harness.model.hf_passes import HFPasses
from sna_eval.harness.model.joined import JoinedTargets
from sna_eval.harness.model.not_loaded import not_loaded
from sna_eval.harness.model.tried import abilities_of, shortcuts_of
from sna_eval.harness.plugin.both_answers import report_both
from sna_eval.harness.plugin.cache_file import take_over
from sna_eval.harness.plugin.ranks import join_launched, ranks_of
from sna_eval.harness.plugin.running import requests_in_hand
from sna_eval.harness.plugin.stand_in import encoded
from sna_eval.harness.scoring.kept_texts import KeptTexts
from sna_eval.harness.scoring.ledger import Ledger, total
from sna_eval.harness.scoring.passes import Passes
from sna_eval.harness.scoring.response_cache import ResponseCache
from sna_eval.harness.scoring.rolling import score_rolling
from sna_eval.harness.scoring.scorer import Scorer
from sna_eval.harness.scoring.suits import check_suits
from sna_eval.harness.scoring.texts import gated_texts
from sna_eval.harness.tasks.items import (
    EncodedRequest,
    Item,
    check_target,
    group_items,
)
from sna_eval.harness.tasks.live_tasks import LiveTasks
from sna_eval.harness.tasks.made_plans import MadePlans
from sna_eval.harness.tasks.other_model import warn_of_another
from sna_eval.harness.tasks.plan_makers import PlanMakerOptions
from sna_eval.harness.tasks.task_plans import TaskPlans
from sna_eval.harness.values import Answer
from sna_eval.intervention import Abilities, Engine, Sites, find_sites
from sna_eval.methods import Workbench
from sna_eval.paths import REFERENCE_MODEL
from sna_eval.plan import (
    Plan,
    PlanArguments,
    check_model,
    model_fingerprint,
    plan_from_arguments,
)

_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")

exit_cleanly_on_input_error()


class SNALM(HFLM):
    """HFLM with confidence-gated Selective Neuron Amplification.

    **Arguments**, beside all of HFLM's:

    - `plan`: name of a bundled plan or path of a plan file; or an inline plan by the fields of
        `sna_eval.plan.PlanArguments`: `layer`, `multiplier`, `top_k` or `neurons`, `gate`, ...;
        `auto` sweeps each task's development items and takes the best configuration.
    - `auto_budget`: what `plan=auto` may try per task: a number of configurations (default 200), or
        seconds such as `120s`.
    - `decide_at`: in generation, `start` decides once per request, `every_step` at each new token.
    - `strict`: whether baseline scores come from HFLM's own code to the last bit; slower.
    - `report_baseline`: whether every task reports its metrics of the unmodified model too, as
        `baseline_METRIC`.
    """

    def __init__(
        self,
        pretrained: Any = REFERENCE_MODEL,
        *,
        strict: bool = False,
        decide_at: DecideAt = "start",
        auto_budget: Any = None,
        report_baseline: bool = True,
        **kwargs: Any,
    ) -> None:
        switches = {"strict": strict, "report_baseline": report_baseline}
        check_arguments(decide_at, switches, kwargs.get("batch_size"), kwargs.get("device"))
        given = {name: kwargs.pop(name) for name in PlanArguments.names() if name in kwargs}
        self._maker_options = PlanMakerOptions.take(given, auto_budget)
        self.plan = plan_from_arguments(given) if self._maker_options is None else Plan({})
        self.strict, self.decide_at, self.report_baseline = strict, decide_at, report_baseline
        self._load(pretrained, kwargs)
        self.ranks = ranks_of(
            getattr(self, "accelerator", None), sharded=kwargs.get("tp_plan") is not None
        )
        self._rank, self._world_size = self.ranks.share  # HFLM knows neither CPUs nor nodes
        self.ledger = Ledger()
        self._counts: Ledger | None = None
        self._reported = False
        self._warned: set[str] = set()
        self._answers: ResponseCache | None = None
        self._joined = JoinedTargets()
        if self.ranks.sharded:
            _ = self.model_hash  # takes all processes, and later only the first is asked for it
        if self.has_plan:
            self._check_model()

    def _load(self, pretrained: Any, arguments: dict[str, Any]) -> None:
        """Loads as HFLM does; whatever goes wrong with a name is one line."""
        typed = pretrained
        pretrained, arguments = for_loading(pretrained, arguments)
        if isinstance(pretrained, str):
            join_launched(arguments["device"], tp_plan=arguments.get("tp_plan"))
        try:
            super().__init__(pretrained, **arguments)
        except InputError:
            raise
        except Exception as error:
            if not isinstance(pretrained, str):
                raise
            raise not_loaded(typed, error, arguments) from error
        finally:
            exit_cleanly_on_input_error()  # joining other processes puts PyTorch's hook before ours
        if self.backend != "causal":
            raise InputError("pretrained", expected="a causal (decoder) model", got=self.backend)

    def _check_model(self) -> None:
        """Raises `InputError` where the plan is another model's, or an adapter forbids one."""
        check_adapter(self.model)
        check_model(self.plan, self.sites)
        if self.ranks.first:
            warn_of_another(self.plan, self.model_hash)

    @property
    def has_plan(self) -> bool:
        """Without one this is HFLM, on any architecture."""
        return bool(self.plan.tasks) or self._maker_options is not None

    # What a run is made of, each found when first needed

    @cached_property
    def sites(self) -> Sites:
        return find_sites(self.model)

    @cached_property
    def engine(self) -> Engine:
        """Runs rows through the model as HFLM would: same autocast, same softmax dtype."""
        abilities = Abilities() if self.strict else abilities_of(self)
        return Engine(
            self.model,
            self.sites,
            abilities,
            softmax_dtype=self.softmax_dtype,
            context=self.autocast,
        )

    @cached_property
    def scoring_engine(self) -> Engine:
        """The same, with the shortcuts that nothing but scoring may take."""
        if self.strict:
            return self.engine
        return replace(self.engine, shortcuts=shortcuts_of(self))

    @cached_property
    def bench(self) -> Workbench:
        """Where neurons are searched."""
        bench = Workbench(
            self.model, self.sites, self.tok_encode, max_length=self.max_length,
            prefix=self.prefix_token_id,
        )  # fmt: skip
        return replace(bench, same=self.ranks.agreed) if self.ranks.sharded else bench

    @cached_property
    def plans(self) -> TaskPlans:
        if self._maker_options is not None:
            return MadePlans(self, self._maker_options, self.bench)
        return TaskPlans(self.plan, self.bench, self.ranks)

    @contextmanager
    def under(self, plan: Plan) -> Iterator[None]:
        """The model answers under another plan in the body."""
        before, kept = (self.plan, self._maker_options), self.__dict__.pop("plans", None)
        self.plan, self._maker_options = plan, None
        try:
            yield
        finally:
            self.plan, self._maker_options = before
            self.__dict__.pop("plans", None)
            if kept is not None:
                self.__dict__["plans"] = kept

    @property
    def passes(self) -> Passes:
        """What gates and scorers know of this model."""
        passes = HFPasses(
            self,
            engine=lambda: self.scoring_engine,
            generating=lambda: self.engine,
            ledger=self.ledger,
            strict=self.strict,
            every_step=self.decide_at == "every_step",
            both=self.report_baseline,
        )
        if self._answers is None:
            return passes
        together = None if self.batch_size == "auto" else max(16, 4 * int(self.batch_size))
        return KeptTexts(passes, self._answers, text_key(self), together=together)

    @cached_property
    def model_hash(self) -> str:
        return model_fingerprint(self.model)

    # Log-likelihoods

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[Answer]:
        """Log-likelihoods as HFLM's, each a `Score` that carries its baseline."""
        for instance in requests:
            check_target(instance, instance.args[1])
        self._begin(requests)
        quiet = disable_tqdm or not self.ranks.first
        if not self.has_plan:
            return self._counted(super().loglikelihood(requests, disable_tqdm=quiet))
        tokens = encoded(self, requests, quiet=quiet)
        return self._counted(self.score_encoded(requests, tokens, quiet=quiet))

    def score_encoded(
        self, instances: Sequence[Any], requests: list[EncodedRequest], *, quiet: bool = False
    ) -> list[Answer]:
        """Answers to requests that are tokenized already."""
        live = LiveTasks()
        grouped = group_items(instances, requests, live.unconditional, live.offers_choices)
        self._joined.count(grouped.items, self.ledger)
        requests.clear()  # it grows with the documents, and nobody needs it any more
        answers = self._score(grouped.items, live, quiet=quiet)
        return [answers[item][request] for item, request in grouped.answers]

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        found = super()._encode_pair(context, continuation)
        if found[1] or not continuation.strip():
            return found
        quiet = not self.ranks.first
        return self._joined.encode(context, continuation, self.tok_encode, quiet=quiet)

    def _score(self, items: Sequence[Item], live: LiveTasks, *, quiet: bool) -> list[list[Answer]]:
        self.plans.prepare([item.instance for item in items])
        scorer = Scorer(self.passes, self.plans, self.ledger, live.question)
        if self._answers is None:
            return scorer.score(items, live.right_answer, quiet=quiet)
        return self._answers.complete(
            items,
            item_key(self, live),
            lambda missing: scorer.scored(missing, live.right_answer, quiet=quiet),
            self.ledger.count_kept,
        )

    # Rolling log-likelihoods and generation

    def loglikelihood_rolling(self, requests: list[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihoods of whole texts; the text is the item, decided on as a whole."""
        if not self.has_plan:
            return super().loglikelihood_rolling(requests, disable_tqdm=disable_tqdm)
        self._begin(requests)
        quiet = disable_tqdm or not self.ranks.first
        return self._counted(
            score_rolling(
                self.passes,
                self.plans,
                self.ledger,
                requests,
                tokens=lambda text: len(self.tok_encode(text)),
                quiet=quiet,
            )
        )

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        """Generates; the gate decides per request at the first new token."""
        if not self.has_plan:
            return super().generate_until(requests, disable_tqdm=disable_tqdm)
        self._begin(requests)
        quiet = disable_tqdm or not self.ranks.first
        return self._counted(
            gated_texts(
                self.passes,
                self.plans,
                self.ledger,
                requests,
                baselines=self.report_baseline,
                quiet=quiet,
            )
        )

    # Counting, caching, model info

    def _begin(self, requests: Sequence[Any]) -> None:
        """Counts begin anew with the first requests after a run was reported on.

        Its tasks then report on both models, and the plan is known to suit all of them.
        """
        if self.ranks.agreed(lambda: self._reported):
            self._reported, self.ledger, self._counts = False, Ledger(), None
            if self.has_plan:
                self.plans.met.clear()
        if self.has_plan and self.report_baseline:
            report_both()
        if self.has_plan:
            everything = requests_in_hand() or requests
            self.plans.check(everything)
            check_suits(self.plans.unsearched, everything)
            self.plans.prepare(everything)

    def _counted(self, answers: list[T]) -> list[T]:
        """Collects all processes' counts on the first: later it alone is asked for them."""
        self._counts = total(self.ranks.collected(self.ledger))
        for about, remark in self._counts.remarks().items() if self.ranks.first else ():
            if about not in self._warned:
                self._warned.add(about)
                _LOGGER.warning(remark)
        return answers

    @property
    def counts(self) -> Ledger:
        """What was done, by all processes on the first of them."""
        return self._counts or self.ledger

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Keeps answers in lm_eval's cache file, but under keys that tell plans and tasks apart."""
        path = take_over(cache_hook)
        self._answers = None if path is None else ResponseCache(path)

    def get_model_info(self) -> dict[str, Any]:
        """HFLM's information and, under `sna`, what was done: it stands in every result file."""
        self._reported = True
        return {**super().get_model_info(), "sna": self.describe()}

    def describe(self) -> dict[str, Any]:
        """Plan, gates, decisions and the way the passes ran."""
        return describe(
            self.plan,
            self.plans if self.has_plan else None,
            self.counts,
            model_hash=self.model_hash,
            settings={"strict": self.strict, "decide_at": self.decide_at},
            processes=self.ranks.size,
        )

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(
            device_type=self.device.type,
            dtype=self.mixed_precision_dtype,
            enabled=self.mixed_precision_dtype is not None,
        )
