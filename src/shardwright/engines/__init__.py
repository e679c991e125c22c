"""One value per engine: flags by version, memory rule, divisibility, commands, log patterns."""
