"""Prints the folder of the bundled tasks, for lm_eval's `--include_path`."""

from __future__ import annotations

import argparse

from sna_eval.files import tasks_path

HELP = "print the folder of the bundled tasks"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Takes no arguments."""


def run(args: argparse.Namespace) -> int:
    print(tasks_path())
    return 0
