"""What may be said of a model, and of the engines that run models."""

from collections.abc import Mapping

from llmrr.kinds import (
    CHAT_TEMPLATE,
    FLAG,
    LAYERS,
    LORA,
    NAME,
    ON_OFF_AUTO,
    PATH,
    REVISION,
    SECONDS,
    SHARE,
    SIZE,
    SOURCE,
    STOP,
    TEXT,
    URL,
    VARIABLE,
    VARIABLES,
    WORD,
    Kind,
    number,
    one_of,
    whole,
)
from llmrr.settings.base import Spec
from llmrr.strategies import COST, NAMES, TAGS
from llmrr.types import Format

KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")

# (leaf, kind, default, doc, example): how a local model is loaded, per engine and per model.
_LOADING: tuple[tuple[str, Kind, object, str, str], ...] = (
    ("context_size", whole(1, word="auto"), "auto",
     "Tokens of context per sequence; auto takes what the request needs, at least 4096, at most "
     "what the model was trained for and what fits.", "8192"),
    ("gpu_layers", LAYERS, "auto",
     "How many layers go to the GPU: auto is what fits, -1 is all.", "20"),
    ("threads", whole(1, 1024), None,
     "CPU threads; unset, one per physical core that this process may use.", "8"),
    ("kv_type", one_of(*KV_TYPES), "f16",
     "The type of the KV cache; a smaller one saves memory and costs some quality.", '"q8_0"'),
    ("flash_attention", ON_OFF_AUTO, "auto",
     "Fused attention; auto uses it where it is faster.", "true"),
    ("mmap", FLAG, True, "Map the file into memory instead of reading it.", "false"),
    ("mlock", FLAG, False, "Keep the weights from being swapped out.", "true"),
    ("lora", LORA, None,
     "LoRA adapter files, each a path or {path, scale}; relative paths start at this file.",
     '["adapter.gguf", { path = "other.gguf", scale = 0.5 }]'),
    ("chat_template", CHAT_TEMPLATE, None,
     "A Jinja chat template in place of the model's own, or file:PATH.",
     '"file:./template.jinja"'),
    ("prefix_cache", SIZE, "512 MB",
     "How many bytes of what was computed of prompts llmrr serve keeps for others that begin so, "
     "beside what its slots hold.", '"2 GB"'),
    ("prefix_disk", FLAG, False,
     "Whether these are saved when it ends, as much of them in the cache directory, and are there "
     "when it begins again.", "true"),
    ("speculate", whole(0, 64), 0,
     "How many tokens are guessed ahead at most, from what was said before: faster where an answer "
     "repeats its prompt, the same answer. 0 is none.", "8"),
)  # fmt: skip

# What onnxruntime and MLX know of these.
_LOADING_ONNX = ("context_size", "gpu_layers", "threads", "chat_template")
_LOADING_MLX = ("context_size", "gpu_layers", "chat_template")
ENGINES = (
    "llamacpp", "onnx", "mlx", "openai", "openai-responses", "anthropic", "google", "azure",
    "cohere", "bedrock", "ollama",
)  # fmt: skip

# What the original of llmrr called them; None is: as it is found.
STRAY: Mapping[str, Mapping[str, str | None]] = {
    "engine": {"native": "llamacpp"}, "format": {"huggingface": None},
}

# What goes with one model alone.
_LOADING_ONE: tuple[tuple[str, Kind, object, str, str], ...] = (
    ("mmproj", PATH, None,
     "The file of its image encoder (mmproj), for images; unset, the one that was installed with "
     "it. A relative path starts at this file.", '"mmproj-F16.gguf"'),
)

# (leaf, kind, doc, example): which files of a source are the model.
_PLACING: tuple[tuple[str, Kind, str, str], ...] = (
    ("file", TEXT, "Which file of a repository or folder, by its path in it.",
     '"model-Q4_K_M.gguf"'),
    ("revision", REVISION, "The branch, tag or commit of a repository.", '"v1.0"'),
)
PLACING = frozenset(leaf for leaf, *_ in _PLACING)

# (leaf, kind, doc, example): how a remote model is reached.
_REACHING: tuple[tuple[str, Kind, str, str], ...] = (
    ("base_url", URL,
     "The address of a server that speaks the provider's protocol, in place of the provider's own.",
     '"http://127.0.0.1:8080/v1"'),
    ("api_key_env", VARIABLE,
     "The environment variable that holds the key; unset, the provider's usual one, and with a "
     "base_url none.", '"OPENAI_API_KEY"'),
    ("api_version", WORD, "The version of the interface, where the provider has several.",
     '"2024-10-21"'),
    ("organization", WORD, "The organization that the provider counts it for.", '"org-1234"'),
    ("timeout", SECONDS, "In place of [timeouts] total for this model, in seconds.", "30"),
    ("max_retries", whole(0, 100),
     "How often a failure that may pass is tried again, before the first token, in place of what "
     "[retry] attempts says.", "2"),
    ("headers_env", VARIABLES,
     "Further headers, each with the environment variable that holds its value.",
     '{ X-Proxy-Token = "PROXY_TOKEN" }'),
)
REMOTE_OPTIONS = frozenset(leaf for leaf, *_ in _REACHING)

