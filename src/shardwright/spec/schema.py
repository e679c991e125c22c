"""The JSON Schema of the user's file, generated from the same definition that validates it."""

from __future__ import annotations

from typing import Any

from shardwright.spec.document import Document

SCHEMA_ID = "https://shardwright.dev/schema/v1alpha1.json"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a spec file, for editors and validators."""
    schema = Document.model_json_schema()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        **schema,
    }
