"""What stands around a task's questions: as a user says it, and as an evaluation then shows it.

A task may make its data by `--metadata` and the model's arguments, and its prompts differ with the
number of examples and what is put around them. Whatever searches or measures outside an evaluation
asks here, so that development items look as the items do that are evaluated: a loaded task
remembers how its prompts are put together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any
from weakref import WeakKeyDictionary

from sna_eval.errors import InputError, reading
from sna_eval.harness.plugin.running import Prompting
from sna_eval.harness.tasks.questions import requests_of, seed_examples
from sna_eval.typed import Json

_PROMPTINGS: WeakKeyDictionary[Any, Prompting] = WeakKeyDictionary()


@dataclass(frozen=True)
class TaskArguments:
    """As lm_eval's flags of these names."""

    metadata: Json = field(default_factory=dict)
    """What a task's own code may ask for, beside the model's arguments."""
    num_fewshot: int | None = None
    """Examples before each question; `None`: as the task says. A task that says 0 keeps it."""
    system_instruction: str | None = None
    apply_chat_template: bool | str = False
    """Whether prompts go through the tokenizer's chat template; lm_eval takes a template's name
    too, and records it."""
    fewshot_as_multiturn: bool | None = None
    """Whether examples are turns of a conversation; `None`: where there is a chat template."""

    def __post_init__(self) -> None:
        if self.num_fewshot is not None and self.num_fewshot < 0:
            raise InputError("num_fewshot", expected="0 or more", got=self.num_fewshot)
        if self.fewshot_as_multiturn and not self.apply_chat_template:
            raise InputError(
                "fewshot_as_multiturn", expected="--apply_chat_template beside it",
                got=self.fewshot_as_multiturn,
            )  # fmt: skip

    def given(self) -> dict[str, Any]:
        """Those that are not left open, as a record of a measurement holds them."""
        open_ones = TaskArguments()
        values = {argument.name: getattr(self, argument.name) for argument in fields(self)}
        return {
            name: dict(value) if name == "metadata" else value
            for name, value in values.items()
            if value != getattr(open_ones, name)
        }

    @property
    def prompting(self) -> Prompting:
        """What is put around a task's own prompts."""
        chat = bool(self.apply_chat_template)
        multiturn = chat if self.fewshot_as_multiturn is None else self.fewshot_as_multiturn
        return Prompting(self.system_instruction, chat, multiturn)

    def settle(self, task: Any) -> None:
        """Makes a loaded task prompt as an evaluation with these arguments would."""
        written = task.get_config("num_fewshot")
        if self.num_fewshot is not None and written != 0:
            task.set_config(key="num_fewshot", value=self.num_fewshot)
        elif written is None:
            task.set_config(key="num_fewshot", value=0)
        _PROMPTINGS[task] = self.prompting


def prompting_of(task: Any) -> Prompting:
    """How the prompts of a loaded task are put together; plain where nothing was said."""
    return _PROMPTINGS.get(task, Prompting())


def prompt_alike(task: Any, like: Any) -> None:
    """Makes a task prompt as another one that is loaded."""
    _PROMPTINGS[task] = prompting_of(like)


def parse_metadata(words: Sequence[str] | None) -> dict[str, Any]:
    """lm_eval's `--metadata`: `key=value` words, or a JSON object; read by lm_eval's own code."""
    from lm_eval._cli.utils import key_val_to_dict, try_parse_json

    found: dict[str, Any] = {}
    for word in words or ():
        with reading("metadata", expected="key=value words, or a JSON object", got=word):
            parsed = try_parse_json(word)
            found.update(parsed if isinstance(parsed, dict) else key_val_to_dict(word))
    return found


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
