"""Contexts of a task's documents as an evaluation shows them: description, examples, chat template.

Whatever searches or measures outside an evaluation asks here, so that development items look as the
items do that are evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sna_eval.harness.plugin.running import Prompting
from sna_eval.harness.tasks.arguments import prompting_of
from sna_eval.harness.tasks.questions import requests_of, seed_examples


@dataclass(frozen=True)
class Contexts:
    """How prompts are put together; examples are as many as the task's config says."""

    prompting: Prompting = field(default_factory=Prompting)
    chat: Callable[..., str] | None = None
    """Renders chat messages, where prompts go through a chat template."""

    @classmethod
    def of(cls, task: Any, lm: Any, prompting: Prompting | None = None) -> Contexts:
        """Those of a loaded task, for a model.

        **Arguments:**

        - `prompting`: in place of what the task was loaded with.
        """
        around = prompting_of(task) if prompting is None else prompting
        return cls(around, lm.apply_chat_template if around.chat else None)

    def of_document(self, task: Any, doc: Any) -> Any:
        """What stands before a document's answer; one for each choice where these stand in front.

        Examples are drawn anew at each call.
        """
        assert self.chat is not None or not self.prompting.chat, "a chat needs its template"
        if getattr(task, "fewshot_rnd", None) is None:  # not even a draw of none does without
            seed_examples(task)
        return task.fewshot_context(
            doc,
            num_fewshot=task.config.num_fewshot or 0,
            gen_prefix=task.doc_to_prefix(doc),
            system_instruction=self.prompting.system_instruction,
            fewshot_as_multiturn=self.prompting.multiturn,
            **self._chat,
        )

    def requests(self, task: Any, doc: Any, context: Any, **options: Any) -> list[Any]:
        """The requests that a task makes of a document behind its context."""
        return requests_of(task, doc, context, **self._chat, **options)

    def said(self, task: Any) -> dict[str, Any]:
        """What is put around a task's prompts beside its own description, by lm_eval's names."""
        around = self.prompting
        values = {
            "num_fewshot": task.config.num_fewshot or 0,
            "system_instruction": around.system_instruction,
            "apply_chat_template": around.chat,
            "fewshot_as_multiturn": around.multiturn and bool(task.config.num_fewshot),
        }
        return {name: value for name, value in values.items() if value}

    @property
    def _chat(self) -> dict[str, Any]:
        return {"apply_chat_template": self.prompting.chat, "chat_template": self.chat}


@contextmanager
def left_out_of_its_own_examples(task: Any) -> Iterator[None]:
    """lm_eval keeps a document out of its own few-shot examples only where it is a test item.

    For development items alone, and only where examples come of these: it draws an example more,
    and so other ones than an evaluation.
    """
    config, fewshot = task.config, getattr(task, "fewshot_cfg", None)
    evaluated = config.test_split
    if config.num_fewshot and fewshot is not None and fewshot.split == _development_split(task):
        config.test_split = fewshot.split
    try:
        yield
    finally:
        config.test_split = evaluated


def _development_split(task: Any) -> str | None:
    """The name of the split that development items come of, where it has one."""
    config, tested = task.config, task.has_test_docs()
    evaluated = config.test_split if tested else config.validation_split
    named = [config.validation_split] if tested and task.has_validation_docs() else []
    return next((s for s in [*named, config.training_split] if s != evaluated), None)
