"""The limits of the gate: each kind of target has its own, and all have good values."""

from __future__ import annotations

import pytest

from models_store import faults, spec
from models_store.targets import rules
from models_store.targets.classes import Classes
from models_store.targets.quantity import Quantity


@pytest.mark.parametrize(("kind", "limits"), [(Classes, rules.GateRules), (Quantity, rules.QuantityRules)])
def test_a_kind_of_target_has_limits_of_its_own(kind: type, limits: type) -> None:
    """A spec imports them from `models_store.spec`."""
    assert limits is vars(kind)["rules"] is getattr(spec, limits.__name__)
    assert [] == faults.of_gate(limits(), limits)
