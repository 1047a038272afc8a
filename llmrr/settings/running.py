"""What running takes, and what is watched of it: from ``[memory]`` to ``[optimize]``."""

from llmrr.kinds import COMMAND, DURATION, FLAG, HOOK, RETENTION, SHARE, Kind, number, one_of, whole
from llmrr.settings.base import Spec

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
    ("every", DURATION, None,
     "How often llmrr serve looks for proposals, as \"24h\"; what it finds is written to "
     "optimize.diff in the data directory. Unset, never.", '"24h"'),
    ("auto", FLAG, False,
     "Whether llmrr serve also changes the files as proposed; llmrr config rollback undoes it.",
     "true"),
)  # fmt: skip

# (leaf, kind, doc, example): what may be spent.
_BUDGETS: tuple[tuple[str, Kind, str, str], ...] = (
    ("daily", number(0), "Dollars a day for all models, by their cost: a warning from 80 % on, and "
     "at 100 % nothing more until the next day in local time.", "5.0"),
    ("monthly", number(0), "Dollars a calendar month for all models.", "50"),
    ("tokens_daily", whole(0), "Tokens a day for all models, of prompts and answers.", "200_000"),
    ("tokens_monthly", whole(0), "Tokens a calendar month for all models.", "5_000_000"),
)  # fmt: skip

RUNNING: tuple[Spec, ...] = (
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
    Spec("ray.cpus", number(0), None,
         "How many processors of its machine a replica of --ray takes; unset, as many as "
         "[engines.llamacpp] threads says, else 1.", "4", True),
    Spec("ray.gpus", number(0), 0, "And how many accelerators; a share of one is possible.", "0.5",
         True),
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
         "at least 10, or as many failures as open a breaker.", "0.2", True),
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
