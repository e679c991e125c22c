"""Shell: parse the command line, call the rooms below, print. Adapters are wired in only here."""
