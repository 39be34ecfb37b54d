"""Pages that are built from the code: mkdocs calls these hooks, see `mkdocs.yml`.

A line `<!-- help: sweep -->` becomes what `sna-eval sweep --help` prints, so it is never stale.
"""

from __future__ import annotations

import os
import re
from typing import Any

os.environ["COLUMNS"] = "100"  # argparse breaks lines there
os.environ["NO_COLOR"] = "1"

_HELP = re.compile(r"^<!-- help: ?(\S*) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fills in the help of subcommands."""
    return _HELP.sub(lambda match: f"```text\n{help_of(match[1])}\n```", markdown)


def help_of(command: str) -> str:
    """What `sna-eval COMMAND --help` prints."""
    from sna_eval.cli import parser

    top, commands = parser()
    return (commands[command] if command else top).format_help().strip()
