"""A launch plan applied to a cluster and watched until it serves."""
