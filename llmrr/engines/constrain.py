"""Which tokens may come next: a JSON Schema or a grammar, as masks over a model's logits.

One mechanism for every local engine, by llguidance. It obeys a schema or refuses it by name; the
masks are exact, so whatever a sampler draws, the answer fits (or was cut short).
"""

import ctypes
import json
import re
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmrr.errors import FeatureMissing, RequestRefused, UsageError

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

# Nothing but what the schema asks for: with free space between its parts a model can write
# newlines for ever. Without \u no further property can take a declared one's name by spelling it
# in escapes. The others keep a schema's own ``x-guidance`` from loosening what is enforced. One
# thing passes that is not valid: ``format: date`` takes 29 February in every year.
FORM: Any = {
    "whitespace_flexible": False,
    "json_allowed_escapes": '"\\bfnrt',
    "lenient": False,
    "coerce_one_of": False,
}


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Vocabulary:
    """A model's tokens: the bytes of each, which of them end an answer, which are control tokens,
    and how bytes become tokens. One per model: its tokenizer costs a fraction of a second."""

    tokens: list[bytes]
    eos: tuple[int, ...]
    special: frozenset[int]
    tokenize: Callable[[bytes], list[int]]


class Mask:
    """How far one answer has come in its grammar. Not for several threads at once. One that nobody
    was ``promised`` is lifted where it cannot be followed."""

    __slots__ = ("_bits", "_matcher", "_promised", "_words")

    def __init__(self, matcher: "LLMatcher", size: int, *, promised: bool = True) -> None:
        self._matcher, self._promised = matcher, promised
        self._words = (size + 31) // 32
        self._bits = (ctypes.c_uint32 * self._words)()

    def apply(self, logits_pointer: int, n_vocab: int) -> None:
        """Set the logits of all tokens that may not come next to -inf, in place.

        ``logits_pointer`` is the address of ``n_vocab`` float32. Raises ``RequestRefused`` where
        the grammar leads nowhere, or has grown too complex to go on.
        """
        import numpy as np

        self._matcher.unsafe_compute_mask_ptr(ctypes.addressof(self._bits), self._words * 4)
        if not self._promised and self._matcher.is_error():
            return
        self._check()
        logits = np.ctypeslib.as_array(
            ctypes.cast(logits_pointer, ctypes.POINTER(ctypes.c_float)), shape=(n_vocab,)
        )
        allowed = np.unpackbits(np.ctypeslib.as_array(self._bits).view(np.uint8), bitorder="little")
        chosen = np.flatnonzero(allowed[:n_vocab])
        if not chosen.size:
            raise RequestRefused(
                "no token of the model can continue what the grammar asks for",
                "loosen the schema or the grammar",
            )
        kept = logits[chosen]
        logits.fill(-np.inf)
        logits[chosen] = kept

    def accept(self, token: int) -> bool:
        """Go on by this token; False, and nothing changed, where it may not come next."""
        return int(self._matcher.try_consume_tokens([token])) == 1

    @property
    def finished(self) -> bool:
        """Is the grammar complete, with nothing that could still come but the end?"""
        return bool(self._matcher.is_stopped()) and not self._matcher.is_error()

    @property
    def complete(self) -> bool:
        """May the answer end here?"""
        return bool(self._matcher.is_accepting())

    def _check(self) -> None:
        if self._matcher.is_error():
            raise RequestRefused(
                f"the grammar cannot be followed any further: {_first_line(self._matcher)}",
                "simplify the schema or the grammar",
            )


@dataclass(frozen=True, slots=True)
class Constraint:
    """A schema or a grammar, compiled for one vocabulary. Where it is ``lazy`` it holds behind the
    ``lead`` of a call, and before that nothing does."""

    matcher: "LLMatcher"
    size: int
    lead: str = ""
    tokenize: Callable[[bytes], list[int]] | None = None

    @property
    def lazy(self) -> bool:
        """Does it wait for a call?"""
        return self.tokenize is not None

    def new(self) -> Mask:
        """A mask at its beginning."""
        return Mask(self.matcher.deep_copy(), self.size, promised=not self.lazy)

    def begun(self, written: str) -> Mask | None:
        """A mask of a lazy one, where so much is ``written`` behind the lead already; None where it
        does not allow that."""
        assert self.tokenize
        mask = self.new()
        allowed = all(map(mask.accept, self.tokenize(written.encode())))
        return mask if allowed else None


def compile_constraint(
    vocabulary: Vocabulary,
    schema: Mapping[str, Any] | bool | None = None,
    grammar: str | None = None,
) -> Constraint:
    """What a schema, or a GBNF or Lark grammar, allows with this vocabulary.

    Raises ``UsageError`` for a broken one and ``FeatureMissing`` for one that cannot be enforced.
    """
    if (schema is None) == (grammar is None):
        raise UsageError("a schema and a grammar exclude each other", "give one of the two")
    if grammar is None:
        return compiled(vocabulary, _of_schema(schema), "schema")
    return compiled(vocabulary, _of_grammar(grammar), "grammar")


