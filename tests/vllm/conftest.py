"""A real vLLM on 127.0.0.1 with SmolLM2 and an exported plan; every test here is marked `vllm`.

`make test-vllm` makes the engine's environment and names its Python in `$SNA_EVAL_VLLM_PYTHON`. One
server answers all tests; while it starts, the same documents are scored in this process. What was
compared is printed at the end. `make test-vllm DOCUMENTS=200` compares as many documents of each
task; `make test-vllm-core` runs what is marked `core`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from real_models import bring
from sna_eval.cli import main
from sna_eval.files import tasks_path
from tests.real.conftest import evaluate
from tests.vllm.held_together import Compared

HERE = Path(__file__).parent
DOCUMENTS = int(os.environ.get("SNA_EVAL_VLLM_DOCUMENTS") or 24)
"""Of each task."""
TASKS = {
    "sna_sst2": (0.3, 0.6),
    "sna_math_easy": (0.75, 0.85),
    "sna_logic_easy": (0.15, 0.4),
    "own_texts": (0.4, 0.6),
}
"""The bounds of each task's gate."""
PLAN = """
version: 1
model: {n_layers: 30, d_mlp: 1536}
tasks:
  "sna_math_*": {gate: {signal: entropy, low: 0.75, high: 0.85}, interventions: &act [
    {layer: 12, multiplier: 2.5,
     neurons: [5, 99, 204, 377, 512, 640, 801, 902, 1033, 1200, 1311, 1420]},
    {layer: 20, multiplier: 1.8, neurons: [3, 77, 300, 451, 700, 888, 1002, 1300]}]}
  "sna_logic_*": {gate: {signal: target_prob, low: 0.15, high: 0.4}, interventions: *act}
  "sna_sst2": {gate: {signal: margin, low: 0.3, high: 0.6}, interventions: *act}
  "own_texts": {gate: {signal: max_prob, low: 0.4, high: 0.6}, interventions: *act}
"""
ADAPTED = ("model.layers.12.mlp.down_proj", "model.layers.20.mlp.down_proj")
"""The layers that the plan acts on."""
TEXTS = """
task: own_texts
dataset_path: json
dataset_kwargs: {{data_files: {{test: {items}}}}}
test_split: test
output_type: generate_until
doc_to_text: "{{{{prompt}}}}"
doc_to_target: "{{{{target}}}}"
generation_kwargs: {{until: ["\\n"], max_gen_toks: 8, do_sample: false}}
metric_list: [{{metric: exact_match}}]
"""
_COMPARED = pytest.StashKey[list[Compared]]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.vllm)
            if _task_of(item) == "sna_sst2" and not os.environ.get("SNA_EVAL_SST2"):
                item.add_marker(pytest.mark.skip("needs SST-2"))


def _task_of(item: pytest.Item) -> str | None:
    """The task that a test is about."""
    call = getattr(item, "callspec", None)
    return None if call is None else call.params.get("task")


@pytest.fixture(scope="session")
def compared(request: pytest.FixtureRequest) -> list[Compared]:
    """What tests have compared; it is printed at the end."""
    return request.config.stash.setdefault(_COMPARED, [])


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for one in config.stash.get(_COMPARED, []):
        terminalreporter.write_line(one.line())


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory: Any) -> Iterator[None]:
    """What the model allows is tried once for all tests here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SNA_EVAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def own_cache() -> None:
    """In place of a cache for each test."""


@pytest.fixture(scope="session")
def vllm_python() -> str:
    python = os.environ.get("SNA_EVAL_VLLM_PYTHON")
    if not python:
        pytest.skip("needs a real vLLM: make test-vllm")
    return python


@pytest.fixture(scope="session")
def smollm2() -> Path:
    return bring("smollm2")


@pytest.fixture(scope="session")
def asked(request: pytest.FixtureRequest) -> list[str]:
    """The tasks that the tests of this session are about."""
    named = {
        _task_of(item) for item in request.session.items if not item.get_closest_marker("skip")
    }
    return [task for task in TASKS if task in named]


@pytest.fixture(scope="session")
def tasks(tmp_path_factory: Any) -> Path:
    """A folder with a task of generated texts."""
    folder = tmp_path_factory.mktemp("tasks")
    items = tasks_path() / "data" / "sna_logic_easy" / "test.jsonl"
    (folder / "own_texts.yaml").write_text(TEXTS.format(items=items))
    return folder


@pytest.fixture(scope="session")
def plan_file(tmp_path_factory: Any) -> Path:
    path = tmp_path_factory.mktemp("plan") / "plan.yaml"
    path.write_text(PLAN)
    return path


@pytest.fixture(scope="session")
def export_folder(plan_file: Path, smollm2: Path, tmp_path_factory: Any) -> Path:
    return _export(plan_file, smollm2, tmp_path_factory.mktemp("export") / "lora")


@pytest.fixture(scope="session")
def export_of_another(plan_file: Path, smollm2: Path, tmp_path_factory: Any) -> Path:
    """The same plan exported for a model whose weights are others."""
    from safetensors.torch import load_file, save_file

    folder = tmp_path_factory.mktemp("other")
    model = folder / "model"
    shutil.copytree(smollm2, model)
    tensors = load_file(smollm2 / "model.safetensors")
    for name, tensor in tensors.items():
        if "mlp" in name:
            tensors[name] = tensor * 1.05
    save_file(tensors, model / "model.safetensors", metadata={"format": "pt"})
    return _export(plan_file, model, folder / "lora")


def _export(plan: Path, model: Path, folder: Path) -> Path:
    words = ["export", "--plan", str(plan), "--task", "sna_math_easy", "--format", "lora"]
    assert main([*words, "--output", str(folder), "--model_args", f"pretrained={model}"]) == 0
    return folder


def engine_environment() -> dict[str, str]:
    """What the engine's processes run in, on a machine with other work."""
    settings = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    threads = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return {**os.environ, **settings, **threads}


