"""What ``llmrr serve`` listens on, and what it takes: ``[serve]``."""

from llmrr.kinds import (
    ALIASES,
    DURATION,
    FLAG,
    KEY_HASH,
    RETENTION,
    SITES,
    SIZE,
    TEXT,
    VARIABLE,
    whole,
)
from llmrr.settings.base import Spec
from llmrr.strategies import NAMES

SERVING: tuple[Spec, ...] = (
    Spec("serve.host", TEXT, "127.0.0.1",
         "The address that llmrr serve listens on; others than this machine's own take keys.",
         '"::1"', True),
    Spec("serve.port", whole(0, 65535), 8313,
         "The port that llmrr serve listens on; 0 takes a free one.", "8080", True),
    Spec("serve.ollama", FLAG, False,
         "Whether 127.0.0.1:11434 is listened on too, where clients of Ollama look for it.",
         "true", True),
    Spec("serve.manage", FLAG, False,
         "Whether clients may fetch, remove and copy models where there are no keys; else those of "
         "a key with may_manage.", "true", True),
    Spec("serve.aliases", ALIASES, {},
         "Names that clients of the old system ask for, each with the model or group that answers "
         'to it, or auto; "claude-*" is for all names that begin so and mean nothing else here, '
         'the longest beginning first, and "*" for all others, as llama-server takes any. Those of '
         "--alias come besides.",
         '{ "gpt-4o" = "assistant" }', True),
    Spec("serve.hosts", NAMES, [],
         "Names besides its own address under which the server is asked, as a proxy before it "
         "sends them in Host.", '["ai.example.org"]', True),
    Spec("serve.origins", SITES, [],
         "Sites whose pages may ask, too, for clients that run in a browser. In a project's file "
         "it takes effect after llmrr config trust.", '["http://localhost:3000"]', True),
    Spec("serve.max_queue", whole(0, 100_000), 256,
         "How many requests wait at most for those that are computed; more are answered 429.",
         "32", True),
    Spec("serve.timeout", DURATION, 600,
         "How long an answer may take in all, waiting included; then it is stopped.",
         '"30m"', True),
    Spec("serve.drain", DURATION, 30,
         "How long answers may go on after the server was told to end.", '"5m"', True),
    Spec("serve.keep_responses", RETENTION, "30d",
         "How long responses of /v1/responses are kept in the database, to be read and gone on "
         "with, unless their request says store: false; 0 for not at all.", '"1h"', True),
    Spec("serve.max_connections", whole(1, 65535), 1000,
         "How many connections there may be at once; more are answered 503.", "4000", True),
    Spec("serve.max_body", SIZE, "64 MB", "How large a request may be.", '"8 MB"', True),
    Spec("serve.max_tokens", whole(1), None,
         "How many tokens a request may ask for; more are a 400, and one that does not say it gets "
         "as many.", "4096", True),
    Spec("serve.max_prompt_tokens", whole(1), None,
         "How long a prompt may be, where a text counts as a token for four bytes.", "16384", True),
    Spec("serve.log_requests", FLAG, False,
         "Whether what is asked and answered is logged, too, and kept for llmrr logs; else only "
         "path, status and time are, and what an answer took.",
         "true", True),
    Spec("serve.keys.NAME.env", VARIABLE, None,
         "The variable that holds the key that NAME asks with: in the environment, in env_file, or "
         "kept by llmrr keys set. In a project's file keys take effect after llmrr config trust.",
         '"TEAM_KEY"'),
    Spec("serve.keys.NAME.hash", KEY_HASH, None,
         "In place of env, or beside it for a second key: a hash, as llmrr serve --hash-key "
         "prints it.",
         '"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"'),
    Spec("serve.keys.NAME.requests_per_minute", whole(1), None,
         "How many requests a minute NAME may make.", "60"),
    Spec("serve.keys.NAME.tokens_per_minute", whole(1), None,
         "How many tokens a minute, of prompts and answers.", "20_000"),
    Spec("serve.keys.NAME.tokens_per_day", whole(1), None,
         "How many tokens a day; they come back in the course of a day, and a restart does not "
         "forget what was used.", "1_000_000"),
    Spec("serve.keys.NAME.concurrent", whole(1), None,
         "How many requests at once, those that wait included.", "4"),
    Spec("serve.keys.NAME.models", NAMES, None,
         "The models and groups that NAME may use; the others are not there for it.",
         '["small"]'),
    Spec("serve.keys.NAME.may_manage", FLAG, False,
         "Whether NAME may fetch and remove models.", "true"),
)  # fmt: skip
