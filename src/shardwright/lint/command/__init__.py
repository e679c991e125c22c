"""What the programs inside a container are and what they were told, shell wrappers included."""
