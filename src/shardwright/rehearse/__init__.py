"""A launch plan as real engine processes on small hardware, and what that proves."""
