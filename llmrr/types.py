"""The vocabulary that the parts of llmrr speak with each other. Immutable, and without behaviour
beyond what a value can say of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

FinishReason = Literal["stop", "length", "tool_calls", "cancelled"]
Think = Literal["off", "low", "medium", "high"]


class Format(StrEnum):
    """How a model's files are laid out."""

    GGUF = "gguf"
    SAFETENSORS = "safetensors"
    ONNX = "onnx"
    MLX = "mlx"
    PYTORCH = "pytorch"


class Feature(StrEnum):
    """What an engine may be able to do."""

    SCHEMA = "schema"
    GRAMMAR = "grammar"
    LOGPROBS = "logprobs"
    EMBEDDINGS = "embeddings"
    LORA = "lora"
    IMAGES = "images"
    TOOLS = "tools"
    THINKING = "thinking"


@dataclass(frozen=True, slots=True)
class Image:
    """An image: its address, or its bytes with their media type. ``detail`` is how closely it is to
    be looked at, for protocols that have that: low, high, auto."""

    url: str | None = None
    data: bytes | None = None
    media_type: str = "image/png"
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """What a model may call. ``parameters`` is a JSON Schema of its arguments; ``strict`` holds it
    to that, for protocols that have such a promise."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that a model asks for. ``arguments`` is JSON text as the model wrote it: of an answer
    that was cut, or went wrong, it may be none. ``signature`` is what its provider wants back with
    it, unread."""

    id: str
    name: str
    arguments: str
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class CallPiece:
    """A piece of the arguments of a call that is under way, for who shows them as they come; the
    first one may be empty. All pieces of one ``id`` are the arguments of that whole call, which
    follows. ``signature`` is that of the call."""

    id: str
    name: str
    arguments: str = ""
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation; ``role`` is system, user, assistant or tool.

    ``parts`` are texts and images in their order, where there are images; ``content`` is the text
    alone. An assistant's turn may hold ``tool_calls``; a turn of a tool is the result of the call
    ``tool_call_id``. ``name`` tells participants of one role apart, for protocols that have that.
    ``reasoning`` is what the assistant thought before: templates that show it again are given it.
    """

    role: str
    content: str
    parts: tuple[str | Image, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    name: str | None = None
    reasoning: str = ""

    @classmethod
    def of(cls, role: str, *parts: str | Image) -> "Message":
        """A turn of texts and images.

        >>> Message.of("user", "What is ", "this?", Image(url="https://example.org/a.png")).content
        'What is this?'
        """
        return cls(role, "".join(one for one in parts if isinstance(one, str)), parts)

    @property
    def images(self) -> tuple[Image, ...]:
        """Its images."""
        return tuple(one for one in self.parts if isinstance(one, Image))


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen, and when to stop. ``None`` means: not stated.

    ``temperature`` 0 is greedy. ``seed`` makes the draw repeatable for the same batch composition.
    ``stop`` are texts that end the answer, ``stop_tokens`` ids of tokens that do; none of these
    tokens comes before ``min_tokens`` others. ``logit_bias`` maps token ids to what is added to
    their logits. ``logprobs`` is how many alternatives to report per token. ``schema`` is a JSON
    Schema, ``grammar`` GBNF or Lark text.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repeat_penalty: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] | None = None
    stop_tokens: tuple[int, ...] | None = None
    max_tokens: int | None = None
    min_tokens: int | None = None
    logit_bias: Mapping[int, float] | None = None
    logprobs: int | None = None
    ignore_eos: bool | None = None
    schema: Mapping[str, Any] | bool | None = None
    grammar: str | None = None
    think: Think | None = None

    def over(self, below: "Sampling") -> "Sampling":
        """These values where they are stated, else those of ``below``.

        >>> Sampling(seed=1).over(Sampling(seed=2, top_k=5)) == Sampling(seed=1, top_k=5)
        True
        """
        if below == UNSTATED:
            return self
        if self == UNSTATED:
            return below
        values = {name: getattr(self, name) for name in _SAMPLED}
        return replace(below, **{name: one for name, one in values.items() if one is not None})


_SAMPLED = tuple(one.name for one in fields(Sampling))
UNSTATED = Sampling()
# What applies where neither the call, the configuration nor the model says otherwise.
DEFAULT_SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=0.95, min_p=0.05)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a model: ``messages`` through its chat template, a raw ``prompt``, or the
    ``tokens`` of one, to which nothing is added. ``begun`` is how the answer begins already: a
    local model goes on behind it. ``tool_choice`` is auto, none, required, or the name of the tool
    that must be called. ``firm`` is what a client calls its wish that the model thinks, where one
    that cannot is to refuse it; where that is empty, the wish is left out and noted. ``deadline``,
    by ``time.monotonic``, is when nobody waits for a provider's answer any more; ``whole`` where
    nobody sees an answer before its end, so that its pieces may be as large as they come."""

    messages: tuple[Message, ...] = ()
    prompt: str | None = None
    n: int = 1
    sampling: Sampling = field(default_factory=Sampling)
    tokens: tuple[int, ...] = ()
    tools: tuple[Tool, ...] = ()
    tool_choice: str | None = None
    begun: str = ""
    firm: str = ""
    deadline: float | None = field(default=None, compare=False)
    whole: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A generated token with its log probability (natural logarithm, of the unmodified
    distribution) and the most likely alternatives as ``(text, logprob)``, best first. ``spelled``
    are the bytes of the token and of each alternative, where one of them is no whole text."""

    text: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()
    spelled: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, spelled: Sequence[bytes], logprobs: Sequence[float]) -> "TokenLogprob":
        """A token and its alternatives from their bytes.

        >>> TokenLogprob.of([b"a", b"b"], [-0.5, -1.0])
        TokenLogprob(text='a', logprob=-0.5, top=(('b', -1.0),), spelled=())
        """
        texts = [one.decode(errors="replace") for one in spelled]
        is_whole = all(text.encode() == one for text, one in zip(texts, spelled, strict=True))
        top = tuple(zip(texts[1:], logprobs[1:], strict=True))
        return cls(texts[0], logprobs[0], top, () if is_whole else tuple(spelled))

    @property
    def octets(self) -> tuple[bytes, ...]:
        """The bytes of the token and of each alternative."""
        texts = (self.text, *(text for text, _ in self.top))
        return self.spelled or tuple(one.encode(errors="replace") for one in texts)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer took. ``cached_tokens`` of the prompt were not computed again;
    ``thought_tokens`` of the completion were thought before it was said, None where nobody counts
    those. ``estimated`` where a provider did not say its counts, and they are guessed from the
    length of the texts."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    estimated: bool = False
    load_s: float = 0.0
    first_token_s: float | None = None
    total_s: float = 0.0
    tokens_per_s: float | None = None
    thought_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an answer. The last one of each choice carries ``finish_reason``; the last of all
    also ``usage``. ``tool_calls`` are whole calls; ``call_pieces`` tell of the same calls while
    they come, where an engine can. ``stop`` is the stop string that ended the choice, where that is
    known; it is no part of the text."""

    index: int = 0
    text: str = ""
    reasoning: str = ""
    tokens: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    stop: str | None = None
    call_pieces: tuple[CallPiece, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Where a local model lies: its file (the first part of a split one) or folder."""

    path: Path
    format: Format


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a remote model answers, and how it is reached. No secret: keys are named by the
    environment variables that hold them.

    ``provider`` and ``model`` are the two parts of its source. ``base_url`` and ``api_key_env`` are
    None for the provider's own. ``headers_env`` maps names of headers to variables; ``env_file`` is
    where variables are looked up too. The times are in seconds: ``connect``, ``first_token``,
    ``between_tokens`` and all together, ``timeout``; None is no limit. ``max_retries`` is how often
    what may pass is tried again before the first token.
    """

    provider: str
    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    api_version: str | None = None
    organization: str | None = None
    headers_env: Mapping[str, str] = field(default_factory=dict, hash=False)
    connect: float | None = 5.0
    first_token: float | None = 60.0
    between_tokens: float | None = 30.0
    timeout: float | None = 300.0
    max_retries: int = 0
    env_file: Path | None = None

    @property
    def source(self) -> str:
        """As ``llmrr.toml`` writes it."""
        return f"{self.provider}:{self.model}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What is put around a model's weights under a name of its own. ``messages`` are exchanges that
    stand before every conversation; ``options`` has the names of ``engines.base.Options``.
    ``template``, a Go template as Ollama has them, and ``license``, its text or its name, are kept
    for a Modelfile and have no effect."""

    system: str | None = None
    params: Sampling = field(default_factory=Sampling)
    options: Mapping[str, Any] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    template: str | None = None
    license: str | None = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What a model's own files say about it, without reading its weights. Unknown is ``None``, as
    is the ``format`` of a remote one.

    ``kind`` is model, adapter (LoRA), mmproj, imatrix or tokenizer where the files say so.
    ``architecture`` is the word of the files: general.architecture of GGUF, ``model_type`` of
    config.json. ``parameters`` counts packed weights as the numbers that they stand for. Of a
    pickle, ``imports`` are all the names that unpickling would look up and call, and ``unsafe``
    those of them that no file of tensors needs.

    ``heads_kv``, ``feed_forward`` and ``heads`` have one entry per layer; ``tensor_types`` maps a
    quantization name to ``(tensors, bytes)``; ``special_tokens`` maps a role (bos, eos, eot, …) to
    the token's text or id; ``sampling`` holds the author's recommended defaults.
    ``weights`` maps a part to the bytes of each of its tensor types: ``input`` (tables that rows
    are looked up in: token_embd, position_embd, token_types, per_layer_token_embd), ``output``
    (what follows the last layer) and ``layers``. ``layer_bytes`` has one entry per layer.
    ``sliding_pattern`` is n where every n-th layer attends to everything, or says for each layer
    whether it slides; ``metadata`` has the file's own keys, without long arrays and templates.
    """

    format: Format | None
    architecture: str
    name: str | None = None
    kind: str | None = None
    size_label: str | None = None
    parameters: int | None = None
    quant: str | None = None
    bytes: int | None = None
    context_length: int | None = None
    embedding_length: int | None = None
    layers: int | None = None
    heads: tuple[int, ...] = ()
    heads_kv: tuple[int, ...] = ()
    key_length: int | None = None
    value_length: int | None = None
    feed_forward: tuple[int, ...] = ()
    vocabulary: int | None = None
    experts: int | None = None
    experts_used: int | None = None
    sliding_window: int | None = None
    sliding_pattern: int | tuple[bool, ...] | None = None
    recurrent: bool = False
    pooling: str | None = None
    tokenizer: str | None = None
    pre_tokenizer: str | None = None
    special_tokens: Mapping[str, int] = field(default_factory=dict)
    add_bos: bool | None = None
    add_eos: bool | None = None
    chat_template: str | None = None
    templates: Mapping[str, str] = field(default_factory=dict)
    sampling: Sampling = field(default_factory=Sampling)
    license: str | None = None
    tensor_types: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    weights: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    layer_bytes: tuple[int, ...] = ()
    parts: int = 1
    imports: tuple[str, ...] = ()
    unsafe: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def writes(self) -> bool:
        """Whether it writes answers: one that sees all of a text at once only makes vectors."""
        is_causal = self.metadata.get(f"{self.architecture}.attention.causal")
        return not self.pooling and is_causal is not False
