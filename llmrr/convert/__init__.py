"""Conversion: a plan of steps, each of which checks its own result before that gets its name."""
