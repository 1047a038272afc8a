"""How a request finds its model and its answer: from ``[timeouts]`` to ``[migration]``."""

from llmrr.flags import CACHE, END, SCHEDULE, START, WEEK
from llmrr.kinds import (
    FLAG,
    MESSAGES,
    RETENTION,
    SECONDS,
    SHARE,
    SIZE,
    TEXT,
    TEXTS,
    VARIABLE,
    Kind,
    number,
    one_of,
    whole,
)
from llmrr.settings.base import Spec
from llmrr.sides import MODES, SIDE
from llmrr.strategies import NAMES, STRATEGY

# (leaf, default, doc) in seconds.
_TIMES: tuple[tuple[str, int, str], ...] = (
    ("connect", 5, "Until a connection to a provider stands."),
    ("first_token", 60,
     "Until the first piece of an answer, its reasoning included. Well below total: what one model "
     "takes of that is not there for a fallback."),
    ("between_tokens", 30, "From one piece of an answer to the next."),
    ("total", 300,
     "Until an answer has ended, all attempts and models together. Where a model that may be asked "
     "has a longer timeout of its own, that long."),
)

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

ROUTING: tuple[Spec, ...] = (
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
    Spec("weights.speed", number(0), 0.3, "What balanced weighs speed with; a model that was "
         "never asked counts as the fastest.", "0.2", True),
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
    Spec("health.interval", number(0), 10.0,
         "How often llmrr serve and llmrr batch look whether the servers behind [[models]] with a "
         "base_url are up, in seconds: one that is down is left out until it is up again. 0 is "
         "never.", "5", True),
    Spec("health.timeout", number(0, above=True), 5.0,
         "How long such a server may take to say how it is, in seconds.", "2", True),
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
    Spec("migration.mode", one_of(*MODES, stray={"off": None}), None,
         "How the two sides of a migration run beside each other; unset, not at all. hybrid: both "
         "are asked at once, the new side answers, and the legacy side where that fails; "
         "new-primary and legacy-primary: one side is asked, and the other one where that fails. "
         "MIGRATION_MODE in the environment overrides it, also where a program states it, and off "
         "there is not at all; where a model is named it has no effect.",
         '"hybrid"', True),
    Spec("migration.new", SIDE, None,
         "The models of the new side: strategy and fallback_chain choose among them.",
         '["local"]', True),
    Spec("migration.legacy", SIDE, None,
         "The models of the old side.", '["assistant"]', True),
)  # fmt: skip
