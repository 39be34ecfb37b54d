"""The gated client over HTTP decides and scores as `sna` does, document by document."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sna_eval.export import export_plan
from sna_eval.gating import Gate
from sna_eval.harness.values import evidence_of
from sna_eval.paths import tasks_path
from sna_eval.plan import Plan, save_plan
from tests.export.completions_server import Engine, serving
from tests.export.conftest import PLAN, source_of

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "gated_client.py"
COUNT = 50
GATE = Gate("margin", 0.80, 0.95)
TASK_YAML = """
task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: {folder}/documents.jsonl}}}}
output_type: {kind}
test_split: test
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
target_delimiter: ""
{generation}
metric_list: [{{metric: {metric}}}]
"""


def _client() -> Any:
    spec = importlib.util.spec_from_file_location("gated_client", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["gated_client"] = module
    spec.loader.exec_module(module)
    return module


gated_client = _client()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: Any) -> Path:
    """Fifty documents with two choices, some of several tokens, and the tasks that ask them."""
    folder = tmp_path_factory.mktemp("documents")
    items = tasks_path() / "data" / "sna_logic_easy" / "test.jsonl"
    rows = [json.loads(line) for line in items.read_text(encoding="utf-8").splitlines()]
    with (folder / "documents.jsonl").open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows[:COUNT]):
            choices = [row["target"], rows[(number + 7) % len(rows)]["target"]]
            choices = choices[:: 1 if number % 2 else -1]
            context = row["prompt"] + (" " if number % 10 == 0 else "")  # space that moves over
            document = {"context": context, "choices": choices, "answer": number % 2 ^ 1}
            print(json.dumps(document), file=file)
    until = 'generation_kwargs: {until: ["never"], max_gen_toks: 6}'
    for name, kind, generation, metric in (
        ("own_pairs", "multiple_choice", "", "acc"),
        ("own_texts", "generate_until", until, "exact_match"),
    ):
        values = {"name": name, "kind": kind, "generation": generation, "metric": metric}
        (folder / f"{name}.yaml").write_text(TASK_YAML.format(folder=folder, **values))
    return folder


@pytest.fixture(scope="module")
def export_folder(model_folder: Any, tmp_path_factory: Any) -> Path:
    target = tmp_path_factory.mktemp("served") / "lora"
    plan = replace(PLAN, gate=GATE)
    return export_plan(source_of(model_folder("llama"), plan), target, format="lora")


@pytest.fixture(scope="module")
def engine(model_folder: Any, export_folder: Path, word_tokenizer: Any) -> Engine:
    return Engine(model_folder("llama"), export_folder, word_tokenizer)


@pytest.fixture(scope="module")
def url(engine: Engine) -> Iterator[str]:
    with serving(engine) as url:
        yield url


@pytest.fixture
def sna(folder: Path, model_folder: Any, word_tokenizer: Any, tmp_path: Path) -> Any:
    """The answers of `lm_eval --model sna` to a task's documents, in order."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from sna_eval.harness.plugin.registration import register

    register()

    def run(task: str, gate: Gate) -> list[list[Any]]:
        save_plan(Plan({task: replace(PLAN, gate=gate)}), tmp_path / "plan.yaml")
        results = simple_evaluate(
            model="sna",
            model_args={
                "pretrained": str(model_folder("llama")),
                "tokenizer": word_tokenizer.name_or_path,
                "plan": str(tmp_path / "plan.yaml"),
            },
            tasks=[task],
            task_manager=TaskManager(include_path=[folder], include_defaults=False),
            device="cpu",
            batch_size=8,
            bootstrap_iters=0,
        )
        samples = sorted(results["samples"][task], key=lambda sample: sample["doc_id"])
        return [[response[0] for response in sample["resps"]] for sample in samples]

    return run


