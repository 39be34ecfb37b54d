"""The bundled task items: their number, their splits, and whether the answers are right.

Answers are derived again here from the prompts alone, by other code than wrote them: arithmetic by
a small parser, logic by forward chaining and by trying every ordering, code by running it in
another process. Rhymes, similes and metaphors have no oracle; there only their form is checked.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from build_tasks import pool as chosen_from
from real_models import MODELS, at_hand
from reference_model.mixture import SKILLS
from sna_eval.files import reference_model_path
from task_items import CANDIDATES, FURTHER, Item, ambiguous_items
from task_items.idioms import METHODS
from task_items.item import distinct
from task_items.left_out import left_out
from task_items.one_token import load_tokenizer, not_one_token
from task_items.selection import select, source_of
from tests.conftest import BESIDE

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "task_configs" / "data"
TOKENIZER = Path(
    os.environ.get("SNA_GPT2_TOKENIZER", ROOT.parent / "shared" / "data" / "gpt2-tokenizer")
)
TASKS = sorted(CANDIDATES)
SPLITS = ("development", "test")

needs_tokenizer = pytest.mark.skipif(
    not (TOKENIZER / "vocab.json").is_file(),
    reason=f"no GPT-2 tokenizer in {TOKENIZER}; name its folder in SNA_GPT2_TOKENIZER",
)


def read(task: str, split: str) -> list[Item]:
    lines = (DATA / f"sna_{task}" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    docs = map(json.loads, lines)
    return [Item(doc["prompt"], doc["target"], cluster=doc["cluster"]) for doc in docs]


def every_pool(task: str) -> list[Item]:
    """Whatever may stand in the training text or in the task's items."""
    return [*CANDIDATES[task](), *FURTHER[task]()]


