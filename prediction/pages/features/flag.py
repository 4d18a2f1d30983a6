"""The field of a boolean."""

from __future__ import annotations

from models_store.features.flag import Flag
from prediction.pages import pages
from prediction.pages.features.control import Control


def control(feature: Flag) -> Control:
    """Return a list to choose from."""
    return Control(pages.plain(feature.example), "flag", options=("true", "false"))
