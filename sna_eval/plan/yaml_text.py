"""YAML by PyYAML's safe loader, within bounds: no code, no surprise, no file that fills the memory.

Beyond what the safe loader refuses:

- a key that stands twice in a mapping, where YAML would silently take the last;
- a key that PyYAML's YAML 1.1 takes for something that is written otherwise, as `no` for false:
  labels are keys;
- more values than any plan has, aliases spelt out: ten lines of them can stand for more values than
    any memory holds, and merged mappings (`<<`) do so while they are read;
- numbers of thousands of digits, which Python can read in some notations and print in none.

And what it takes for text: `1e-4` is a number, as in JSON and YAML 1.2.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.constructor import ConstructorError

from sna_eval.errors import InputError

MOST_VALUES = 400_000
"""Keys, values, lists and mappings; a resolved plan of a thousand tasks has a tenth of that."""
_LONGEST_NUMBER = 3_000  # characters
_TAG = "tag:yaml.org,2002:"
_NUMBERS = (f"{_TAG}int", f"{_TAG}float")
_SCIENTIFIC = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
_MISREAD = tuple(f"{_TAG}{kind}" for kind in ("bool", "null", "int", "float", "timestamp"))


def parse_yaml(text: str) -> Any:
    """The values of a text.

    **Raises:** `ValueError` for what is no YAML or breaks a bound, and what else a damaged text
    runs the loader into: `!!bool x` is a `KeyError` to it.
    """
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _spelt_out(node, {})
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


def yaml_text(value: Any) -> str:
    """Plain values as YAML that `parse_yaml` reads back."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Puts texts in quotes that would be read as numbers; spells out what stands twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver(f"{_TAG}float", _SCIENTIFIC, list("-+.0123456789"))


class _Loader(yaml.SafeLoader):
    """Complains while nodes are composed, before anything is made of them."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._nodes += 1
        if self._nodes > MOST_VALUES:
            raise _too_many()
        node = super().compose_node(parent, index)
        is_key = isinstance(parent, yaml.MappingNode) and index is None
        if isinstance(node, yaml.ScalarNode) and not is_key and _is_number(node):
            node.tag = f"{_TAG}float"
        return node

    def compose_scalar_node(self, anchor: Any) -> Any:
        node = super().compose_scalar_node(anchor)
        if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise ConstructorError(
                None, None, f"a number of more than {_LONGEST_NUMBER:,} digits", node.start_mark
            )
        node.value.encode()  # raises for half a character, which no file can hold
        return node

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                self._check_key(key)
                if (key.tag, key.value) in seen:
                    raise ConstructorError(
                        None, None, f"the key {key.value[:60]!r} twice", key.start_mark
                    )
                seen.add((key.tag, key.value))
        return node

    def _check_key(self, key: yaml.ScalarNode) -> None:
        """A key is the text that stands there, or else it has to be put in quotes."""
        if key.tag not in _MISREAD:
            return
        value = self.yaml_constructors[key.tag](self, key)
        if str(value) != key.value:
            line = key.start_mark.line + 1
            raise InputError(
                "plan", expected=f'"{key.value}" in quotes in line {line}', got=value,
                hint="that is what YAML reads without them",
            )  # fmt: skip
        key.tag = f"{_TAG}str"


def _spelt_out(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, its aliases spelt out.

    **Arguments:**

    - `known`: what was counted before, by the node's identity; 0 while it is being counted.
    """
    if id(node) not in known:
        known[id(node)] = 0
        known[id(node)] = 1 + sum(_spelt_out(part, known) for part in _parts(node))
    count = known[id(node)]
    if count == 0:
        raise ConstructorError(None, None, "a value that contains itself", node.start_mark)
    if count > MOST_VALUES:
        raise _too_many()
    return count


def _parts(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _is_number(node: yaml.ScalarNode) -> bool:
    """Whether a word without quotes is a number that YAML 1.1 takes for text."""
    plain = node.style is None and node.tag == f"{_TAG}str"
    return plain and _SCIENTIFIC.fullmatch(node.value) is not None


def _too_many() -> yaml.YAMLError:
    return yaml.YAMLError(f"more than {MOST_VALUES:,} values")
