"""`--model sna`: lm_eval's Hugging Face model with gated amplification inside.

Everything that is not amplification is HFLM's own: loading, tokenizing, batching of arguments,
devices, adapters. `gate=never` answers as `--model hf` does, to the last bit with `strict=true`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from sna_eval.errors import InputError, exit_cleanly_on_input_error
from sna_eval.files import REFERENCE_MODEL
from sna_eval.harness.gated_lm import GatedLM
from sna_eval.harness.model.arguments import (
    DecideAt,
    check_adapter,
    check_arguments,
    for_loading,
    not_loaded,
    read_dictionaries,
)
from sna_eval.harness.model.generate_settings import check_asked_texts
from sna_eval.harness.model.hf_passes import HFPasses, divergences_along
from sna_eval.harness.model.kept import abilities_of, item_key, shortcuts_of, text_key
from sna_eval.harness.plugin.cache_file import take_over
from sna_eval.harness.plugin.ranks import join_launched, ranks_of
from sna_eval.harness.scoring.kept_texts import KeptTexts
from sna_eval.harness.scoring.ledger import GENERATED
from sna_eval.harness.scoring.passes import Passes
from sna_eval.harness.scoring.response_cache import ResponseCache
from sna_eval.harness.tasks.items import Item
from sna_eval.harness.tasks.plan_makers import MadePlans, PlanMakerOptions
from sna_eval.harness.tasks.questions import LiveTasks
from sna_eval.harness.tasks.task_plans import SearchedPlans, warn_of_another
from sna_eval.harness.values import Answer
from sna_eval.intervention import Abilities, Engine, Sites, find_sites
from sna_eval.methods import Workbench
from sna_eval.plan import (
    Plan,
    PlanArguments,
    TaskPlan,
    check_model,
    model_fingerprint,
    plan_from_arguments,
)

exit_cleanly_on_input_error()


class SNALM(GatedLM, HFLM):
    """HFLM with confidence-gated Selective Neuron Amplification.

    **Arguments**, beside all of HFLM's:

    - `plan`: name of a bundled plan or path of a plan file; or an inline plan by the fields of
        `sna_eval.plan.PlanArguments`: `layer`, `multiplier`, `top_k` or `neurons`, `gate`, ...;
        `auto` sweeps each task's development items and takes the best configuration.
    - `auto_budget`: what `plan=auto` may try per task: a number of configurations (default 200), or
        seconds such as `120s`.
    - `decide_at`: in generation, `start` decides once per request, `every_step` at each new token.
    - `strict`: whether baseline scores come from HFLM's own code to the last bit; slower.
    - `dictionary`: folder of a sparse dictionary whose features a plan amplifies (`unit: feature`),
        as sae_lens or sparsify writes it; several with `;` between.
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
        dictionary: Any = None,
        **kwargs: Any,
    ) -> None:
        switches = {"strict": strict, "report_baseline": report_baseline}
        check_arguments(decide_at, switches, kwargs.get("batch_size"), kwargs.get("device"))
        given = {name: kwargs.pop(name) for name in PlanArguments.names() if name in kwargs}
        self._maker_options = PlanMakerOptions.take(given, auto_budget)
        self.plan = plan_from_arguments(given) if self._maker_options is None else Plan({})
        self.strict, self.decide_at, self.report_baseline = strict, decide_at, report_baseline
        self.dictionaries = read_dictionaries(dictionary)
        self._load(pretrained, kwargs)
        self.ranks = ranks_of(
            getattr(self, "accelerator", None), sharded=kwargs.get("tp_plan") is not None
        )
        self._rank, self._world_size = self.ranks.share  # HFLM knows neither CPUs nor nodes
        self._begin_counting()
        self._answers: ResponseCache | None = None
        if self.ranks.sharded:
            _ = self.model_hash  # takes all processes, and later only the first is asked for it
        if self.has_plan or self.dictionaries:
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
        return find_sites(self.model).with_features(self.model, self.dictionaries)

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
            prefix=self.prefix_token_id, chat=self.apply_chat_template,
        )  # fmt: skip
        return replace(bench, same=self.ranks.agreed) if self.ranks.sharded else bench

    @cached_property
    def plans(self) -> SearchedPlans:
        if self._maker_options is not None:
            return MadePlans(self, self._maker_options, self.bench)
        return SearchedPlans(self.plan, self.bench, self.ranks)

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

    @property
    def settings(self) -> dict[str, Any]:
        features = self.sites.features if self.dictionaries else None
        hashed = {} if features is None else {"dictionary_hash": features.sha256}
        return {"strict": self.strict, "decide_at": self.decide_at, **hashed}

    def _check_asked(self, requests: Sequence[Any]) -> None:
        if self.enable_thinking or any(one.request_type == GENERATED for one in requests):
            check_asked_texts(self, self.plans.unsearched, requests)

    def _divergences(
        self, requests: Sequence[Any], texts: Sequence[str], plan: TaskPlan
    ) -> Sequence[float | None]:
        if self.decide_at != "start":  # amplified here and there, and nobody noted where
            return [None] * len(texts)
        contexts = [request.args[0] for request in requests]
        return divergences_along(self, self.engine, contexts, texts, plan)

    # Answers that are kept

    def _score(self, items: Sequence[Item], live: LiveTasks, *, quiet: bool) -> list[list[Answer]]:
        if self._answers is None:
            return super()._score(items, live, quiet=quiet)
        self.plans.prepare([item.instance for item in items])
        scorer = self._scorer(live)
        return self._answers.complete(
            items,
            item_key(self, live),
            lambda missing: scorer.scored(missing, live.right_answer, quiet=quiet),
            self.ledger.count_kept,
        )

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Keeps answers in lm_eval's cache file, but under keys that tell plans and tasks apart."""
        path = take_over(cache_hook)
        self._answers = None if path is None else ResponseCache(path)

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(
            device_type=self.device.type,
            dtype=self.mixed_precision_dtype,
            enabled=self.mixed_precision_dtype is not None,
        )
