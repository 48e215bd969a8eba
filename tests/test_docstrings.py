"""Every example in a docstring runs and says what it gives."""

import doctest
import importlib
import pkgutil

import pytest

import eyas

MODULES = sorted(m.name for m in pkgutil.walk_packages(eyas.__path__, "eyas.") if not m.name.endswith("__main__"))


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_are_true(name):
    module = importlib.import_module(name)
    found = doctest.testmod(module)
    assert found.failed == 0


def test_there_are_examples():
    finder = doctest.DocTestFinder(exclude_empty=True)
    named = (importlib.import_module(n) for n in MODULES)
    assert sum(bool(t.examples) for module in named for t in finder.find(module)) > 20