# (leaf, kind, doc, example): what a request may also set.
_PARAMS: tuple[tuple[str, Kind, str, str], ...] = (
    ("temperature", number(0), "How freely tokens are drawn; 0 always takes the likeliest.", "0.7"),
    ("max_tokens", whole(1), "The longest answer, in tokens.", "1000"),
    ("top_p", SHARE, "Draw from the likeliest tokens that hold this share together.", "0.9"),
    ("top_k", whole(0), "Draw from this many likeliest tokens; 0 is all.", "40"),
    ("min_p", SHARE, "Leave out tokens less likely than this share of the likeliest.", "0.05"),
    ("typical_p", SHARE, "Locally typical sampling; 1 is off.", "0.95"),
    ("repeat_penalty", number(0, above=True), "Divide what was already said by this; 1 is off.",
     "1.1"),
    ("frequency_penalty", number(-2, 2), "Subtract this for every time a token was said.", "0.5"),
    ("presence_penalty", number(-2, 2), "Subtract this once a token was said.", "0.5"),
    ("stop", STOP, "Texts that end the answer.", '["\\n\\n"]'),
    ("seed", whole(0, 2**32 - 1), "Makes the draw repeatable.", "42"),
    ("system", TEXT, "The system prompt.", '"Answer in one sentence."'),
)  # fmt: skip

# (leaf, kind, doc, example): how a model is chosen among the [[models]].
_CHOOSING: tuple[tuple[str, Kind, str, str], ...] = (
    ("priority", whole(0), "Among equals the lowest is tried first; without it, after those that "
     "have one.", "1"),
    ("weight", number(0, above=True), "How often it is drawn among equals of one priority, and "
     "within its group; unset, 1.", "0.7"),
    ("tags", TAGS, "Words for what it is good at; --need WORD asks for one. A model with the tag "
     "embedding answers only where it is named.", '["chat", "code"]'),
    ("group", NAME, "A name that several models answer to, drawn by weight, or by the strategy "
     "where that is least-loaded or round-robin; where one fails, the others are asked, then "
     "fallback_chain.", '"chat"'),
    ("fallback", NAMES, "What is asked when this model fails, before fallback_chain.",
     '["local"]'),
    ("resume", FLAG, "Whether another model goes on with an answer that broke off.", "true"),
    ("quality", SHARE, "How good its answers are, 0 to 1; unset, what llmrr eval measured last.",
     "0.8"),
    ("cost", COST, "What it takes, in dollars per million tokens; a local model costs nothing. "
     "Tokens that a provider has cached count in full.",
     "{ input = 0.15, output = 0.60 }"),
)  # fmt: skip

MODELS: tuple[Spec, ...] = (
    *(Spec(f"engines.llamacpp.{leaf}", kind, default, doc, example, True)
      for leaf, kind, default, doc, example in _LOADING),
    *(Spec(f"engines.onnx.{leaf}", kind, default, doc, example, True)
      for leaf, kind, default, doc, example in _LOADING if leaf in _LOADING_ONNX),
    *(Spec(f"engines.mlx.{leaf}", kind, default, doc, example, True)
      for leaf, kind, default, doc, example in _LOADING if leaf in _LOADING_MLX),
    Spec("models[].name", NAME, None, "What the model is called here; each name once.",
         '"assistant"'),
    Spec("models[].source", SOURCE, None,
         "Where it comes from: file:PATH (relative to this file), huggingface:owner/repo:QUANT "
         "once the hub's cache has it, ollama:NAME, lmstudio:PUBLISHER/REPO, builtin:mini, or a "
         "provider and its model, as openai:gpt-4o-mini.",
         '"file:./models/assistant.gguf"'),
    Spec("models[].format", one_of(*Format, stray=STRAY["format"]), None,
         "What its files are: needed where a folder holds the model in several formats, refused "
         "where they are something else.", '"gguf"'),
    Spec("models[].engine", one_of(*ENGINES, stray=STRAY["engine"]), None,
         "Which engine runs it, or which protocol a provider is asked by, where several could; "
         "unset, the first that is here, and the provider's usual one.", '"onnx"'),
    *(Spec(f"models[].{leaf}", kind, None, doc, example)
      for leaf, kind, doc, example in _CHOOSING),
    *(Spec(f"models[].params.{leaf}", kind, None, doc, example)
      for leaf, kind, doc, example in _PARAMS),
    *(Spec(f"models[].options.{leaf}", kind, None, doc, example)
      for leaf, kind, _default, doc, example in (*_LOADING, *_LOADING_ONE)),
    *(Spec(f"models[].options.{leaf}", kind, None, doc, example)
      for leaf, kind, doc, example in (*_PLACING, *_REACHING)),
)  # fmt: skip
