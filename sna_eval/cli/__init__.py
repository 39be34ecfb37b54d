"""The command `sna-eval`: one file per subcommand, each thin: parse, call, print.

A subcommand is a module of its name with `HELP`, `add_arguments(parser)` and `run(args)`.
"""

from __future__ import annotations

import argparse
import importlib
import io
import signal
import sys
from collections.abc import Sequence

from sna_eval import errors
from sna_eval.cli.terminal import ending_with_its_reader
from sna_eval.errors import InputError

COMMANDS = (
    "run",
    "identify",
    "sweep",
    "select",
    "calibrate",
    "transition",
    "interference",
    "methods",
    "register",
    "verdict",
    "selfcheck",
    "diagnose",
    "report",
    "reproduce",
    "compare",
    "view",
    "log",
    "export",
    "import_",
    "verify",
    "app",
    "architectures",
    "tasks_path",
)
"""Modules of this package, in the order that `--help` lists them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one subcommand; bad input ends with status 2 and one line."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _print_anything()
    with ending_with_its_reader():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        if arguments[:1] == ["run"]:  # its flags are lm_eval's own, and go there unparsed
            return int(importlib.import_module("sna_eval.cli.run").forward(arguments[1:]))
        args = parser(arguments[0] if arguments else None)[0].parse_args(arguments)
        if getattr(args, "model_args", None) is not None or args.command == "reproduce":
            _load_libraries()
        return int(args.run(args) or 0)
    except InputError as error:
        errors.report(error)  # by its module: `report` here is the subcommand
        return 2
    except KeyboardInterrupt:  # what can be taken up again says so itself
        print("sna-eval: stopped", file=sys.stderr)
        return 128 + signal.SIGINT


def _load_libraries() -> None:
    """Imports what runs a model: the seconds before the first bar."""
    from sna_eval.cli.terminal import waiting

    with waiting("Loading PyTorch, transformers and lm_eval"):
        importlib.import_module("sna_eval.harness.lm")


def _print_anything() -> None:
    """What the terminal's encoding lacks, and half a character, is shown escaped.

    Names come from files, and the last line of an hour's work must not end in a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def parser(
    only: str | None = None,
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The command's parser, and those of its subcommands by name.

    **Arguments:**

    - `only`: a subcommand as it is typed; the files of the others are then left alone. Any other
        word stands for all of them, which the complaint about it lists.
    """
    from sna_eval import __version__

    top = argparse.ArgumentParser(
        prog="sna-eval", description="Selective Neuron Amplification, measured through lm_eval."
    )
    top.add_argument("--version", action="version", version=f"sna-eval {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in [name for name in COMMANDS if _typed(name) == only] or COMMANDS:
        module = importlib.import_module(f"sna_eval.cli.{name}")
        subparser = commands.add_parser(_typed(name), help=module.HELP, description=module.__doc__)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.run)
    return top, dict(commands.choices)


def _typed(name: str) -> str:
    """A subcommand's name: that of its module, as words are spelt on a command line."""
    return name.rstrip("_").replace("_", "-")
