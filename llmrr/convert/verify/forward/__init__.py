"""A forward pass in numpy, straight from a Hugging Face folder: config.json and safetensors.

It shares nothing with the converters: names, layouts and formulas are written down here a second
time, from transformers' modelling code, so that a mistake made there shows here. ``families`` says
what each architecture is, as data (``design``, ``naming``); ``decoder`` computes it with ``blocks``
and ``rope``; ``weights`` reads.
"""
