"""Texts on which two tokenizers are compared: what people, programs and mistakes write."""

TEXTS: tuple[str, ...] = ("Hello, world!",)
