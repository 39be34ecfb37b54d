"""Build hook: an editable install gets the start-up `.pth` file too, as a wheel does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class StartupFileHook(BuildHookInterface):  # type: ignore[type-arg]
    """Puts `sna_eval.pth` beside the path file of an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            root = Path(self.root)
            build_data["force_include_editable"] = {str(root / "sna_eval.pth"): "sna_eval.pth"}
