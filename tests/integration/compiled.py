"""Programs of other projects that tests ask, compiled from their Go modules and kept by content."""

import os
import shutil

import pytest
from testbed import components


def compiled(component, variable):
    """Return the program of a component: the one the variable names, else our own build.

    The first build takes minutes; where there is no Go the test is skipped, and says so.
    """
    name = component.binaries[0]
    if named := os.environ.get(variable):
        return named
    if shutil.which("go") is None:
        pytest.skip(f"no Go here to build {name}; {variable} may name one")
    return str(components.ensure(component) / name)
