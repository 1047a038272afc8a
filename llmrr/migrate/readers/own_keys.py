"""The key that a provider's own library takes from the environment when the code states none."""

import re
from collections.abc import Mapping
from typing import Final

from llmrr.migrate.artefact import Model
from llmrr.migrate.terms import naming, secrets
from llmrr.migrate.values import Value

# Signs in without a key; an address of OpenAI's JavaScript library before version 4, which reads no
# variable.
_OTHERWISE: Final = re.compile(r"(?i)ad_?token|credential|azure_?ad|basePath")


def name_key(model: Model, provider: str, stated: Mapping[str, Value]) -> None:
    """Name the variable of a model at another address than the ``provider``'s: its library sends
    the key there too, and llmrr only where it is named."""
    if "base_url" not in model.options or "api_key_env" in model.options or model.key is not None:
        return
    told = [name for name, value in stated.items() if value not in (None, False)]
    if any(secrets.is_secret_field(name) or _OTHERWISE.search(name) for name in told):
        return
    if model.source.partition(":")[0] == provider and (key := naming.key_variable(provider)):
        model.options["api_key_env"] = key
