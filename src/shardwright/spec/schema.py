"""The JSON Schema of the user's file, generated from the same definition that validates it.

Descriptions are the texts below the fields in `spec/serving.py`, `site.py` and `document.py`. They
are read from the source here, on demand: pydantic would read them at every start.
"""

from __future__ import annotations

import ast
import inspect
from typing import Any

from pydantic.alias_generators import to_camel

from shardwright.spec import document, serving, site

_MODULES = (serving, site, document)
SCHEMA_ID = "https://shardwright.dev/schema/v1alpha1.json"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a spec file, for editors and validators."""
    schema = document.Document.model_json_schema()
    known = _descriptions()
    for name, definition in {**schema["$defs"], "Document": schema}.items():
        for field, text in known.get(name, {}).items():
            definition["properties"][to_camel(field)]["description"] = text
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
    }


def _descriptions() -> dict[str, dict[str, str]]:
    """Return the text below each field, by class and field."""
    out: dict[str, dict[str, str]] = {}
    for node in [n for module in _MODULES for n in ast.parse(inspect.getsource(module)).body]:
        if not isinstance(node, ast.ClassDef):
            continue
        texts = out.setdefault(node.name, {})
        for field, below in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                texts[field.target.id] = inspect.cleandoc(str(below.value.value))
    return out
