"""Write the items of the bundled tasks, or check the ones on disk.

    python scripts/build_tasks.py                 # generation tasks, `sna_ambiguous`, instructions
    python scripts/build_tasks.py --check         # exit 1 if the files differ from that

Both need no model and give the same bytes each time. `sna_transition` depends on a model, and is
made of `sna_ambiguous` by `sna-eval transition`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from reference_model.mixture import SKILLS
from task_items import CANDIDATES, FURTHER, Item, ambiguous_items
from task_items.instructions import development_instructions, test_instructions
from task_items.left_out import left_out
from task_items.one_token import load_tokenizer, not_one_token
from task_items.selection import Splits, select

_ROOT = Path(__file__).resolve().parents[1]
_TOKENIZER_VARIABLE = "SNA_GPT2_TOKENIZER"


def main(argv: list[str] | None = None) -> int:
    """Run the command; 0 is success, 1 a difference found by --check, 2 bad input."""
    options = _parse(argv)
    try:
        tasks = {f"sna_{task}": select(f"sna_{task}", pool(task)) for task in CANDIDATES}
        _verify(options.tokenizer, tasks)
    except (FileNotFoundError, ValueError) as error:
        print(f"build_tasks: {error}", file=sys.stderr)
        return 2
    files = {path: text for task, splits in tasks.items() for path, text in _files(task, splits)}
    files |= dict([*_instructions(), ("sna_ambiguous/test.jsonl", _ambiguous())])
    return _check(options.data, files) if options.check else _write(options.data, files)


def _parse(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    add = parser.add_argument
    add("--check", action="store_true", help="write nothing; exit 1 if a file differs")
    add("--data", type=Path, default=_ROOT / "task_configs" / "data", help="folder of the items")
    add(
        "--tokenizer",
        type=Path,
        default=os.environ.get(_TOKENIZER_VARIABLE),
        help=f"folder with GPT-2's vocab.json and merges.txt (default: ${_TOKENIZER_VARIABLE})",
    )
    return parser.parse_args(argv)


def pool(task: str) -> list[Item]:
    """What a task's items are chosen from: where its skill has to generalise, nothing of which the
    bundled model's training text was written."""
    candidates = CANDIDATES[task]()
    known = {item.prompt for item in candidates}
    usable = left_out(task, candidates) if SKILLS[task].held_out else candidates
    return [*usable, *(item for item in FURTHER[task]() if item.prompt not in known)]


def _verify(tokenizer: Path | None, tasks: dict[str, Splits]) -> None:
    """Stop at the first target that is not one GPT-2 token."""
    if tokenizer is None:
        print("no GPT-2 tokenizer named (--tokenizer DIR): targets were not checked for one token")
        return
    encoder = load_tokenizer(tokenizer)
    for task, splits in tasks.items():
        for item in not_one_token(encoder, splits.development + splits.test):
            raise ValueError(f"{task}: target {item.target!r} is not one token in {item.prompt!r}")


def _files(task: str, splits: Splits) -> Iterator[tuple[str, str]]:
    """Path below the data folder and contents, for both splits."""
    yield f"{task}/development.jsonl", _lines(splits.development)
    yield f"{task}/test.jsonl", _lines(splits.test)


def _instructions() -> Iterator[tuple[str, str]]:
    """The same of the instructions, which have a rule in place of a target."""
    for split, items in (
        ("development", development_instructions()), ("test", test_instructions())
    ):  # fmt: skip
        rows = (json.dumps(asdict(item), ensure_ascii=False) for item in items)
        yield f"sna_instruct/{split}.jsonl", "".join(f"{row}\n" for row in rows)


def _ambiguous() -> str:
    """The items of which transition tasks are made; those laid out from one text share a number."""
    numbers: dict[str, int] = {}
    rows = (
        {
            "prompt": item.prompt,
            "target": item.target,
            "cluster": item.cluster,
            "source": numbers.setdefault(item.source, len(numbers)),
        }
        for item in ambiguous_items()
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _lines(items: list[Item]) -> str:
    rows = (
        {"prompt": item.prompt, "target": item.target, "cluster": item.cluster} for item in items
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _check(folder: Path, files: dict[str, str]) -> int:
    wrong = [name for name, text in files.items() if _read(folder / name) != text]
    if wrong:
        print(
            f"{folder}: {len(wrong)} of {len(files)} files differ, first {wrong[0]}; "
            "rerun without --check"
        )
        return 1
    print(f"{folder}: all {len(files)} files are up to date")
    return 0


def _read(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8") if path.is_file() else None


def _write(folder: Path, files: dict[str, str]) -> int:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
    print(f"{folder}: {len(files)} files written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
