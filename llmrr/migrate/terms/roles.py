"""What a model is for, where its name or its file says that it does not write answers. Pure."""

import re
from typing import Final, Literal

Role = Literal["embedding", "other"]

_EMBEDDING: Final = re.compile(
    r"(?i)(?:^|[-_/:. ])(?:embed(?:ding|dings|der|ders)?|text-similarity"
    r"|textembedding-[\w.@-]+|bge-(?!reranker)[\w.-]+"
    r"|gte-[\w.-]+|e5-[\w.-]+|all-minilm[\w.-]*|nomic-embed[\w.-]*|mxbai-embed[\w.-]*"
    r"|snowflake-arctic-embed[\w.-]*|voyage-(?!rerank)[\w.-]+)(?:$|[-_/:. \d])"
)
_OTHER: Final = re.compile(
    r"(?i)(?:^|[-_/:. ])(?:re-?rank(?:er|ing)?|whisper[\w.-]*|dall-e[\w.-]*|gpt-image[\w.-]*|tts"
    r"|gemini-[\w.]+(?:-\w+)?-image[\w.-]*|(?:ze)?rank-\d[\w.-]*"
    r"|text-to-speech|speech|stable-diffusion[\w.-]*|sdxl|sd3[\w.-]*|flux[\w.-]*|kokoro|imagen"
    r"|moderation|transcribe|transcription|sora|veo)(?:$|[-_/:. \d])"
)
_MODES: Final = {"embedding": "embedding", "embeddings": "embedding", "embed": "embedding"}
_ANSWERS: Final = frozenset({"chat", "completion", "responses", "text", "main", "batch"})


def left_out(shown: str, role: Role) -> tuple[str, str]:
    """The code and the words of a warning about a model with another task."""
    if role == "other":
        return "other-role", f"{shown} does not write answers: left out"
    return "embedding-model", (
        f"{shown} makes vectors, no answers: left out; llmrr embed takes it once it stands in"
        ' [[models]] with tags = ["embedding"]'
    )


def role_of(name: str, mode: object = None) -> Role | None:
    """What a model is for besides answering, by what is said of it, else by its name; None is:
    it answers.

    >>> role_of("text-embedding-3-small"), role_of("whisper-1"), role_of("gpt-4o")
    ('embedding', 'other', None)
    >>> role_of("my-embedder", "chat"), role_of("x", "rerank"), role_of("bge-reranker-v2")
    (None, 'other', 'other')
    """
    if isinstance(mode, str) and mode.strip():
        plain = mode.strip().lower()
        if plain in _ANSWERS:
            return None
        return "embedding" if plain in _MODES else "other"
    name = name[:300]
    if _OTHER.search(name):
        return "other"
    return "embedding" if _EMBEDDING.search(name) else None
