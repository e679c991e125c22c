"""From a published config.json to exact parameters, per-rank split and KV bytes per token."""
