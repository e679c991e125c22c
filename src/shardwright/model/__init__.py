"""Frozen values, units, errors and ports that every other room speaks in."""
