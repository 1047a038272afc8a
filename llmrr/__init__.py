"""llmrr: run language models on this machine, and route between them."""

__version__ = "0.1.0"