def compiled(vocabulary: Vocabulary, text: str, what: str) -> Constraint:
    """A grammar as llguidance has it, for a vocabulary; ``what`` names it in an error."""
    from llguidance import LLMatcher

    tokenizer = _tokenizer(vocabulary)
    broken, messages = LLMatcher.validate_grammar_with_warnings(text, tokenizer)
    if broken:
        raise _refusal(messages[0], what)
    matcher = LLMatcher(tokenizer, text, log_level=0)
    if matcher.is_error():
        raise _refusal(matcher.get_error(), what)
    return Constraint(matcher, tokenizer.vocab_size)


def _of_schema(schema: Mapping[str, Any] | bool | None) -> str:
    from llguidance import LLMatcher

    require_possible(schema)
    text = json.dumps({} if schema is True else schema)
    try:
        return str(LLMatcher.grammar_from_json_schema(text, overrides=FORM))
    except ValueError as error:  # a number that is too large, half a character
        raise _refusal(str(error), "schema") from None


def require_possible(schema: Mapping[str, Any] | bool | None) -> None:
    """Raise ``UsageError`` for a schema that allows nothing."""
    if schema is False:
        raise UsageError("the schema false allows no answer at all", "give a schema that does")


def _of_grammar(grammar: str) -> str:
    from llguidance import LLMatcher
    from llguidance.gbnf_to_lark import GbnfToLarkError, any_to_lark

    try:
        return str(LLMatcher.grammar_from_lark(any_to_lark(grammar)))
    except GbnfToLarkError as exc:
        raise _refusal(str(exc), "grammar") from exc
    except RecursionError as exc:
        raise UsageError("the grammar is nested too deeply", "split it into rules") from exc
    except Exception as exc:  # the converter raises bare exceptions for what it cannot resolve
        raise _refusal(str(exc), "grammar") from exc


def _refusal(message: str, what: str) -> UsageError | FeatureMissing:
    """llguidance's message as an error of ours: by name, where it is a keyword it lacks."""
    inside = re.search(r"failed to compile JSON schema: (.*)", message)
    message = inside[1] if inside else message
    keywords = re.match(r"Unimplemented keys: (\[.*\])", message)
    if keywords:
        names = ", ".join(json.loads(keywords[1]))
        return FeatureMissing(f"the schema's {names} cannot be enforced", f"leave out {names}")
    if message.startswith("oneOf constraints"):
        return FeatureMissing("the schema's oneOf cannot be enforced", "say anyOf instead of oneOf")
    unknown = re.match(r"Unknown format: (.*)", message)
    if unknown:
        return FeatureMissing(
            f"the schema's format {unknown[1]} cannot be enforced", "say it as a pattern"
        )
    said = " ".join(message.split("<state>")[0].split())
    if what == "schema" and "look-" in said:
        return FeatureMissing(
            f"the schema's pattern cannot be enforced: {said}", "write it without look-around"
        )
    if re.search(r"\b(only|not) supported\b", said):
        return FeatureMissing(f"the {what} cannot be enforced: {said}", "say it another way")
    return UsageError(f"the {what} cannot be used: {said}", f"mend the {what}")


def _first_line(matcher: "LLMatcher") -> str:
    return (matcher.get_error() or "unknown").splitlines()[0]


class _Tokenizer:
    """A vocabulary with the names that llguidance asks for."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.tokens = list(vocabulary.tokens)
        self.special_token_ids = sorted(vocabulary.special | set(vocabulary.eos))
        if not vocabulary.eos:  # it must have one: a token past the end, which no model draws
            self.special_token_ids.append(len(self.tokens))
            self.tokens.append(b"<end>")
        self.eos = list(vocabulary.eos) or [len(vocabulary.tokens)]
        self.eos_token_id = self.eos[0]
        self.bos_token_id = None
        self._tokenize = vocabulary.tokenize

    def __call__(self, text: bytes) -> list[int]:
        return self._tokenize(text)


_tokenizers: "weakref.WeakKeyDictionary[Vocabulary, LLTokenizer]" = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def _tokenizer(vocabulary: Vocabulary) -> "LLTokenizer":
    """llguidance's tokenizer for a vocabulary, made once."""
    from llguidance import LLTokenizer, TokenizerWrapper

    with _lock:
        known = _tokenizers.get(vocabulary)
        if known is None:
            ours = _Tokenizer(vocabulary)
            known = LLTokenizer(
                TokenizerWrapper(ours), n_vocab=len(ours.tokens), eos_token=ours.eos
            )
            _tokenizers[vocabulary] = known
        return known
