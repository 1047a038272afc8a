"""How fast a model is, and what memory it takes.

``job`` says what a process measures; ``measuring`` does, through the contract that every engine
keeps; ``helper`` is that process and ``process`` starts it; ``running`` puts the processes of a
model together. ``figures`` has what comes out.

The figures are those of llama.cpp's ``llama-bench -p N -n N``, so that they can be compared: a
prompt of exactly so many random tokens, and so many tokens written from an empty context, whatever
they are; one run before, which does not count. llama-bench chooses no token and makes no text of
it; here that is part of writing, as it is of every answer.
"""

from llmrr.bench.figures import Figures, Spread, Together
from llmrr.bench.job import Wish
from llmrr.bench.running import measure

__all__ = ["Figures", "Spread", "Together", "Wish", "measure"]
