"""All kinds of targets."""

from __future__ import annotations

from models_store.targets.classes import Classes
from models_store.targets.quantity import Quantity

Target = Classes | Quantity
