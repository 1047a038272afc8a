"""Checks that a result of conversion is what its source was: one per file, each gives a ``Check``.
"""
