"""Adapters for the ports of the model room: processes, files, clock, Kubernetes."""
