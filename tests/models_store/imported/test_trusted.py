"""The list of types that a file of skops may hold."""

from __future__ import annotations

import importlib

from models_store.imported import trusted


def test_every_type_of_scikit_learn_is_there_or_was() -> None:
    """A name that is misspelt would refuse honest models."""
    gone = []
    for name in sorted(trusted.READ | trusted.PARAMETERS):
        module, _, kind = name.rpartition(".")
        if not hasattr(importlib.import_module(module), kind):
            gone.append(name)

    assert set() == set(gone)


def test_a_server_loads_less_than_the_process_that_compiles() -> None:
    """Some fitted estimators reach compiled code that believes their numbers."""
    apart = trusted.READ - trusted.KEPT

    assert trusted.KEPT < trusted.READ
    assert {"sklearn.svm._classes.SVC", "sklearn.neighbors._kd_tree.KDTree"} < apart
    assert "sklearn.tree._tree.Tree" not in trusted.PARAMETERS


def test_no_name_runs_code() -> None:
    """Neither types nor functions of these modules, nor what reads files by name."""
    every = trusted.READ | trusted.FUNCTIONS | trusted.PARAMETERS
    roots = {name.partition(".")[0] for name in every}

    assert {"builtins", "collections", "numpy", "scipy", "sklearn"} == roots
    assert set() == every & {
        "builtins.eval",
        "builtins.getattr",
        "numpy.load",
        "sklearn.datasets.load_files",
    }
