"""Every example in a docstring is true."""

import doctest
import importlib
import pkgutil

import pytest

import shardwright

# imports what only an engine's image has
ELSEWHERE = {"shardwright.__main__", "shardwright.launch.pods.collective_probe"}
MODULES = sorted(
    m.name
    for m in pkgutil.walk_packages(shardwright.__path__, "shardwright.")
    if m.name not in ELSEWHERE
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0
