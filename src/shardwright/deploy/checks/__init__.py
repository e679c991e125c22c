"""What preflight looks at, one concern a module."""
