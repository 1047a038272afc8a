"""Which tokens of a call of a tool may come next: always, or from where a model begins one."""

import threading
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from llmrr.engines.constrain import FORM, Constraint, Vocabulary, compiled, require_possible

if TYPE_CHECKING:
    from llmrr.engines.calls.grammar import Rules
    from llmrr.engines.calls.offer import Offer, Thoughts

_LAZY_KEPT: Final = 16  # sets of tools, of the conversations that go on
_lazy: "weakref.WeakKeyDictionary[Vocabulary, dict[str, Constraint | None]]" = (
    weakref.WeakKeyDictionary()
)
_lock = threading.Lock()


def compile_calls(
    vocabulary: Vocabulary, offer: "Offer", schema: Mapping[str, Any] | bool | None,
    thoughts: "Thoughts",
) -> Constraint:  # fmt: skip
    """What an answer may be with these tools: calls that must or may be made, each by the schema of
    its tool, or an answer by ``schema``. Raises what ``compile_constraint`` does."""
    from llguidance import LLMatcher

    require_possible(schema)
    lark = offer.grammar(_rules(vocabulary, FORM), schema, thoughts)
    return compiled(vocabulary, str(LLMatcher.grammar_from_lark(lark)), "schema")


def lazy_calls(vocabulary: Vocabulary, offer: "Offer") -> Constraint | None:
    """What a call must be that a model makes by itself, once that has begun: one of these tools, by
    its schema. None where that cannot be enforced: nobody was promised it. A conversation offers
    the same tools with every turn, and many take a tenth of a second: what was compiled is kept."""
    key = repr((offer.syntax.name, offer.tools))
    with _lock:
        kept = _lazy.setdefault(vocabulary, {})
        if key in kept:
            return kept[key]
    try:
        found = _lazy_compiled(vocabulary, offer)
    except Exception:  # whatever is wrong with a schema, the call was free before
        found = None
    with _lock:
        while len(kept) >= _LAZY_KEPT:
            del kept[next(iter(kept))]
        kept[key] = found
    return found


def _lazy_compiled(vocabulary: Vocabulary, offer: "Offer") -> Constraint:
    from llguidance import LLMatcher

    # One space here and there is how models write JSON, each in its way.
    form = {**FORM, "whitespace_flexible": True, "whitespace_pattern": "[ ]?"}
    lark = offer.begun(_rules(vocabulary, form))
    made = compiled(vocabulary, str(LLMatcher.grammar_from_lark(lark)), "schema")
    return replace(made, lead=offer.syntax.lead, tokenize=vocabulary.tokenize)


def _rules(vocabulary: Vocabulary, form: Mapping[str, Any]) -> "Rules":
    from llmrr.engines.calls.grammar import Rules

    controls = {text: token for token in vocabulary.special
                if (text := vocabulary.tokens[token].decode(errors="replace"))}  # fmt: skip
    return Rules(controls, form)
