"""Calls of tools by a model of this machine: how its family writes them.

``base`` says what such a way of writing is, and each family of them has a module; ``families``
finds the one of a chat template by its signs, and ``recognizing`` by the calls that the template
writes. ``parsing`` takes calls out of an answer as it comes, ``akin`` also those that another
family would write; ``bodies`` reads their arguments and ``objects`` those that are whole objects of
JSON. ``grammar`` makes a model write them, by what ``constraining`` compiles, and ``shaping`` hands
tools, calls and results to a chat template. ``offer`` is what a request brings of all that.

A call is told as soon as its name is known and its arguments begin, and these while they come:
JSON as the model writes it; of values between tags (Qwen3-Coder, Seed-OSS, GLM, MiniMax, DeepSeek
since 3.2) and of Gemma's notation strings letter by letter and all else value by value. Told at
their end are calls that only this shows: Python (Llama, Gemma 3, LFM 2, Olmo 3), code for an
interpreter, JSON in a fence, and objects with their name behind the arguments or with arguments
that are a string.
"""
