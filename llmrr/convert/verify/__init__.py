"""Checks that a conversion's result is what its source was: one per file, each gives a ``Check``."""
