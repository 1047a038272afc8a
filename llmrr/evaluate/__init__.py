"""How well a model answers, how well it predicts, and how near it is to another one.

``questions`` reads sets of questions, ``expecting`` what they say is right; ``asking`` puts them to
a model, ``judging`` says what is right, ``scoring`` keeps the result. ``numbers`` has perplexity
and the divergence of two models, from logits alone, which ``recorded`` keeps in a file; ``texts``
cuts a text into windows for them.
"""

from llmrr.evaluate.asking import Answered, ask
from llmrr.evaluate.expecting import match_named
from llmrr.evaluate.judging import MATCHES, Expected, is_right, shown
from llmrr.evaluate.numbers import (
    Comparison,
    Divergence,
    DivergenceSum,
    Perplexity,
    PerplexitySum,
    compare,
    divergence,
    finite,
    perplexity,
)
from llmrr.evaluate.questions import Prompt, Question, QuestionSet, parse, parse_prompts
from llmrr.evaluate.recorded import Recording, compare_recorded, record_predictions
from llmrr.evaluate.scoring import Score, quality, record, scores
from llmrr.evaluate.texts import text_tokens, windows

__all__ = [
    "MATCHES", "Answered", "Comparison", "Divergence", "DivergenceSum", "Expected", "Perplexity",
    "PerplexitySum", "Prompt", "Question", "QuestionSet", "Recording", "Score", "ask", "compare",
    "compare_recorded", "divergence", "finite", "is_right", "match_named", "parse",
    "parse_prompts", "perplexity", "quality", "record", "record_predictions", "scores", "shown",
    "text_tokens", "windows",
]  # fmt: skip
