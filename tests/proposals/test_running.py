"""A spec's file is run before it is written."""

from __future__ import annotations

import sys

from prediction.proposals import running


def test_the_module_is_known_while_it_is_looked_at() -> None:
    """And gone afterwards, so that the next one is another module."""
    with running.run("NAME = __name__, __file__", "shop.py") as module:
        name, file = module.NAME
        assert module is sys.modules[name]
        assert "shop.py" == file
    assert name not in sys.modules
