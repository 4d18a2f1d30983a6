"""Adds nodes and constants to a graph that the converter is making."""

from __future__ import annotations

from typing import Any

import numpy as np


class Nodes:
    """Adds nodes to a graph that is being made, each with names of its own."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def add(self, kind: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """Add a node; return the name of its output. `at` is a domain and a version."""
        name = output or self._scope.get_unique_variable_name(f"made_{kind.lower()}")
        domain, version = attributes.pop("at", (None, None))
        more = {"op_domain": domain, "op_version": version} if domain else {}
        unique = self._scope.get_unique_operator_name(f"Made{kind}")
        self._container.add_node(kind, inputs, [name], name=unique, **more, **attributes)
        return name

    def constant(self, values: Any, like: Any = np.float64) -> str:
        """Add a constant; return its name."""
        from onnx import numpy_helper

        name: str = self._scope.get_unique_variable_name("made_constant")
        tensor = numpy_helper.from_array(np.asarray(values, like), name)
        self._container.initializers.append(tensor)
        return name

    def cast(self, name: str, to: int) -> str:
        """Add a change of the type; return the name of its output."""
        return self.add("Cast", [name], to=to)
