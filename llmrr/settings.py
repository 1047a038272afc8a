"""The declarative table of settings: what may stand in ``llmrr.toml``, of which kind, what it is
by default and what it does. Validation, ``config show``, the starter file and the manual page
``llmrr.toml(5)`` are all made from ``SETTINGS``.

A key appears here together with the part that gives it effect.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from llmrr.errors import BadConfig, nearest
from llmrr.flags import CACHE, END, SCHEDULE, START, WEEK
from llmrr.kinds import (
    CHAT_TEMPLATE,
    COMMAND,
    DURATION,
    FILE,
    FLAG,
    HOOK,
    LAYERS,
    LORA,
    MESSAGES,
    NAME,
    ON_OFF_AUTO,
    PATH,
    RETENTION,
    REVISION,
    SECONDS,
    SHARE,
    SIZE,
    SOURCE,
    STOP,
    TEXT,
    TEXTS,
    URL,
    VARIABLE,
    VARIABLES,
    WORD,
    Kind,
    number,
    one_of,
    whole,
)
from llmrr.sides import MODES, SIDE
from llmrr.strategies import CHAIN, COST, DEFAULT_STRATEGY, NAMES, STRATEGIES, STRATEGY, TAGS
from llmrr.types import Format

Source = Literal["command line", "code", "environment", "project", "user", "default"]

KV_TYPES = ("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl")


# NamedTuple rather than dataclass: making a class takes a tenth of the time, at every start.
class Spec(NamedTuple):
    """One setting. ``key`` is dotted; ``models[]`` stands for each ``[[models]]``, ``NAME`` for a
    name of the user's. ``default`` is as it would be written, None where nothing is; ``example``
    is TOML. ``environment`` says whether ``LLMRR_…`` may set it."""

    key: str
    kind: Kind
    default: object
    doc: str
    example: str
    environment: bool = False

    @property
    def leaf(self) -> str:
        """The last part of the key.

        >>> spec("stats.retention").leaf
        'retention'
        """
        return self.key.rpartition(".")[2]

    @property
    def table(self) -> str:
        """The key without its last part; empty at the top."""
        return self.key.rpartition(".")[0]


class Setting(NamedTuple):
    """A value in use, who set it, in which file or variable, and how it was written there."""

    value: object
    source: Source
    where: str | None = None
    stated: object = None


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
    ("timeout", SECONDS, "In place of [timeouts] total, in seconds.", "30"),
    ("max_retries", whole(0, 100),
     "How often a failure that may pass is tried again, before the first token, in place of what "
     "[retry] attempts says.", "2"),
    ("headers_env", VARIABLES,
     "Further headers, each with the environment variable that holds its value.",
     '{ X-Proxy-Token = "PROXY_TOKEN" }'),
)
REMOTE_OPTIONS = frozenset(leaf for leaf, *_ in _REACHING)

# (leaf, default, doc) in seconds.
_TIMES: tuple[tuple[str, int, str], ...] = (
    ("connect", 5, "Until a connection to a provider stands."),
    ("first_token", 60, "Until the first piece of an answer, its reasoning included."),
    ("between_tokens", 30, "From one piece of an answer to the next."),
    ("total", 300, "Until an answer has ended."),
)

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
    ("tags", TAGS, "Words for what it is good at; --need WORD asks for one.", '["chat", "code"]'),
    ("group", NAME, "A name that several models answer to, drawn by weight.", '"chat"'),
    ("fallback", NAMES, "What is asked when this model fails, before fallback_chain.",
     '["local"]'),
    ("resume", FLAG, "Whether another model goes on with an answer that broke off.", "true"),
    ("quality", SHARE, "How good its answers are, 0 to 1; unset, what llmrr eval measured last.",
     "0.8"),
    ("cost", COST, "What it takes, in dollars per million tokens; a local model costs nothing. "
     "Tokens that a provider has cached count in full.",
     "{ input = 0.15, output = 0.60 }"),
)  # fmt: skip

# (leaf, kind, default, doc, example): the rules of llmrr optimize.
_OPTIMIZING: tuple[tuple[str, Kind, object, str, str], ...] = (
    ("window", DURATION, "7d", "How far back llmrr optimize looks, where --since does not say it.",
     '"30d"'),
    ("min_runs", whole(1), 20,
     "With fewer runs nothing is proposed: of a model for it, of all for the rest.", "100"),
    ("fast_ms", number(0), 500,
     "A model gets priority 1 when its mean latency in milliseconds is under this, else 2.", "300"),
    ("slow_ms", number(0), 1000,
     "For a model whose mean latency in milliseconds is above this, an installed one is proposed "
     "that is faster, and that llmrr eval found as good.", "2000"),
    ("error_patterns", whole(0), 10,
     "With more patterns of errors than this the strategy is to be reliability-first, else "
     "balanced.", "5"),
    ("hit_rate", SHARE, 0.6,
     "Where the cache answers a smaller share of what it is asked, its ttl is to be longer.",
     "0.4"),
    ("ttl_factor", number(1, above=True), 1.5, "How many times as long, then.", "2"),
    ("concurrency", whole(1), 5,
     "With more runs than this at once, models are to be loaded when they are needed; else those "
     "that are used most, before that.", "8"),
    ("preload", whole(0), 3, "How many of these.", "1"),
)  # fmt: skip

# (leaf, kind, doc, example): when a flag is on, and what it sets.
_FLAG: tuple[tuple[str, Kind, str, str], ...] = (
    ("rollout", SHARE,
     "The share of conversations that it is on for. A conversation is drawn by its first message, "
     "or by the user that Router.run is told: the same one is always in or out, and stays in when "
     "the share grows. All that is stated of a flag must hold for it to be on.", "0.25"),
    ("schedule", SCHEDULE, "In place of rollout: the share from a week on, counted from start; it "
     "is off before the first of them.",
     "[{ week = 1, rollout = 0.1 }, { week = 2, rollout = 0.5 }]"),
    ("week", WEEK, "The week in which it begins, counted from start.", "2"),
    ("start", START, "When it begins, and week 1 too; a date is its first moment, here.",
     "2026-12-01"),
    ("end", END, "When it ends; of a date, with the end of that day.", "2027-01-31"),
    ("env", VARIABLE,
     "An environment variable that decides alone where it is set: true, 1, yes, on, or false, 0, "
     "no, off. Where it is not, the rest decides; without any, the flag is off.",
     '"FF_NEW_ROUTING"'),
    ("set.strategy", STRATEGY,
     "The strategy in place of the configured one, where the call names neither strategy nor "
     "model. Of two flags that set the same, the later one holds.", '"quality-first"'),
    ("set.models", NAMES, "The only [[models]] that may answer, where the call names none.",
     '["assistant"]'),
    ("set.cache", CACHE, "Whether answers come from the cache and go there, where the call does "
     "not say it; ttl is in seconds.", "{ enabled = true, ttl = 3600 }"),
)  # fmt: skip

# (leaf, kind, doc, example): what may be spent.
_BUDGETS: tuple[tuple[str, Kind, str, str], ...] = (
    ("daily", number(0), "Dollars a day for all models, by their cost: a warning from 80 % on, and "
     "at 100 % nothing more until the next day in local time.", "5.0"),
    ("monthly", number(0), "Dollars a calendar month for all models.", "50"),
    ("tokens_daily", whole(0), "Tokens a day for all models, of prompts and answers.", "200_000"),
    ("tokens_monthly", whole(0), "Tokens a calendar month for all models.", "5_000_000"),
)  # fmt: skip

SETTINGS: tuple[Spec, ...] = (
    Spec("version", whole(1, 1), 1, "The version of this file's format.", "1"),
    Spec("strategy", STRATEGY, DEFAULT_STRATEGY,
         "Which of the [[models]] answers where none is named: "
         + "; ".join(f"{name}: {what}" for name, what in STRATEGIES.items()) + ".",
         '"quality-first"', True),
    Spec("fallback_chain", CHAIN, None,
         "What is asked, in this order, when the model that was chosen fails before its first "
         "word; unset, all others by priority. With false one model is asked, and no other.",
         '["assistant", "local"]', True),
    Spec("default_model", TEXT, None,
         "The model that answers when none is named, where there are no [[models]]; without it, "
         "the installed one that was used or added last.",
         '"qwen3:4b"', True),
    Spec("env_file", FILE, None,
         "A file of NAME=value lines where keys are looked up that are not in the environment, "
         "before those of llmrr keys set; relative to this file, and of a project's file inside "
         "its folder. Nothing else is taken from it.",
         '".env"', True),
    Spec("preload", NAMES, [],
         "The models that are loaded beforehand where [memory] loading is preload; without any, "
         "all [[models]].", '["assistant", "local"]', True),
    Spec("log_prompts", FLAG, True,
         "Whether prompts and answers are kept with the record of each run.", "false", True),
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
    *(Spec(f"timeouts.{leaf}", SECONDS, default, f"{doc} In seconds.", str(default), True)
      for leaf, default, doc in _TIMES),
    Spec("templates.NAME.template", TEXT, None,
         "A prompt with {name} holes, filled by -P NAME VALUE, and {input} by the prompt. Of {{ or "
         "}} one brace stays; so does a single brace around anything but a name.",
         '"Context: {context}\\nQuestion: {input}"'),
    Spec("templates.NAME.messages", MESSAGES, None,
         "In place of template: messages with holes, each {role, content}; the roles are system, "
         "user and assistant.",
         '[{ role = "user", content = "Translate: {input}" }]'),
    Spec("templates.NAME.defaults", TEXTS, None, "Values for holes that are not given others.",
         '{ context = "none" }'),
    Spec("templates.NAME.model", TEXT, None, "The model that is asked where none is named.",
         '"assistant"'),
    Spec("templates.NAME.format", TEXT, "braces",
         "How holes are written; templates in a format other than braces are kept but not "
         "rendered.", '"braces"'),
    Spec("flags.start", START, None,
         "The first day of week 1 for the flags of this file that have no start of their own.",
         "2026-12-01"),
    *(Spec(f"flags.NAME.{leaf}", kind, None, doc, example)
      for leaf, kind, doc, example in _FLAG),
    Spec("weights.quality", number(0), 0.4,
         "What balanced weighs quality with; each of the three goes from 0, the worst candidate, "
         "to 1, the best.", "0.6", True),
    Spec("weights.cost", number(0), 0.3, "What balanced weighs cost with.", "0.2", True),
    Spec("weights.speed", number(0), 0.3, "What balanced weighs speed with.", "0.2", True),
    Spec("ensemble.size", whole(2, 16), 3,
         "How many models the strategy ensemble asks at once.", "5", True),
    Spec("ensemble.judge", TEXT, None,
         "The model that chooses among their answers; without it, or where it names none, the "
         "answer that most give is taken, or the one nearest to the others.",
         '"assistant"', True),
    Spec("retry.attempts", whole(1, 100), 3,
         "How often one model is asked in all, where it fails with what may pass by itself.",
         "2", True),
    Spec("retry.backoff", one_of("exponential", "linear"), "exponential",
         "How the time before the next attempt grows.", '"linear"', True),
    Spec("retry.initial_delay", number(0), 0.5,
         "Seconds before the second attempt; between half of it and all of it, at random.",
         "1.0", True),
    Spec("retry.max_delay", number(0), 10.0,
         "The longest wait in seconds. Where a provider asks for a longer one, the next model is "
         "asked; the last of them waits.", "30.0", True),
    Spec("breaker.failures", whole(1, 1000), 5,
         "A model that failed so often in a row within the window is not asked for a while.",
         "3", True),
    Spec("breaker.window", number(0, above=True), 60.0, "The window in seconds.", "30", True),
    Spec("breaker.cooldown", number(0, above=True), 30.0,
         "Seconds until one request tries such a model again; where that succeeds, all do.",
         "60", True),
    Spec("cache.enabled", FLAG, True,
         "Whether an answer is given again to the same request: the same model, conversation, "
         "tools and sampling values to the last one, and only at temperature 0 or with a seed. "
         "Kept are digests of requests and the answers; where log_prompts is false, and with -n, "
         "in memory only. --no-cache asks anew.", "false", True),
    Spec("cache.ttl", RETENTION, 3600,
         'How long an answer is given again: seconds, a time such as "12h", or "forever".',
         '"12h"', True),
    Spec("cache.max_bytes", SIZE, "256 MB",
         "What all answers may take; beyond it those that were not used for the longest time go.",
         '"1 GB"', True),
    Spec("cache.semantic.model", TEXT, None,
         "A model that makes embeddings: with it an answer is given again also where the last "
         "message means the same in other words, and all else is the same. Never with tools, "
         "images, a schema or a grammar.", '"embedder"', True),
    Spec("cache.semantic.threshold", SHARE, 0.95,
         "How alike two messages must be for that, as the cosine of their vectors.",
         "0.97", True),
    Spec("migration.mode", one_of(*MODES), None,
         "How the two sides of a migration run beside each other; unset, not at all. hybrid: both "
         "are asked at once, the new side answers, and the legacy side where that fails; "
         "new-primary and legacy-primary: one side is asked, and the other one where that fails. "
         "MIGRATION_MODE in the environment overrides it; where a model is named it has no effect.",
         '"hybrid"', True),
    Spec("migration.new", SIDE, None,
         "The models of the new side: strategy and fallback_chain choose among them.",
         '["local"]', True),
    Spec("migration.legacy", SIDE, None,
         "The models of the old side.", '["assistant"]', True),
    Spec("memory.threshold", SHARE, 0.8,
         "Above this share of its limit (the machine's memory, or a control group's) models that "
         "nobody uses are unloaded.", "0.7", True),
    Spec("memory.high", SHARE, 0.9,
         "Above this share nothing is loaded, and beside other models nothing that would bring "
         "memory there: what runs is waited for, what is idle leaves, else the load is refused "
         "with the figures.", "0.95", True),
    Spec("memory.interval", DURATION, 300,
         "How often a living process looks at its memory, in seconds or as \"5m\".", "60", True),
    Spec("memory.auto_unload", FLAG, True,
         "Whether models that nobody uses are unloaded by themselves; without it only where "
         "another one needs their room.", "false", True),
    Spec("memory.unload_after", DURATION, 300,
         "How long a model stays loaded that nobody uses, in seconds or as \"10m\", in a process "
         "that lives on.", '"30m"', True),
    Spec("memory.loading", one_of("lazy", "preload"), "lazy",
         "When models are loaded: lazy is when they are asked for first; preload when llmrr chat "
         "or Router.initialize() begins.", '"preload"', True),
    Spec("batching.enabled", FLAG, True,
         "Whether a model on this machine computes several requests at once where they meet in one "
         "process; else one after the other.", "false", True),
    Spec("batching.max_batch_size", whole(1, 256), 10,
         "How many requests at once at most; as many as memory has room for.", "4", True),
    Spec("streaming.chunk_size", whole(1, 65536), 1,
         "How many tokens of an answer are handed on at a time.", "16", True),
    *(Spec(f"budgets.{leaf}", kind, None, doc, example, True)
      for leaf, kind, doc, example in _BUDGETS),
    *(Spec(f"budgets.NAME.{leaf}", kind, None, doc.replace("all models", "the model NAME"), example)
      for leaf, kind, doc, example in _BUDGETS),
    Spec("stats.retention", RETENTION, "30d",
         'How long runs, alerts and metrics are kept: a time such as "30d", or "forever".',
         '"90d"', True),
    Spec("alerts.latency_ms", number(0, above=True), 2000,
         "Once any key of [alerts] is set: high-latency, when an answer takes longer, in "
         "milliseconds; loading the model does not count.", "5000", True),
    Spec("alerts.error_rate", SHARE, 0.05,
         "high-error-rate, when more than this share of a model's last 50 runs of a day failed, of "
         "at least 10.", "0.2", True),
    Spec("alerts.memory", SHARE, 0.85,
         "high-memory, when more than this share of this machine's memory is taken, or of its "
         "container's.", "0.9", True),
    Spec("alerts.webhook", HOOK, None,
         "Where alerts are posted as JSON: event, model, value, limit, at, message. In a project's "
         "file it takes effect after llmrr config trust, as does command.",
         '"https://example.org/alerts"', True),
    Spec("alerts.command", COMMAND, None,
         "What is run for an alert, without a shell: it gets the same JSON on stdin, and its event "
         "in LLMRR_ALERT.", '"notify-send llmrr"', True),
    *(Spec(f"optimize.{leaf}", kind, default, doc, example, True)
      for leaf, kind, default, doc, example in _OPTIMIZING),
)  # fmt: skip

_BY_KEY = {setting.key: setting for setting in SETTINGS}


def spec(key: str) -> Spec:
    """The setting of that key; ``KeyError`` for an unknown one."""
    return _BY_KEY[key]


def plain_settings() -> Mapping[str, Spec]:
    """Those with one value each, by key: all but what is in ``[[models]]``, ``[templates]`` and
    ``[flags]`` and ``[budgets.NAME]``."""
    return {key: setting for key, setting in _BY_KEY.items() if not key.startswith(_REPEATED)}


_REPEATED = ("models[].", "templates.NAME.", "flags.", "budgets.NAME.")


def plain_spec(key: str) -> Spec:
    """A setting of one value by its key; ``BadConfig`` with the nearest one for an unknown key."""
    known = plain_settings()
    if key not in known:
        near = nearest(key, known)
        raise BadConfig(
            f"unknown key {key}",
            f"did you mean {near}?" if near else "llmrr config show lists the settings",
        )
    return known[key]


def defaults() -> dict[str, Setting]:
    """Every setting of one value, as it is when nobody sets it."""
    return {
        key: Setting(
            None if spec.default is None else spec.kind.parse(spec.default, Path()),
            "default",
            None,
            spec.default,
        )
        for key, spec in plain_settings().items()
    }
