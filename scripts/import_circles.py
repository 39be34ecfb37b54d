"""Files of a package that import each other in a circle.

    python scripts/import_circles.py sna_eval


Imports inside functions count, since a circle that is run late is one all the same; those under
`TYPE_CHECKING` do not, since types may speak of each other. A package's `__init__.py` is a file as
the others are. Ends with status 1 where there is a circle.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Graph = Mapping[str, set[str]]
"""By module, the modules of the same package that it imports."""


def import_graph(package: Path) -> Graph:
    """What the files of a package import of each other.

    **Arguments:**

    - `package`: its folder, named as it is imported.
    """
    files = {_module(path, package): path for path in sorted(package.rglob("*.py"))}
    return {name: _imported(path, files.keys()) - {name} for name, path in files.items()}


def circle_in(graph: Graph) -> list[str]:
    """Modules of which each imports the next, the first of them again at the end; empty if none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]  # graphlib goes from what is imported to what imports it
    return []


def _module(path: Path, package: Path) -> str:
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imported(path: Path, known: Collection[str]) -> set[str]:
    """The modules among `known` that a file imports, or imports something of."""
    found = set()
    for module, name in _names(ast.parse(path.read_text(encoding="utf-8"))):
        whole = f"{module}.{name}"
        found.add(whole if whole in known else module)
    return {module for module in found if module in known}


def _names(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Module and name of every import below a node; no name where the module itself is meant."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from ((alias.name, "") for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
            yield from ((child.module, alias.name) for alias in child.names)
        elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for other in child.orelse:
                yield from _names(other)
        else:
            yield from _names(child)


def main() -> int:
    circle = circle_in(import_graph(Path(sys.argv[1])))
    if circle:
        print("a circle of imports: " + " -> ".join(circle), file=sys.stderr)
    return 1 if circle else 0


if __name__ == "__main__":
    sys.exit(main())
