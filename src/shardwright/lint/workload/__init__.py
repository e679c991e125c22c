"""A small typed view of the Kubernetes objects that run pods."""
