"""From a launch plan to Kubernetes objects and their text."""
