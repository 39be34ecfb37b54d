"""A real vLLM on 127.0.0.1 with SmolLM2 and an exported plan; every test here is marked `vllm`.

`make test-vllm` makes the engine's environment and names its Python in `$SNA_EVAL_VLLM_PYTHON`.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from real_models import bring
from sna_eval.cli import main
from sna_eval.paths import tasks_path

HERE = Path(__file__).parent
PLAN = """
version: 1
model: {n_layers: 30, d_mlp: 1536}
tasks:
  "sna_math_*": {gate: {signal: entropy, low: 0.5, high: 0.7}, interventions: &act [
    {layer: 12, multiplier: 2.5,
     neurons: [5, 99, 204, 377, 512, 640, 801, 902, 1033, 1200, 1311, 1420]},
    {layer: 20, multiplier: 1.8, neurons: [3, 77, 300, 451, 700, 888, 1002, 1300]}]}
  "sna_logic_*": {gate: {signal: target_prob, low: 0.07, high: 0.3}, interventions: *act}
  "sna_sst2": {gate: {signal: margin, low: 0.3, high: 0.6}, interventions: *act}
  "own_texts": {gate: {signal: max_prob, low: 0.3, high: 0.6}, interventions: *act}
"""
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.vllm)


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
    folder = tmp_path_factory.mktemp("export") / "lora"
    words = ["export", "--plan", str(plan_file), "--task", "sna_math_easy", "--format", "lora"]
    assert main([*words, "--output", str(folder), "--model_args", f"pretrained={smollm2}"]) == 0
    return folder


def engine_environment() -> dict[str, str]:
    """What the engine's processes run in, on a machine with other work."""
    own = {"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"}
    threads = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
    return {**os.environ, **own, **threads}


class Server:
    """One vLLM process, to be started again after its end."""

    def __init__(self, python: str, model: Path, adapters: dict[str, Path], log: Path) -> None:
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        named = [f"{name}={folder}" for name, folder in adapters.items()]
        self._command = [
            python, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model),
            "--served-model-name", "base", "--dtype", "float32", "--max-model-len", "1024",
            "--enable-lora", "--max-lora-rank", "16", "--lora-target-modules", "down_proj",
            "--lora-modules", *named, "--max-loras", str(len(named) + 1), "--max-logprobs", "-1",
            "--host", "127.0.0.1", "--port", str(self.port), "--enforce-eager",
            "--max-num-seqs", "16",
        ]  # fmt: skip
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, env=engine_environment(),
                start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._log.read_text(errors="replace")[-3000:]
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/models", timeout=5):
                return
            time.sleep(1)
        raise AssertionError("the engine did not start in 300 s")

    def kill(self) -> None:
        """Ends it and the processes it started, as a machine that goes down would."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, 9)
            self._process.wait()
            self._process = None


@pytest.fixture(scope="session")
def server(
    vllm_python: str, smollm2: Path, export_folder: Path, tmp_path_factory: Any
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    started = Server(
        vllm_python, smollm2, {"sna": export_folder, **_faulty(export_folder, folder)},
        folder / "log",
    )  # fmt: skip
    started.start()
    yield started
    started.kill()


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
        scaled = {key: own * scale if "lora_B" in key else own for key, own in tensors.items()}
        save_file(scaled, found[name] / "adapter_model.safetensors")
    return found


def lm_eval(
    model: str, arguments: str, task: str, folder: Path, *, limit: int, tasks: Path,
    python: str = sys.executable, more: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """`sna-eval run`, in a process of its own."""
    command = [
        python, "-m", "sna_eval.cli", "run", "--model", model, "--model_args", arguments, "--tasks",
        task, "--limit", str(limit), "--include_path", str(tasks), "--output_path", str(folder),
        "--log_samples", *more,
    ]  # fmt: skip
    return subprocess.run(
        command, capture_output=True, text=True, env=engine_environment(), timeout=540
    )


def samples_of(folder: Path, task: str) -> list[dict[str, Any]]:
    """The newest samples of a task, in order."""
    *_, newest = sorted(folder.rglob(f"samples_{task}_*.jsonl"))
    found = [json.loads(line) for line in newest.read_text(encoding="utf-8").splitlines()]
    return sorted(found, key=lambda own: own["doc_id"])


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