def ask(url: str, folder: Path, *options: str) -> list[dict[str, Any]]:
    """Runs the script as a user would, in a Python without any installed package."""
    command = [
        sys.executable, "-I", "-S", str(SCRIPT), str(folder / "documents.jsonl"),
        "--url", url, "--base", "base", "--adapter", "sna", *options,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


def without_choices(folder: Path, target: Path) -> Path:
    lines = (folder / "documents.jsonl").read_text(encoding="utf-8").splitlines()
    contexts = [json.dumps({"context": json.loads(line)["context"]}) for line in lines]
    (target / "documents.jsonl").write_text("\n".join(contexts))
    return target


def test_same_decisions_and_scores(url: str, folder: Path, export_folder: Path, sna: Any) -> None:
    expected = sna("own_pairs", GATE)
    got = ask(url, folder, "--export", str(export_folder), "--workers", "2")
    assert len(got) == len(expected) == COUNT
    for own, scores in zip(got, expected, strict=True):
        values = [value for value, _ in scores]
        evidence = [evidence_of(value) for value in values]
        assert own["amplified"] == evidence[0].amplified
        assert own["zone"] == evidence[0].zone
        assert own["confidence"] == pytest.approx(evidence[0].confidence, abs=1e-5)
        assert own["scores"] == pytest.approx(
            [float(value) for value in values], rel=1e-6, abs=1e-5
        )
        assert own["baseline"] == pytest.approx([e.baseline for e in evidence], rel=1e-6, abs=1e-5)
    amplified = sum(own["amplified"] for own in got)
    assert 5 <= amplified <= COUNT - 5  # both ways were taken
    assert {own["zone"] for own in got} == {1, 2, 3}


def test_adapter_is_asked_for_open_documents_only(
    url: str, folder: Path, export_folder: Path, engine: Engine
) -> None:
    engine.requests.clear()
    got = ask(url, folder, "--export", str(export_folder))
    asked = [request["model"] for request in engine.requests]
    assert asked.count("base") == COUNT
    assert asked.count("sna") == sum(own["amplified"] for own in got)


def thirds(url: str, path: Path, signal: Any, transition: Any = "leave") -> Gate:
    """A gate that puts a third of the documents into each zone."""
    client = gated_client.Client(
        gated_client.Server(url), "base", "sna", gated_client.Gate(signal, 0.0, 1.0), 1
    )
    documents = gated_client.read_documents(path / "documents.jsonl")
    values = sorted(own["confidence"] for own in gated_client.run(client, documents, 1))
    low, high = (sum(values[n : n + 2]) / 2 for n in (COUNT // 3, 2 * COUNT // 3))
    return Gate(signal, low, high, transition)


def options_of(gate: Gate) -> list[str]:
    return [
        "--signal", gate.signal, "--low", repr(gate.low), "--high", repr(gate.high),
        "--transition", gate.transition,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("signal", "transition"), [("target_prob", "amplify"), ("max_prob", "leave")]
)
def test_other_signals(signal: str, transition: str, url: str, folder: Path, sna: Any) -> None:
    gate = thirds(url, folder, signal, transition)
    got = ask(url, folder, *options_of(gate))
    for own, scores in zip(got, sna("own_pairs", gate), strict=True):
        evidence = evidence_of(scores[0][0])
        assert (own["zone"], own["amplified"]) == (evidence.zone, evidence.amplified)
        assert own["confidence"] == pytest.approx(evidence.confidence, rel=1e-4)
        assert own["scores"] == pytest.approx(
            [float(value) for value, _ in scores], rel=1e-6, abs=1e-5
        )
    assert 10 < sum(own["amplified"] for own in got) < COUNT - 10


def test_generated_texts(url: str, folder: Path, sna: Any, tmp_path: Path) -> None:
    texts = without_choices(folder, tmp_path)
    gate = thirds(url, texts, "max_prob")
    got = ask(url, texts, *options_of(gate), "--max_tokens", "6")
    expected = [responses[0] for responses in sna("own_texts", gate)]
    assert [own["amplified"] for own in got] == [text.decision.amplified for text in expected]
    assert [own["text"].removesuffix("<eos>") for own in got] == [str(text) for text in expected]
    assert 10 < sum(own["amplified"] for own in got) < COUNT - 10
    assert any(own["text"] != own["baseline"] for own in got)


@pytest.mark.parametrize(("mode", "amplified"), [("always", COUNT), ("never", 0)])
def test_gates_that_do_not_measure(
    mode: str, amplified: int, url: str, folder: Path, tmp_path: Path
) -> None:
    record = {"task": "t", "plan": {"tasks": {"t": {"gate": {"mode": mode, "signal": "entropy"}}}}}
    (tmp_path / "sna_export.json").write_text(json.dumps(record))
    got = ask(url, folder, "--export", str(tmp_path))
    assert sum(own["amplified"] for own in got) == amplified
    assert {own["zone"] for own in got} == {None}


@pytest.mark.parametrize("value", [0.0, 0.1, 0.25, 0.4, 0.55, 0.7, 1.0])
@pytest.mark.parametrize("transition", ["leave", "amplify"])
def test_gate_is_the_package_s(value: float, transition: Any) -> None:
    own = gated_client.Gate("margin", 0.25, 0.55, transition)
    gate = Gate("margin", 0.25, 0.55, transition)
    assert (own.zone(value), own.opens(value)) == (gate.zone(value), gate.opens(value))


GOOD = '{"context": "a", "choices": [" b", " c"]}'


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("{", [], "documents.jsonl:1: expected a JSON object"),
        ("\n[1]", [], "documents.jsonl:2: expected a JSON object, got '[1]'"),
        ('{"choices": [" a"]}', [], "document 1: context: expected a text, got None"),
        ('{"context": "a", "choices": []}', [], "choices: expected a list of texts, got []"),
        ('{"context": "a", "choices": [" b"]}', [], "choices: a margin needs two"),
        ('{"context": "a"}', [], "choices: without them the gate needs --signal max_prob"),
        (GOOD, ["--signal", "target_prob"], "answer: `target_prob` needs the right choice"),
        (GOOD, ["--low", "0.9"], "low: expected at most high = 0.6, got 0.9"),
        (GOOD, ["--export", "/nowhere"], "export: expected a folder with sna_export.json"),
        (GOOD, ["--base", "other"], "status 404"),
        (GOOD, ["--url", "http://127.0.0.1:9/v1"], "expected a server's JSON answer"),
        (GOOD, ["--output", "/nowhere/a.jsonl"], "output: "),
    ],
)
def test_bad_input_is_one_line(
    text: str, options: list[str], message: str, url: str, tmp_path: Path, capsys: Any
) -> None:
    path = tmp_path / "documents.jsonl"
    path.write_text(text)
    arguments = [str(path), "--url", url, "--base", "base", "--adapter", "sna", *options]
    assert gated_client.main(arguments) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("gated_client: error: ")
    assert message in said[0]


def test_missing_file_is_one_line(tmp_path: Path, capsys: Any) -> None:
    path = str(tmp_path / "none.jsonl")
    assert gated_client.main([path, "--base", "base", "--adapter", "sna"]) == 2
    assert "expected a file of JSON lines" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ({"signal": "entropy"}, "signal: expected one of margin, max_prob, target_prob"),
        ({"threshold": 1}, "export: expected a gate"),
    ],
)
def test_gates_that_no_server_allows(
    gate: dict[str, Any], message: str, tmp_path: Path, capsys: Any
) -> None:
    record = {"task": "t", "plan": {"tasks": {"t": {"gate": gate}}}}
    (tmp_path / "sna_export.json").write_text(json.dumps(record))
    arguments = ["none.jsonl", "--base", "b", "--adapter", "a", "--export", str(tmp_path)]
    assert gated_client.main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("gate", "typed", "expected"),
    [
        ({"mode": "always"}, ["--signal", "max_prob"], ("max_prob", 0.30, 0.60, "confidence")),
        ({"signal": "target_prob", "low": 0.07, "high": 0.1}, ["--signal", "margin"],
         ("margin", 0.30, 0.60, "confidence")),
        ({"signal": "margin", "low": 0.1, "high": 0.2}, ["--signal", "margin", "--high", "0.5"],
         ("margin", 0.1, 0.5, "confidence")),
        ({"mode": "always"}, ["--low", "0.1"], ("margin", 0.1, 0.6, "always")),
    ],
)  # fmt: skip
def test_a_signal_that_is_named_is_followed(
    gate: dict[str, Any], typed: list[str], expected: tuple[Any, ...], tmp_path: Path
) -> None:
    """As with `plan=FILE,gate=SIGNAL`: neither the mode nor another signal's bounds stay."""
    record = {"task": "t", "plan": {"tasks": {"t": {"gate": gate}}}}
    (tmp_path / "sna_export.json").write_text(json.dumps(record))
    words = ["x", "--base", "b", "--adapter", "a", "--export", str(tmp_path), *typed]
    found = gated_client._gate(gated_client._parser().parse_args(words))
    assert (found.signal, found.low, found.high, found.mode) == expected


