"""What is behind a model: the files, or the service at its address."""

import os
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from llmrr.config import ConfiguredModel
from llmrr.engines.remote.providers import PROVIDERS

_USUAL_PORTS = {"http": 80, "https": 443}


def behind(model: ConfiguredModel) -> str:
    """What answers for a model: where it lies, or its source and the address that is stated in
    place of the provider's own; then the engine that is stated. No secret is in it."""
    found = [model.source if model.path is None else f"file:{_absolute(model.path)}"]
    if provider := PROVIDERS.get(model.provider):
        stated = model.options.get("base_url")
        if stated is None and provider.address_env:
            stated = os.environ.get(provider.address_env)
        if stated:
            found.append(plain_address(str(stated).strip()))
    if model.engine is not None:
        found.append(model.engine)
    return " ".join(found)


@lru_cache(1024)
def plain_address(url: str) -> str:
    """An address as all ways to write it have it, without what may be secret in it.

    >>> plain_address("HTTPS://me:secret@Box.example:443/v1/?key=x")
    'https://box.example/v1'
    """
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        port, host = parts.port, parts.hostname or ""
    except ValueError:  # asking there says what is wrong
        return "?"
    host = f"[{host}]" if ":" in host else host
    if port is not None and port != _USUAL_PORTS.get(parts.scheme):
        host += f":{port}"
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


def _absolute(path: Path) -> Path:
    return path if path.is_absolute() else path.absolute()
