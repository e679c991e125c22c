"""The JSON Schema of `plan -o json`, generated from the types that are written."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import TypeAdapter

from shardwright.model import finding, layout, plan
from shardwright.model.answers import api_version

PLAN_VERSION = api_version("plan")
SCHEMA_ID = "https://shardwright.dev/schema/plan/v1alpha1.json"


def plan_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of the plan as JSON. Every field is always written; fields
    may be added within a version, so unknown ones are no error.
    """
    made = TypeAdapter(plan.Plan).json_schema(mode="serialization")
    types = made.pop("$defs")
    types["Plan"] = made
    for name, definition in types.items():
        definition.pop("title", None)
        known = next((getattr(m, name) for m in (plan, layout, finding) if hasattr(m, name)), None)
        if known is not None and known.__doc__:
            definition["description"] = inspect.cleandoc(known.__doc__)
        for field in definition.get("properties", {}).values():
            field.pop("title", None)
            field.pop("default", None)
        if "properties" in definition:
            definition["required"] = sorted(definition["properties"])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "type": "object",
        "properties": {"apiVersion": {"const": PLAN_VERSION}, "plan": {"$ref": "#/$defs/Plan"}},
        "required": ["apiVersion", "plan"],
        "$defs": types,
    }
