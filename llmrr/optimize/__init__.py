"""Learning from use: what the record of runs says, and what it proposes to set in ``llmrr.toml``.

``history`` reads and sums up, ``proposals`` holds the facts against the rules of ``[optimize]``,
``alternatives`` looks for faster models, ``drafting`` makes a text and its difference of proposals
and writes it.
"""
