"""Rules over Kubernetes objects, whoever wrote them."""