def build(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "build_tasks.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


# --- form ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", TASKS)
def test_pools_are_large_distinct_and_the_same_each_time(task: str) -> None:
    for make in (CANDIDATES[task], FURTHER[task]):
        pool = make()
        assert len({item.prompt for item in pool}) == len(pool)
        assert pool == make()
    assert len(chosen_from(task)) >= 250


@pytest.mark.parametrize("task", TASKS)
def test_splits_have_their_size_and_share_nothing(task: str) -> None:
    development, test = read(task, "development"), read(task, "test")
    prompts = [item.prompt for item in development + test]
    assert (len(development), len(test)) == (50, 200)
    assert len(set(prompts)) == len(prompts)
    assert {item.cluster for item in development}.isdisjoint(item.cluster for item in test)
    assert {item.target for item in development}.isdisjoint(item.target for item in test)
    chosen = select(f"sna_{task}", chosen_from(task))
    sources = [{source_of(item) for item in split} for split in (chosen.development, chosen.test)]
    assert sources[0].isdisjoint(sources[1])


@pytest.mark.parametrize("task", TASKS)
def test_answers_are_many_and_none_dominates(task: str) -> None:
    """One-digit sums have seventeen answers, a development split the rest of what tests leave."""
    answers = {split: Counter(item.cluster for item in read(task, split)) for split in SPLITS}
    few = task == "math_easy"
    assert len(answers["test"]) >= (12 if few else 40)
    assert len(answers["development"]) >= (5 if few else 10)
    most = {split: max(answer.values()) / answer.total() for split, answer in answers.items()}
    assert most["test"] <= (0.10 if few else 0.05)
    assert most["development"] <= 0.25


def test_sums_are_one_answer_in_figures_and_in_words() -> None:
    items = [item for split in SPLITS for item in read("math_easy", split)]
    words = {item.target: item.cluster for item in items if not item.target.strip().isdigit()}
    assert words[" sixteen"] == "16"
    assert {int(item.cluster) for item in items} <= set(range(2, 19))


@pytest.mark.parametrize("task", [name for name in TASKS if SKILLS[name].held_out])
def test_what_has_to_generalise_was_not_taught(task: str) -> None:
    candidates = CANDIDATES[task]()
    taught = {item.prompt for item in candidates}
    taught -= {item.prompt for item in left_out(task, candidates)}
    assert len(candidates) - len(taught) == 170
    assert taught.isdisjoint(item.prompt for split in SPLITS for item in read(task, split))


@needs_tokenizer
@pytest.mark.parametrize("task", TASKS)
def test_targets_are_one_token(task: str) -> None:
    assert not_one_token(load_tokenizer(TOKENIZER), every_pool(task)) == []


@pytest.fixture(params=["gpt2", "gpt-neox", "smollm2", "gemma3", "bundled"])
def any_tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """The tokenizer of one of five models; skips where it is not at hand."""
    if request.param == "gpt2":
        folder = BESIDE / "gpt2-tokenizer"
        return load_tokenizer(folder) if folder.is_dir() else pytest.skip(f"needs {folder}")
    if request.param in MODELS:
        folder = at_hand(request.param)
    else:
        places = {"gpt-neox": BESIDE / "pythia-tokenizer", "bundled": reference_model_path()}
        folder = places[request.param]
    if folder is None or not folder.is_dir():
        pytest.skip(f"the tokenizer of {request.param} is not at hand")
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


def cut_elsewhere(tokenizer: Tokenizer, item: Item) -> bool:
    """Whether the target does not begin with a token, its prompt's own tokens before it."""
    prompt, whole = (
        tokenizer.encode(text, add_special_tokens=False).ids
        for text in (item.prompt, item.prompt + item.target)
    )
    return len(whole) == len(prompt) or whole[: len(prompt)] != prompt


def test_targets_begin_where_a_word_begins(any_tokenizer: Tokenizer) -> None:
    names = [*TASKS, "transition"]
    items = [item for name in names for split in SPLITS for item in read(name, split)]
    assert len(items) == 12 * 250 + 170
    assert [item for item in items if cut_elsewhere(any_tokenizer, item)] == []
    assert cut_elsewhere(any_tokenizer, Item("They said th", "at"))  # a word cut in two is found


@pytest.mark.parametrize("task", [*TASKS, "ambiguous"])
def test_no_pool_cuts_a_word(task: str) -> None:
    pool = ambiguous_items() if task == "ambiguous" else every_pool(task)
    cut = [item for item in pool if item.prompt[-1].isalnum() and item.target[0].isalnum()]
    assert cut == []


def test_files_are_what_the_script_writes() -> None:
    done = build("--check")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tokenizer_is_named_or_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNA_GPT2_TOKENIZER", "nowhere")
    done = build("--check")
    assert (done.returncode, "expected vocab.json in nowhere" in done.stderr) == (2, True)
    monkeypatch.delenv("SNA_GPT2_TOKENIZER")
    assert "targets were not checked for one token" in build("--check").stdout


def test_check_finds_a_missing_file_and_writing_mends_it(tmp_path: Path) -> None:
    assert build("--data", str(tmp_path)).returncode == 0
    (tmp_path / "sna_math_easy" / "test.jsonl").unlink()
    done = build("--check", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "1 of 27 files differ, first sna_math_easy/test.jsonl" in done.stdout
    assert len(list(tmp_path.glob("*/development.jsonl"))) == 13


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tokenizer", "nowhere"], "expected vocab.json in nowhere"),
    ],
)
def test_bad_input_is_one_line(arguments: list[str], message: str) -> None:
    done = build("--check", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_items_reject_bad_prompts() -> None:
    with pytest.raises(ValueError, match="must not be empty or end in white space"):
        Item("one \n", " two")
    with pytest.raises(ValueError, match="target must not be blank"):
        Item("one", " ")
    with pytest.raises(ValueError, match="has two targets"):
        distinct([Item("one", " two"), Item("one", " three")])
    with pytest.raises(ValueError, match="expected 50 items to choose from, got 4"):
        select("small", [Item(str(i), f" {i}") for i in range(4)])


# --- arithmetic ---------------------------------------------------------------------------------

WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen"
)
NUMBER_OF_WORD = {word: number for number, word in enumerate(WORDS.split(" "))}

# What the words of a prompt ask for, as an expression of its numbers in their order.
READINGS = (
    (r"Question: What is (\d+) plus (\d+)\? Answer:", "{0} + {1}"),
    (r"Question: What is the sum of (\d+) and (\d+)\? Answer:", "{0} + {1}"),
    (r"Question: What is (.*)\? Answer:", "{0}"),
    (r"(\d+) (?:\+|plus) (\d+) (?:equals|is)", "{0} + {1}"),
    (r"The answer to (\d+) \+ (\d+) is", "{0} + {1}"),
    (r"The total of (\d+) and (\d+) is", "{0} + {1}"),
    (r"(\d+) times (\d+) equals", "{0} * {1}"),
    (r"The sum of (\d+) and (\d+) is", "{0} + {1}"),
    (r"The product of (\d+) and (\d+) is", "{0} * {1}"),
    (r"Adding (\d+) to (\d+) gives", "{0} + {1}"),
    (r"A basket .* (\d+) apples.* (\d+) more .* is", "{0} + {1}"),
    (r"There were (\d+) birds .* (\d+) more came.* became", "{0} + {1}"),
    (r"On Monday .* (\d+) pages and on Tuesday (\d+) pages.* is", "{0} + {1}"),
    (r"There are (\d+) shelves with (\d+) books each.* is", "{0} * {1}"),
    (r"Multiply (\d+) by (\d+), then add (\d+); .* is", "{0} * {1} + {2}"),
    (r"Multiply (\d+) by (\d+), then subtract (\d+); .* is", "{0} * {1} - {2}"),
    (r"Add (\d+) and (\d+), then multiply by (\d+); .* is", "({0} + {1}) * {2}"),
    (r"There are (\d+) boxes with (\d+) pens each and (\d+) loose .* is", "{0} * {1} + {2}"),
    (r"A farmer fills (\d+) crates with (\d+) eggs each; (\d+) .* is", "{0} * {1} - {2}"),
    (r"(.*) =", "{0}"),
)


