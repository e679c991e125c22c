"""The user's file: loading with positions, strict validation, JSON Schema."""
