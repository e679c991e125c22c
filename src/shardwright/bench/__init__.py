"""Load by AIPerf and the verdict against the objective."""
