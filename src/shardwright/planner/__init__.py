"""Fit, speed, cost and search: from a request to a plan that explains itself."""
