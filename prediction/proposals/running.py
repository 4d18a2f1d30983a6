"""The file of a spec, run before it is written."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

NAME = "models_store.catalog.__proposed__"


@contextmanager
def run(text: str, file: str) -> Iterator[Any]:
    """Run the code of a spec that this project has written, and give its module.

    Parameters
    ----------
    file
        What `__file__` is.
    """
    module = ModuleType(NAME)
    module.__file__ = file
    sys.modules[NAME] = module  # pydantic looks there for the names of annotations
    try:
        exec(compile(text, file, "exec"), vars(module))  # noqa: S102 -- it was written a moment ago, by `drafts`
        yield module
    finally:
        del sys.modules[NAME]
