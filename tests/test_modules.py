"""A module is the attribute of its package: no public name hides one (``import qnn_theory.registry as r`` is the module)."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

import pytest

ROOTS = ("qnn_theory", "qnn_models", "studies", "figures")


def submodules(root: str) -> list[str]:
    package = importlib.import_module(root)
    return [found.name for found in pkgutil.walk_packages(package.__path__, f"{root}.")]


@pytest.mark.parametrize("root", ROOTS)
def test_no_public_name_hides_a_module(root: str) -> None:
    names = submodules(root)
    assert len(names) > 10
    for name in names:
        module = importlib.import_module(name)
        parent, _, own = name.rpartition(".")
        attribute = getattr(importlib.import_module(parent), own)
        assert isinstance(attribute, ModuleType), (
            f"{own!r} of {parent} hides the module {name}: name one of them otherwise"
        )
        assert attribute is module
