"""Checks of what was converted against what it was made from."""