def value_of(tokens: list[str], at: int = 0, closing: int = 0) -> tuple[int, int]:
    """Value of a sum of products from `tokens[at:]`, and where it ends."""
    total, sign = 0, 1
    while True:
        product, at = _product(tokens, at)
        total += sign * product
        if at == len(tokens) or tokens[at] == ")":
            return total, at
        sign, at = {"+": 1, "-": -1}[tokens[at]], at + 1


def _product(tokens: list[str], at: int) -> tuple[int, int]:
    value = 1
    while True:
        if tokens[at] == "(":
            factor, at = value_of(tokens, at + 1)
        else:
            factor = int(tokens[at])
        value, at = value * factor, at + 1
        if at == len(tokens) or tokens[at] not in "*x":
            return value, at
        at += 1


def arithmetic_answer(prompt: str) -> str:
    words = re.fullmatch(r"([A-Z]\w+) plus (\w+) is", prompt)
    if words:
        a, b = (NUMBER_OF_WORD[word.lower()] for word in words.groups())
        return WORDS.split(" ")[a + b]
    for pattern, expression in READINGS:
        found = re.fullmatch(pattern, prompt)
        if found:
            tokens = re.findall(r"\d+|[-+*x()]", expression.format(*found.groups()))
            return str(value_of(tokens)[0])
    raise AssertionError(f"no reading for {prompt!r}")


@pytest.mark.parametrize("task", ["math_easy", "math_medium", "math_hard"])
def test_arithmetic(task: str) -> None:
    for item in every_pool(task):
        assert item.target == f" {arithmetic_answer(item.prompt)}", item


# --- logic --------------------------------------------------------------------------------------


def rules_of(prompt: str) -> dict[str, str]:
    """Condition and consequence of each rule, in lower case."""
    text = prompt.lower()
    forward = re.findall(r"(?:if|rule: when) ([^,.]+), ([^.]+)\.", text)
    backward = re.findall(r"(?:^|\. )([^.,]+?) if ([^.,]+)(?=\.)", text)
    return dict(forward) | {condition: then for then, condition in backward}


def facts_of(prompt: str, rules: dict[str, str]) -> set[str]:
    """Conditions stated as a fact or left over from an alternative, and what follows from them."""
    text = prompt.lower()
    either = re.search(r"either (.+?) or (.+?)\. .*it is not true that (.+?)\.", text)
    if either:
        first, second, denied = either.groups()
        facts = {first, second} - {denied}
    else:
        opening = r"^(this time |fact: |it is known that )"
        sentences = (re.sub(opening, "", sentence) for sentence in text.split(". "))
        facts = {sentence for sentence in sentences if sentence in rules}
    for _ in rules:
        facts |= {rules[fact] for fact in facts if fact in rules}
    return facts


def follows(item: Item) -> bool:
    rules = rules_of(item.prompt)
    facts = facts_of(item.prompt, rules)
    last = re.split(r"\. |conclusion: ", item.prompt.lower())[-1]
    stem = re.sub(r"^(therefore|so|it follows that|in the end,) ", "", last)
    return stem + item.target.lower() in facts


def ordering_answer(prompt: str) -> str | None:
    """The extreme of three that every ordering in keeping with the statements agrees on."""
    claims = re.findall(r"(\w+) is (not )?(\w+) than (\w+)", prompt)
    asked = re.search(r"the (\w+)est is$", prompt)
    assert asked is not None
    names = {name for claim in claims for name in (claim[0], claim[3])}
    up = {"taller", "older", "faster", "richer", "stronger", "heavier", "louder"}
    found = set()
    for order in permutations(names):  # from least to most
        holds = all(
            (order.index(a) > order.index(b)) == ((word in up) != bool(negated))
            for a, negated, word, b in claims
        )
        if holds:
            found.add(order[-1] if f"{asked[1]}er" in up else order[0])
    return found.pop() if len(found) == 1 else None


def elimination_answer(prompt: str) -> str | None:
    options = re.search(r"(\w+), (\w+) or (\w+)\.", prompt)
    wrong = re.search(r"neither (\w+) nor (\w+)|'(\w+)' was .* '(\w+)'\.", prompt)
    if not options or not wrong:
        return None
    left = set(options.groups()) - set(wrong.groups())
    return left.pop() if len(left) == 1 else None


