"""Reading shell scripts without running them: enough to see which programs a container starts."""
