"""Programs that run in jobs: any Python from 3.8 on, and what the engine's image holds."""
