"""`lm_eval run` with the bundled tasks on the include path; all flags are lm_eval's own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from sna_eval.errors import reading
from sna_eval.files import tasks_path

HELP = "lm_eval run, with the bundled tasks at hand"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """lm_eval parses the flags; here they only have to be let through."""
    parser.add_argument("flags", nargs=argparse.REMAINDER, help="flags of `lm_eval run`")


def run(args: argparse.Namespace) -> int:
    return forward(args.flags)


def forward(flags: Sequence[str]) -> int:
    """Hands the flags to lm_eval; the model is `sna` where neither they nor a config name one."""
    from lm_eval._cli import HarnessCLI
    from lm_eval.utils import setup_logging

    from sna_eval.harness.plugin.registration import register

    register()
    setup_logging()
    cli = HarnessCLI()
    previous = sys.argv
    sys.argv = ["lm_eval", "run", *flags]
    try:
        args = cli.parse_args()
        config = _config(args.config)
        args.model = args.model or config.get("model", "sna")
        # lm_eval's flag takes one folder, its task manager any number
        args.include_path = [
            tasks_path(),
            *_listed(args.include_path or config.get("include_path")),
        ]
        cli.execute(args)
    finally:
        sys.argv = previous
    return 0


def _config(path: str | None) -> dict[str, Any]:
    """lm_eval's `--config` file: what it says must not be hidden by what is filled in here."""
    if path is None:
        return {}
    from lm_eval.config.evaluate_config import EvaluatorConfig

    with reading("config", expected="a YAML file of arguments of `lm_eval run`", got=path):
        return EvaluatorConfig.load_yaml_config(path)


def _listed(folders: Any) -> list[Any]:
    if isinstance(folders, (list, tuple)):
        return list(folders)
    return [folders] if folders else []