def test_lines_are_divided_where_json_lines_are(tmp_path: Path) -> None:
    """U+2028 and its like may stand inside a text."""
    text = "one\u2028two\u0085three"
    (tmp_path / "d.jsonl").write_text(json.dumps({"context": text}, ensure_ascii=False) + "\n")
    assert gated_client.read_documents(tmp_path / "d.jsonl") == [{"context": text}]


@pytest.mark.parametrize(
    "typed",
    [["--url", "http://localhost:80OO/v1"], ["--workers", "0"]],
)
def test_addresses_and_workers_that_cannot_be(
    typed: list[str], tmp_path: Path, capsys: Any
) -> None:
    (tmp_path / "d.jsonl").write_text('{"context": "a", "choices": [" b", " c"]}\n')
    words = [str(tmp_path / "d.jsonl"), "--base", "b", "--adapter", "a", *typed]
    assert gated_client.main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({}, "expected choices with log-probabilities"),
        ({"choices": []}, "expected 3 choices with log-probabilities"),
        ({"choices": [{"index": 0, "logprobs": None}] * 3}, "expected choices with log-prob"),
        (
            {"choices": [{"index": n, "logprobs": {"token_logprobs": [-1.0]}} for n in range(3)]},
            "expected log-probabilities of the echoed prompt",
        ),
    ],
)
def test_servers_that_answer_otherwise(answer: Any, message: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(gated_client.Server, "_post", lambda *_: answer)
    with pytest.raises(gated_client.ClientError, match=message):
        gated_client.score(gated_client.Server("http://x"), "m", "a", [" b", " c"])


def test_an_overflow_keeps_the_baseline(monkeypatch: Any) -> None:
    def answer(self: Any, url: str, body: dict[str, Any]) -> Any:
        value = float("nan") if body["model"] == "sna" else -1.0
        rows = [[None, -1.0], [None, value, -1.0], [None, value, -1.0]]
        return {
            "choices": [
                {"index": n, "logprobs": {"token_logprobs": row}} for n, row in enumerate(rows)
            ]
        }

    monkeypatch.setattr(gated_client.Server, "_post", answer)
    client = gated_client.Client(
        gated_client.Server("http://x"), "base", "sna", gated_client.Gate()
    )
    got = client.answer({"context": "a", "choices": [" b", " c"]})
    assert (got["amplified"], got["overflowed"], got["scores"]) == (True, True, [-1.0, -1.0])


def test_the_key_is_sent(url: str, monkeypatch: Any) -> None:
    sent: list[Any] = []

    def urlopen(request: Any, timeout: float) -> Any:
        sent.append(request)
        raise OSError("stop here")

    monkeypatch.setenv("GATED_CLIENT_KEY", "abc")
    monkeypatch.setattr(gated_client.urllib.request, "urlopen", urlopen)
    with pytest.raises(gated_client.ClientError, match="stop here"):
        gated_client.Server(url).complete("base", ["a"])
    assert sent[0].get_header("Authorization") == "Bearer abc"
