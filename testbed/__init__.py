"""A real Kubernetes on one Linux machine, without Docker and without a registry.

A developer tool of this repository, run as `python -m testbed`; never part of the package.
"""