class Server:
    """One vLLM process, to be started again after its end."""

    def __init__(self, python: str, model: Path, adapters: dict[str, Path], log: Path) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        named = [f"{name}={folder}" for name, folder in adapters.items()]
        self._command = [
            python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
            "--served-model-name", "base", "--dtype", "float32", "--max-model-len", "512",
            "--enable-lora", "--max-lora-rank", "16", "--lora-target-modules", *ADAPTED,
            "--lora-modules", *named, "--max-loras", str(len(named) + 1), "--max-logprobs", "-1",
            "--host", "127.0.0.1", "--port", str(self.port), "--enforce-eager",
            "--max-num-seqs", "16",
        ]  # fmt: skip
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Starts it and does not wait."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=engine_environment(),
                start_new_session=True,
            )  # fmt: skip

    def wait(self) -> None:
        """Until it answers."""
        assert self._process is not None
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._log.read_text(errors="replace")[-3000:]
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/models", timeout=5):
                return
            time.sleep(0.5)
        raise AssertionError("the engine did not start in 600 s")

    def answered(self) -> int:
        """Prompts that it has answered since it started, by its own count."""
        address = f"{self.url.removesuffix('/v1')}/metrics"
        with urllib.request.urlopen(address, timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        counted = [line for line in lines if line.startswith("vllm:request_success_total{")]
        return round(sum(float(line.rpartition(" ")[2]) for line in counted))

    def kill(self) -> None:
        """Ends it and the processes it started, as a machine that goes down would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def starting(
    vllm_python: str, smollm2: Path, export_folder: Path, export_of_another: Path,
    tmp_path_factory: Any,
) -> Iterator[Server]:  # fmt: skip
    """A server that does not have to answer yet."""
    folder = tmp_path_factory.mktemp("server")
    adapters = {"sna": export_folder, "other": export_of_another}
    started = Server(
        vllm_python, smollm2, {**adapters, **_faulty(export_folder, folder)}, folder / "log"
    )
    started.begin()
    yield started
    started.kill()


@pytest.fixture
def server(starting: Server, here: Any) -> Server:
    """One that answers; what it is held against has been computed meanwhile."""
    starting.wait()
    return starting


def _faulty(export: Path, folder: Path) -> dict[str, Path]:
    """The adapter at twice its strength, and one that does nothing."""
    from safetensors.torch import load_file, save_file

    found = {}
    for name, scale in (("twice", 2.0), ("nothing", 0.0)):
        found[name] = folder / name
        found[name].mkdir()
        config = (export / "adapter_config.json").read_text()
        (found[name] / "adapter_config.json").write_text(config)
        tensors = load_file(export / "adapter_model.safetensors")
        scaled = {
            key: tensor * scale if "lora_B" in key else tensor for key, tensor in tensors.items()
        }
        save_file(scaled, found[name] / "adapter_model.safetensors")
    return found


@pytest.fixture(scope="session")
def here(
    starting: Server, plan_file: Path, smollm2: Path, tasks: Path, asked: list[str]
) -> dict[str, Any]:
    """The results of `sna` in this process, samples and all."""
    from lm_eval.api.registry import get_model

    lm = get_model("sna")(
        pretrained=str(smollm2), plan=str(plan_file), dtype="float32", max_length=512, batch_size=8
    )
    return evaluate(lm, asked, limit=DOCUMENTS, include=tasks)


@pytest.fixture(scope="session")
def served_arguments(starting: Server, plan_file: Path, smollm2: Path) -> dict[str, Any]:
    return {
        "base_url": starting.url, "model": "base", "adapter": "sna", "plan": str(plan_file),
        "tokenizer": str(smollm2), "num_concurrent": 4,
    }  # fmt: skip


@pytest.fixture(scope="session")
def served(
    starting: Server, here: Any, served_arguments: dict[str, Any], tasks: Path, asked: list[str]
) -> dict[str, Any]:
    """The results of `sna-completions` on the server, without a break."""
    from lm_eval.api.registry import get_model

    starting.wait()
    lm = get_model("sna-completions")(**served_arguments, batch_size=4)
    return evaluate(lm, asked, limit=DOCUMENTS, include=tasks)


def written(folder: Path, tasks: Iterator[str] | list[str]) -> dict[str, Any]:
    """The results that a command wrote into a folder, with their samples."""
    (path,) = folder.rglob("results_*.json")
    found = json.loads(path.read_text(encoding="utf-8"))
    samples = {}
    for task in tasks:
        (path,) = folder.rglob(f"samples_{task}_*.jsonl")
        samples[task] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {**found, "samples": samples}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
