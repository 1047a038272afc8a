"""What a project's file sends where, and runs: what the user agrees to with ``config trust``."""

import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from llmrr import tomlfile
from llmrr.config.checking import raise_first
from llmrr.errors import BadConfig, NotFound
from llmrr.kinds import KEYS_OF_THEIR_OWN, split_source
from llmrr.tomltext import host_of

ALERTS: Final = ("webhook", "command")


def agreements(path: Path) -> tuple[bytes, list[str]]:
    """What a file holds, and what of it needs to be agreed to. Raises ``NotFound``, and
    ``BadConfig`` for a file that is no valid ``llmrr.toml``."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise BadConfig(f"{path} is not a regular file", f"ls -ld {shlex.quote(str(path))}")
        content = path.read_bytes()
    except FileNotFoundError:
        raise NotFound(f'there is no file "{path}"', "llmrr config path --json") from None
    except OSError as exc:
        hint = f"ls -ld {shlex.quote(str(path))}"
        raise BadConfig(f"cannot read {path}: {exc.strerror}", hint) from exc
    file = tomlfile.read(path, content)
    raise_first(file.problems)
    said = []
    for model in file.models or ():
        if "base_url" in model.options and (secrets := secrets_of(model.source, model.options)):
            host = host_of(str(model.options["base_url"]))
            said.append(f"the model {model.name!r} sends {' and '.join(secrets)} to {host}")
    for key in ALERTS:
        value, _ = file.values.get(f"alerts.{key}", (None, None))
        if value is not None:
            said.append(of_alerts(key, value))
    sites, _ = file.values.get("serve.origins", ((), None))
    said += (f"pages of {one} may ask llmrr serve" for one in cast("tuple[str, ...]", sites))
    said += (f"who has the key {name!r} is let into llmrr serve" for name in file.keys)
    return content, said


def agree_line(file: Path | str) -> str:
    """The command line that agrees to a file.

    >>> agree_line("/srv/my project/llmrr.toml")
    "llmrr config trust '/srv/my project/llmrr.toml'"
    """
    return f"llmrr config trust {shlex.quote(str(file))}"


def secrets_of(source: str, options: Mapping[str, Any]) -> list[str]:
    """What secrets a model of this source and these options is sent: variables by their names."""
    own = KEYS_OF_THEIR_OWN.get(split_source(source)[0])
    found = [own, options.get("api_key_env"), *(options.get("headers_env") or {}).values()]
    return list(filter(None, found))


def of_alerts(key: str, value: object) -> str:
    """What the webhook or the command of alerts does."""
    if key == "webhook":
        return f"alerts are to be posted to {host_of(str(value))}"
    text = shlex.join(value) if isinstance(value, tuple) else str(value)
    return f"alerts are to run {text if len(text) <= 200 else text[:199] + '…'}"
