"""What model types with a plan have in common: requests in, both answers out, counts beside them.

Where scores come from is the business of a subclass: its `passes` (`harness.scoring.passes`). It
also inherits from the lm_eval model that it stands for, behind this class; without a plan it is
that model.

lm_eval tokenizes context and target as one text; what the context's own tokens leave over is the
target. A tokenizer that knows "defaultdict" leaves nothing over of "default" and "dict", and
lm_eval's `hf` stops. Here such a target is tokenized apart, counted, and said once; every other
pair stays as lm_eval has it.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from lm_eval.api.model import TemplateLM
from lm_eval.config.evaluate_config import EvaluatorConfig
from lm_eval.utils import simple_parse_args_string

import sna_eval.harness.metric_names  # noqa: F401  (known to lm_eval from here on)
from sna_eval.errors import InputError
from sna_eval.harness.plugin.both_answers import report_both
from sna_eval.harness.plugin.ranks import Ranks
from sna_eval.harness.plugin.running import requests_in_hand
from sna_eval.harness.plugin.stand_in import encoded
from sna_eval.harness.scoring.description import describe
from sna_eval.harness.scoring.ledger import Ledger, total
from sna_eval.harness.scoring.passes import Passes
from sna_eval.harness.scoring.rolling import score_rolling
from sna_eval.harness.scoring.scorer import Scorer
from sna_eval.harness.scoring.suits import check_suits
from sna_eval.harness.scoring.texts import gated_texts
from sna_eval.harness.tasks.items import EncodedRequest, Item, check_target, group_items
from sna_eval.harness.tasks.questions import LiveTasks
from sna_eval.harness.tasks.task_plans import TaskPlans
from sna_eval.harness.values import Answer
from sna_eval.plan import Plan, TaskPlan
from sna_eval.typed import Json

_LOGGER = logging.getLogger(__name__)
T = TypeVar("T")
LM = TypeVar("LM", bound="GatedLM")


class JoinedTargets:
    """Those of a model's pairs that were tokenized apart, by their texts."""

    def __init__(self) -> None:
        self._met: set[tuple[str, str]] = set()

    def encode(
        self, context: str, target: str, tokenize: Callable[..., list[int]], *, quiet: bool = False
    ) -> tuple[list[int], list[int]]:
        """Tokens of a context and of a target that vanished into it.

        **Arguments:**

        - `tokenize`: as HFLM's `tok_encode`.
        - `quiet`: whether somebody else warns.
        """
        if not self._met and not quiet:
            _LOGGER.warning(
                "the tokenizer joins the target %r to the last token of its context, %r: the two "
                "are tokenized apart, as wherever that happens; counted as tokenized_apart",
                target, context[-30:],
            )  # fmt: skip
        self._met.add((context, target))
        stem = context.rstrip()  # as lm_eval: spaces before a target are the target's
        return tokenize(stem), tokenize(context[len(stem) :] + target, add_special_tokens=False)

    def count(self, items: Iterable[Item], ledger: Ledger) -> None:
        """Counts the documents with such a target, by task."""
        for item in items if self._met else ():
            pairs = ((request.context_text, request.continuation_text) for request in item.requests)
            ledger.tasks[item.task].tokenized_apart += not self._met.isdisjoint(pairs)


class GatedLM(TemplateLM):
    """An lm_eval model that answers twice: unmodified, and amplified where a gate opens."""

    plan: Plan
    ranks: Ranks
    report_baseline: bool
    """Whether every task reports its metrics of the unmodified model too, as `baseline_METRIC`."""

    # lm_eval makes a model of its `--model_args` and of what it passes beside them

    @classmethod
    def create_from_arg_string(
        cls: type[LM], arg_string: str, additional_config: dict[str, Any] | None = None
    ) -> LM:
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    @classmethod
    def create_from_arg_obj(
        cls: type[LM], arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> LM:
        return cls(**{**_passed_beside(arg_dict, additional_config or {}), **arg_dict})

    def _begin_counting(self) -> None:
        """To be called once the model is loaded."""
        self.ledger = Ledger()
        self._counts: Ledger | None = None
        self._reported = False
        self._warned: set[str] = set()
        self._joined = JoinedTargets()

    # What a subclass says of its model

    @property
    def has_plan(self) -> bool:
        """Without one this is the lm_eval model alone."""
        return bool(self.plan.tasks)

    @property
    @abstractmethod
    def plans(self) -> TaskPlans:
        """Each task's part of the plan."""

    @property
    @abstractmethod
    def passes(self) -> Passes:
        """What gates and scorers know of the model."""

    @property
    @abstractmethod
    def model_hash(self) -> str | None:
        """Hash of the unmodified weights; `None` where nobody sees them."""

    @property
    @abstractmethod
    def settings(self) -> Json:
        """Model arguments that answers depend on, for result files."""

    # Log-likelihoods

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[Answer]:
        """Log-likelihoods as lm_eval's, each a `Score` that carries its baseline."""
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
        return self._scorer(live).score(items, live.right_answer, quiet=quiet)

    def _scorer(self, live: LiveTasks) -> Scorer:
        return Scorer(self.passes, self.plans, self.ledger, live.question)

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
                divergences=self._divergences,
            )
        )

    def _divergences(
        self, requests: Sequence[Any], texts: Sequence[str], plan: TaskPlan
    ) -> Sequence[float | None]:
        """How far the two models are apart along texts; `None` where nobody sees distributions."""
        return [None] * len(texts)

    # Counting and what results say

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
            self._check_asked(everything)
            self.plans.prepare(everything)

    def _check_asked(self, requests: Sequence[Any]) -> None:
        """Raises `InputError` where the model cannot answer one of a run's requests."""

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

    def get_model_info(self) -> dict[str, Any]:
        """lm_eval's information and, under `sna`, what was done: it stands in every result file."""
        self._reported = True
        inherited = getattr(super(), "get_model_info", dict)
        return {**inherited(), "sna": self.describe()}

    def describe(self) -> dict[str, Any]:
        """Plan, gates, decisions and the way the passes ran."""
        return describe(
            self.plan,
            self.plans if self.has_plan else None,
            self.counts,
            model_hash=self.model_hash,
            settings=self.settings,
            processes=self.ranks.size,
        )


def _passed_beside(given: Json, passed: Json) -> dict[str, Any]:
    """What of lm_eval's flags `--device`, `--batch_size` and `--max_batch_size` reaches a model.

    lm_eval passes them whether anybody typed them or not, and Python refuses an argument that is
    there twice. So what stands in the model arguments counts, unless a flag says something else.
    """
    defaults = {field.name: field.default for field in fields(EvaluatorConfig)}
    for name, value in passed.items():
        untold = value is None or value == defaults.get(name)
        if name in given and not untold and str(value) != str(given[name]):
            raise InputError(
                f"model_args.{name}", expected=f"no other than --{name} {value}", got=given[name],
                hint="name one of them",
            )  # fmt: skip
    return {name: value for name, value in passed.items() if value is not None}
