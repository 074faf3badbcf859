"""A module is the attribute of its package: no public name hides one (``import qnn_theory.registry as r`` is the module)."""

from __future__ import annotations

import importlib
import pkgutil
import pydoc
from importlib.resources import files
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


@pytest.mark.parametrize("root", ROOTS)
def test_a_root_says_what_it_exports_and_is_typed(root: str) -> None:
    package = importlib.import_module(root)
    own = {
        name for name, value in vars(package).items() if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert own - {"annotations", "TYPE_CHECKING", "Any"} | {"CTRClassifier"} & set(package.__all__) == set(
        package.__all__
    )
    assert all(hasattr(package, name) for name in package.__all__)
    assert (files(root) / "py.typed").is_file()


def test_help_lists_the_names() -> None:
    import qnn_models

    text = pydoc.render_doc(qnn_models, renderer=pydoc.plaintext)
    assert [name for name in qnn_models.__all__ if name not in text] == []
    assert set(qnn_models.__all__) <= set(dir(qnn_models))
