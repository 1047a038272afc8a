"""What mends something, for who has no command line of llmrr: in place of its flags and commands
the keys of llmrr.toml and the paths that do the same."""

import re
from typing import Final

_KEYS: Final = {
    "--ctx-size": "options.context_size", "--chat-template": "options.chat_template",
    "--engine": "engine",
}  # fmt: skip
_PATHS: Final = {"embed": "/v1/embeddings", "list": "GET /v1/models", "route": "/route"}
_PLACE: Final = "(of the model in llmrr.toml)"
_FLAG: Final = re.compile(
    r'llmrr (?P<command>embed(?: -m MODEL TEXT)?|list|route(?: "…")?)(?! -|\w)'
    r"|llmrr [^;]*"  # any other command, with flags of its own
    r"|-o (?P<option>\w+) (?P<value>\w+)|(?P<flag>--(?:ctx-size|chat-template|engine))\b"
    r"|--raw\b|: -m \S+"
)


def over_http(hint: str) -> str:
    """The hint without flags, those of commands that only the server's owner can run apart.

    >>> over_http("raise --ctx-size, up to 8192")
    'raise options.context_size (of the model in llmrr.toml), up to 8192'
    >>> over_http("-o mmproj FILE names it; llmrr list --all")
    'options.mmproj = FILE (of the model in llmrr.toml) names it; llmrr list --all'
    >>> over_http("llmrr embed -m MODEL TEXT; llmrr list shows the others")
    '/v1/embeddings; GET /v1/models shows the others'
    >>> over_http('llmrr route "…"'), over_http("llmrr route --need embedding")
    ('/route', 'llmrr route --need embedding')
    """
    return _FLAG.sub(_instead, hint)


def _instead(found: re.Match[str]) -> str:
    if command := found["command"]:
        return _PATHS[command.partition(" ")[0]]
    if option := found["option"]:
        return f"options.{option} = {found['value']} {_PLACE}"
    if flag := found["flag"]:
        return f"{_KEYS[flag]} {_PLACE}"
    if found[0] == "--raw":
        return "/v1/completions"
    return "" if found[0].startswith(": ") else found[0]
