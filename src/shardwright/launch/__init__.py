"""From a plan to a launch plan: who runs what, where and when; meaning, never a mechanism."""
