"""What was observed beside what was planned."""
