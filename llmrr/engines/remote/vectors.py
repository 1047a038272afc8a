"""Vectors of texts at Bedrock, where every family of models has a form of its own: Amazon's Titan
and Cohere's Embed.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed-text.html
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from llmrr.engines.remote.dialect import missing
from llmrr.errors import FeatureMissing

# An id may have the region, or the name of a resource, before it.
_FAMILY: Final = r"(?:^|[./:])(amazon\.titan-embed|cohere\.embed)-"
COHERE_AT_ONCE: Final = 96


def family(model: str) -> str | None:
    """titan, cohere, or None for a model that makes no vectors that are known here.

    >>> family("amazon.titan-embed-text-v2:0"), family("us.cohere.embed-v4:0")
    ('titan', 'cohere')
    >>> family("amazon.titan-text-express-v1") is None
    True
    """
    found = re.search(_FAMILY, model)
    return None if found is None else "titan" if found[1].startswith("amazon") else "cohere"


def bodies(model: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    """What is sent, in as many calls as it takes. Raises ``FeatureMissing``."""
    kind = family(model)
    if kind == "titan":  # one text a call
        return [{"inputText": text} for text in texts]
    if kind == "cohere":
        return [
            {"texts": list(texts[at : at + COHERE_AT_ONCE]), "input_type": "clustering",
             "truncate": "NONE", "embedding_types": ["float"]}
            for at in range(0, len(texts), COHERE_AT_ONCE)
        ]  # fmt: skip
    raise lacking(model)


def lacking(model: str) -> FeatureMissing:
    """The error for a model whose form is not known here."""
    error = missing("bedrock", f"embeddings of {model} here")
    error.hint = "amazon.titan-embed-text-v2:0, or cohere.embed-v4:0"
    return error


def found_in(document: Mapping[str, Any]) -> list[list[float]]:
    """The vectors of an answer, in the order of the texts.

    >>> found_in({"embedding": [1, 2]}), found_in({"embeddings": {"float": [[1], [2]]}})
    ([[1.0, 2.0]], [[1.0], [2.0]])
    """
    if "embedding" in document:
        return [list(map(float, document["embedding"]))]
    given = document["embeddings"]
    given = given["float"] if isinstance(given, dict) else given
    return [list(map(float, one)) for one in given]
