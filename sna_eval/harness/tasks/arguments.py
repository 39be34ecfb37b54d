"""What a user says of tasks beside their names, as `lm_eval run` takes it: a task's arguments.

A task may make its data by `--metadata` and the model's arguments, and its prompts differ with the
number of examples and what is put around them. Whatever measures a task outside an evaluation must
see the same task, so a loaded task remembers how its prompts are put together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any
from weakref import WeakKeyDictionary

from sna_eval.errors import InputError, reading
from sna_eval.harness.plugin.running import Prompting

_PROMPTINGS: WeakKeyDictionary[Any, Prompting] = WeakKeyDictionary()


@dataclass(frozen=True)
class TaskArguments:
    """As lm_eval's flags of these names."""

    metadata: Mapping[str, Any] = field(default_factory=dict)
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


def parse_metadata(words: Sequence[str] | None) -> dict[str, Any]:
    """lm_eval's `--metadata`: `key=value` words, or a JSON object; read by lm_eval's own code."""
    from lm_eval._cli.utils import key_val_to_dict, try_parse_json

    found: dict[str, Any] = {}
    for word in words or ():
        with reading("metadata", expected="key=value words, or a JSON object", got=word):
            parsed = try_parse_json(word)
            found.update(parsed if isinstance(parsed, dict) else key_val_to_dict(word))
    return found
