"""The files of the page: those of a fixed table, so that no path of a request is one of a file."""

from functools import lru_cache
from hashlib import sha256
from importlib import resources
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_NAMES: Final = (
    "colours.css", "style.css", "frame.css", "chat.css", "markdown.css", "facts.css", "plots.css",
    "icon.svg", "theme.js", "app.js", "api.js", "dom.js", "markdown.js", "inline.js", "store.js",
    "chat.js", "exchange.js", "message.js", "composer.js", "parameters.js", "sidebar.js",
    "charts.js", "live.js", "history.js", "runs.js",
)  # fmt: skip
TABLE: Final = {"/": "index.html", **{f"/page/{name}": name for name in _NAMES}}

# Scripts and styles of the page's own files only; and the browser refuses to read text as HTML, so
# that nothing a model says can become a part of the page.
POLICY: Final = "; ".join((
    "default-src 'self'", "img-src 'self' data:", "object-src 'none'", "base-uri 'none'",
    "form-action 'none'", "frame-ancestors 'none'",
    "require-trusted-types-for 'script'", "trusted-types 'none'",
))  # fmt: skip
HEADERS: Final = {  # besides those that every response has
    "content-security-policy": POLICY,
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-cache",
}


async def respond(request: Request) -> Response:
    """``GET /`` and the files that it names. What the browser has already is not sent again."""
    name = TABLE[request.scope["path"]]
    content, tag = _read(name)
    headers = {**HEADERS, "etag": tag}
    known = [one.strip().removeprefix("W/") for one in
             request.headers.get("if-none-match", "").split(",")]  # fmt: skip
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=_TYPES[name.rpartition(".")[2]])


@lru_cache(maxsize=len(TABLE))
def _read(name: str) -> tuple[bytes, str]:
    """A file, and what tells its versions apart."""
    content = resources.files("llmrr.server.page").joinpath("static", name).read_bytes()
    return content, f'"{sha256(content).hexdigest()[:20]}"'
