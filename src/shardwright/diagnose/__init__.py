"""From evidence (logs, events, manifests) to ranked causes."""
