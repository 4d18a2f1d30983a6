"""How threads of OpenMP wait, which fit trees: asleep, because on a busy machine those that spin cost most.

Beside a server under load, a fit of boosted trees took ten times its processor time.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

VARIABLE = "OMP_WAIT_POLICY"


def wait_asleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let threads of OpenMP sleep while they wait, unless the environment says otherwise.

    OpenMP reads it once, when the first library that uses it is loaded.
    """
    environment.setdefault(VARIABLE, "passive")
