"""Keys in the text of code: those that it sets, and those that fields of keys are given."""

import re
from collections.abc import Iterator
from typing import Final

from llmrr.migrate.terms import secrets

# In code: a name of a key, what follows it, and a literal.
_GIVEN: Final = re.compile(
    r"(?i)((?:key|token|secret|password|passwd|credential|auth\w*)s?[\"']?\]?\s*"
    r"(?:[:=]|\bor\b|,|\|\||\?\?)\s*(?:[fru]{0,2}))([\"'`])(?:(?!\2).)*(\2|$)"
)
# Such a name and what gives it something; then the parts of the expression.
_NAMED: Final = re.compile(
    r"(?i)(?:key|token|secret|password|passwd|credential|auth\w*)s?[\"']?\]?\s*(?:[:=])(?!=)"
)
_PART: Final = re.compile(
    r"""(["'`])(?P<text>(?:\\.|(?!\1)[^\\\n])*)\1?"""
    r"""|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<end>[,;])"""
)
_LONGEST: Final = 400  # characters of such an expression
_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9_]*")
_RANDOM: Final = re.compile(r"(?=\D*\d)(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9]{24,}")
# Variables that code sets: os.environ["X"] = "...", X_API_KEY = "...", process.env.X = "...".
_ASSIGNED: Final = re.compile(
    r"""(?:environ\[["']|env\.|env\[["']|^\s*(?:const\s+|let\s+|var\s+|export\s+const\s+)?)(\w+)"""
    r"""(?:["']\])?\s*=\s*["']([^"'\s]{4,})["']"""
)
_SET: Final = re.compile(r"""(?:setdefault|putenv)\(\s*["'](\w+)["'],\s*["']([^"'\s]{4,})["']""")
# In a notebook, and what stands in a comment as in an .env file.
_MAGIC: Final = re.compile(
    r"""^\s*(?:%(?:set_)?env\s+|!\s*export\s+)(\w+)\s*[=\s]\s*["']?([^"'\s]{4,})"""
)
_COMMENT: Final = re.compile(r"(?:#|//|\*)\s*(.*)")
_COMMENTED: Final = re.compile(
    r"""\b(\w{5,60})\s*[=:]\s*(?=[^"'\s]*\d)([^"'\s,;(){}$<]{6,})(?=[\s,;]|$)"""
)


def assigned(text: str) -> Iterator[tuple[int, str, str]]:
    """Keys that stand in code beside its calls: line, name of the variable or "", and the key.

    >>> list(assigned('os.environ["SOME_API_KEY"] = "0f1e2d3c4b5a"'))
    [(1, 'SOME_API_KEY', '0f1e2d3c4b5a')]
    >>> [key for _, _, key in assigned("client()  # AN_API_KEY=0a1b2c was it")]
    ['0a1b2c']
    """
    for number, line in enumerate(text.splitlines(), 1):
        line = line[:2000]
        comment = _COMMENT.search(line)
        for pattern in (_ASSIGNED, _SET, _MAGIC, _COMMENTED):
            within = line if pattern is not _COMMENTED else comment[1] if comment else ""
            for match in pattern.finditer(within):
                if secrets.is_secret_field(match[1]) and _may_be_key(match[1], match[2]):
                    yield number, match[1], match[2]
        for key in secrets.looking(line):
            yield number, "", key


def _may_be_key(name: str, text: str) -> bool:
    """Whether a text is one; under a name that may be that of a table's, it has to look random.

    >>> _may_be_key("key", "interrupt-msg"), _may_be_key("api_key", "opensesame")
    (False, True)
    """
    if name.lower() in ("key", "token") and not re.search(r"\d", text):
        return False
    return not secrets.is_placeholder(text)


def shown(code: str) -> str:
    """Source text as it may be shown: without the literals that fields of keys are given.

    >>> shown("client(api_key='0a1b2c', model=name)"), shown("{apiKey: pick(`0a1b2c`)}")
    ("client(api_key='…', model=name)", '{apiKey: pick(`…`)}')
    """
    if "'" not in code and '"' not in code and "`" not in code:
        return code
    found, at = list[str](), 0
    code = _GIVEN.sub(lambda one: f"{one[1]}{one[2]}…{one[3]}", code)
    for start, end in sorted({*_nested(code), *_random(code)}):
        found += code[at:start], "…"
        at = end
    return secrets.masked("".join((*found, code[at:])))


def given(code: str) -> Iterator[str]:
    """The literals in source text that fields of keys are given.

    >>> sorted({*given("client(api_key='0a1b2c', api_token=pick('EMPTY', '0b1c2d'))")})
    ['0a1b2c', '0b1c2d']
    """
    for found in _GIVEN.finditer(code):
        literal = found[0][len(found[1]) + 1 :].removesuffix(found[2])
        if not secrets.is_placeholder(literal) and secrets.reference(literal) is None:
            yield literal
    for start, end in _nested(code):
        if re.search(r"\d|^sk-", code[start:end]) and secrets.reference(code[start:end]) is None:
            yield code[start:end]


def _nested(code: str) -> Iterator[tuple[int, int]]:
    """Where literals stand in the expressions that fields of keys are given, in calls too."""
    done = 0
    for name in _NAMED.finditer(code):
        if name.end() < done:
            continue
        depth = 0
        for part in _PART.finditer(code, name.end(), name.end() + _LONGEST):
            done = part.end()
            if (text := part["text"]) is not None:
                is_name = _VARIABLE.fullmatch(text) or secrets.is_placeholder(text)
                if text and text != "…" and not is_name:
                    yield part.span("text")
            depth += bool(part["open"]) - bool(part["close"])
            if depth < 0 or (depth == 0 and part["end"]):
                break


def _random(code: str) -> Iterator[tuple[int, int]]:
    """Where literals stand that can be nothing but keys or digests."""
    for part in _PART.finditer(code):
        if part["text"] is not None and _RANDOM.fullmatch(part["text"]):
            yield part.span("text")
