"""Where the parts of a spec stand in its file, and calls with wrong arguments. The file is not run."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import models_store.spec

SPEC = "Spec"


@dataclass(frozen=True)
class Places:
    """The parsed file of a spec."""

    tree: ast.Module

    def line(self, place: Sequence[Any]) -> int | None:
        """Return the line of a part, as `InvalidSpec` names it; that of `Spec(...)` if it is not found."""
        call = next(self._calls(SPEC), None)
        if call is None:
            return None
        parts = {each.arg: each.value for each in call.keywords if each.arg}
        part = parts.get(str(place[0])) if place else None
        if place and place[0] == "features" and len(place) > 1 and isinstance(part, ast.Name):
            field = self._field(part.id, str(place[1]))
            if field is not None:
                return field
        return part.lineno if part is not None else call.lineno

    def _calls(self, name: str) -> Iterator[ast.Call]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
                yield node

    def _field(self, schema: str, name: str) -> int | None:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ClassDef) and node.name == schema:
                for each in node.body:
                    if isinstance(each, ast.AnnAssign) and ast.unparse(each.target) == name:
                        return each.lineno
        return None

    def wrong_calls(self) -> list[tuple[int, str]]:
        """Return the calls of `Spec`, `number` and the like with arguments that they do not take."""
        found = []
        for name, function in self._imported().items():
            made: Any = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
            taken = inspect.signature(made)
            for call in self._calls(name):
                words = _misfit(taken, call, isinstance(function, type))
                if words:
                    names = ", ".join(each for each in taken.parameters if each != "self")
                    found.append((call.lineno, f"{name}() {words}: it takes {names}"))
        return sorted(found)

    def _imported(self) -> Mapping[str, Any]:
        """Return the functions of `models_store.spec` by the names that the file gives them."""
        found = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module == models_store.spec.__name__:
                for each in node.names:
                    function = getattr(models_store.spec, each.name, None)
                    if callable(function) and not each.name.startswith("Features"):
                        found[each.asname or each.name] = function
        return found


def _misfit(taken: inspect.Signature, call: ast.Call, is_class: bool) -> str:
    if any(isinstance(each, ast.Starred) for each in call.args) or any(
        not each.arg for each in call.keywords
    ):
        return ""  # only a run would tell
    given = {str(each.arg): None for each in call.keywords}
    unknown = [name for name in given if name not in taken.parameters]
    if unknown and not any(each.kind is each.VAR_KEYWORD for each in taken.parameters.values()):
        return f"does not know {', '.join(unknown)}"
    try:
        taken.bind(*[None] * (len(call.args) + is_class), **given)
    except TypeError as error:
        return f"has {error}"
    return ""


def parse(file: Path) -> Places | None:
    """Parse a file; None if it can't be."""
    try:
        return Places(ast.parse(file.read_bytes()))
    except (OSError, SyntaxError, ValueError):
        return None