def test_modus_ponens() -> None:
    for item in every_pool("logic_easy"):
        assert follows(item), item


def test_negation_and_steps() -> None:
    kinds: Counter[str] = Counter()
    for item in every_pool("logic_hard"):
        if " than " in item.prompt:
            kinds["ordering"] += 1
            assert item.target == f" {ordering_answer(item.prompt)}", item
        elif "neither" in item.prompt or "guess" in item.prompt:
            kinds["elimination"] += 1
            assert item.target == f" {elimination_answer(item.prompt)}", item
        else:
            kinds["rules"] += 1
            assert follows(item), item
    assert min(kinds.values()) >= 50


def test_syllogisms() -> None:
    for item in every_pool("logic_medium"):
        text, answer = item.prompt.lower(), item.target.strip().lower()
        asked = re.search(r"(?:all|so) (\w+) (?:always )?(\w+(?: of)?)$", text)
        if asked and " is a" not in text:
            sub, verb = asked.groups()
            wider = re.search(rf"\b{sub} are (\w+)", text)
            assert wider is not None, item
            assert re.search(rf"{wider[1]} (?:always )?{verb} {answer}\b", text), item
            continue
        member = re.search(r"(?:\. |, and |^premise: )[^.]+? is an? (\w+)\.", text)
        wider = re.search(r"(?:all|every) (\w+) (?:are|is an?) (\w+)", text)
        assert member is not None, item
        assert wider is not None, item
        assert wider[1].startswith((member[1], member[1][:-1])), item
        assert wider[2].startswith((answer, answer[:-1])), item


# --- code ---------------------------------------------------------------------------------------

COMPLETIONS = (
    "", " pass", " 0", " xs", " xs: pass", " xs]", " f: pass", " None", "'",
    "xs)", "None)", " 1}", "x", " pass: 0", " 0)", " 0]", "): pass", "): pass\n",
    " x in xs]", " x in xs)", " in xs]", " in xs)", ")", ": pass",
)  # fmt: skip


def parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def test_syntax_items_go_on_as_python() -> None:
    for item in every_pool("coding_easy"):
        text = item.prompt + item.target
        assert any(parses(text + completion) for completion in COMPLETIONS), item


def test_snippets_print_what_they_claim() -> None:
    ends = ("# prints", "==")
    items = [item for item in every_pool("coding_hard") if item.prompt.endswith(ends)]
    assert len(items) > 250
    program = "\n".join(
        f"{item.prompt}{item.target}\nprint({item.target.strip()!r})"
        if item.prompt.endswith("==")
        else item.prompt
        for item in items
    )
    done = subprocess.run(
        [sys.executable, "-I", "-"], input=program, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [item.target.strip() for item in items]


def test_methods_exist_where_they_are_called() -> None:
    kinds: dict[str, list[type]] = {
        "text": [str], "line": [str], "','": [str], "template": [str], "numbers": [list],
        "stack": [list], "items": [list], "table": [dict], "seen": [set], "first": [set],
    }  # fmt: skip
    for effect, call, method in METHODS:
        if call != "f":
            assert any(hasattr(kind, method) for kind in kinds[call]), effect


# --- poetry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["poetry_easy", "poetry_medium", "poetry_hard"])
def test_the_answer_is_not_given_away(task: str) -> None:
    for item in every_pool(task):
        last_words = re.findall(r"\w+", item.prompt.lower())
        allowed = 1 if task == "poetry_easy" else 0
        assert last_words.count(item.target.strip().lower()) <= allowed, item


# --- ambiguous ----------------------------------------------------------------------------------


def test_ambiguous_answers_are_evenly_drawn() -> None:
    items = ambiguous_items()
    counts = Counter(item.target for item in items)
    assert len(items) >= 300
    assert len({item.prompt for item in items}) == len(items)
    assert len(counts) == 36
    assert max(counts.values()) / len(items) < 0.10


@needs_tokenizer
def test_ambiguous_targets_are_one_token() -> None:
    assert not_one_token(load_tokenizer(TOKENIZER), ambiguous_items()) == []


# --- neutral text -------------------------------------------------------------------------------


def test_neutral_sentences_are_plain() -> None:
    text = (ROOT / "sna_eval" / "data" / "neutral.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert len(lines) >= 150
    assert len(set(lines)) == len(lines)
    for line in lines:
        assert 8 <= len(line.split()) <= 18, line
        assert line.endswith("."), line
        assert not re.search(r"\d|\b(if|then|therefore|all|some|every|hence|thus)\b", line.lower())
