"""Shardwright: plan, rehearse, render, deploy, diagnose and measure distributed LLM inference."""

__version__ = "0.1.0"

__all__ = ["__version__"]
