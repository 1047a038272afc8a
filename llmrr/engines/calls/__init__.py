"""Calls of tools by a model of this machine: how its family writes them.

``base`` says what such a way of writing is, and each family of them has a module; ``families``
finds the one of a chat template. ``parsing`` takes calls out of an answer as it comes, ``grammar``
makes a model write them, and ``shaping`` hands tools, calls and results to a chat template.
``offer`` is what a request brings of all that.
"""
