"""Lint a manifest given as text, and name the codes it earns."""

import textwrap

import pytest

from shardwright.lint.objects import SourceFile, load
from shardwright.lint.run import lint
from shardwright.model.finding import Severity


class Linted:
    """The findings of one text, by code."""

    def __init__(self, text):
        self.text = textwrap.dedent(text)
        loaded = load((SourceFile(name="m.yaml", text=self.text),))
        self.findings = lint(loaded)

    @property
    def codes(self):
        return {f.code for f in self.findings}

    @property
    def errors(self):
        return {f.code for f in self.findings if f.severity is Severity.ERROR}

    def one(self, code):
        found = [f for f in self.findings if f.code == code]
        assert len(found) == 1, [f.code for f in self.findings]
        return found[0]


@pytest.fixture
def linted():
    return Linted
