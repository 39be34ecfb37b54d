"""Starts the app in a browser: confidence, zone and amplification of one prompt or of many."""

from __future__ import annotations

import argparse

HELP = "try amplification in a browser"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="localhost", help="address to listen on (default: this machine alone)")
    add("--port", type=int, default=8501, help="port to listen on (default: 8501)")
    add(
        "--model",
        default="sna-reference",
        help="model that pages begin with: a hub name, a folder, a .gguf file",
    )
    add("--no_browser", action="store_true", help="do not open a browser")


def run(args: argparse.Namespace) -> int:
    from sna_eval.app.server import Serving, serve

    serve(Serving(args.host, args.port, not args.no_browser, args.model))
    return 0
