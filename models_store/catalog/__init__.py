"""The models that are served: one file each, found by its name. Adding a model is adding one file."""

import pkgutil
from collections.abc import Iterable
from importlib import import_module

from models_store.errors import InvalidSpec, UnknownModel
from models_store.spec import Spec


def load() -> dict[str, Spec]:
    """Import every file of this folder and return its `SPEC` by name, in alphabetical order.

    Raises
    ------
    InvalidSpec
        When a file has no `SPEC`, or its name is not the spec's.
    """
    specs = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        spec = getattr(import_module(f"{__name__}.{module.name}"), "SPEC", None)
        if not isinstance(spec, Spec) or spec.name != module.name:
            raise InvalidSpec(
                f"models_store/catalog/{module.name}.py must define SPEC = Spec(name={module.name!r}, ...)"
            )
        specs[spec.name] = spec
    return specs


def select(names: Iterable[str]) -> list[Spec]:
    """Return the named specs, or all of them when none is named.

    Raises
    ------
    UnknownModel
        With the known names.
    """
    specs = load()
    names = list(names)
    for name in names:
        if name not in specs:
            raise UnknownModel(f"there is no model {name!r}: the models are {', '.join(specs)}")
    return [specs[name] for name in names or specs]
