"""What runs in another process, with optimum and torch: nothing of llmrr may be imported here, as
it need not be installed there. ``main.py`` is run by its path."""
