"""Azure OpenAI: OpenAI's protocol, where the model is a deployment and stands in the address.

https://learn.microsoft.com/azure/ai-services/openai/reference
"""

from typing import Final
from urllib.parse import quote

from llmrr.engines.remote.openai import OpenAI
from llmrr.engines.remote.providers import address

VERSION: Final = "2024-10-21"  # the last one that is generally available in this form


class Azure(OpenAI):
    """Chat completions, completions and embeddings of a deployment. An address that ends with
    ``/openai/v1`` is of the newer form, which is OpenAI's own."""

    def headers(self, key: str | None) -> dict[str, str]:
        """The key in a header of its own."""
        return {} if key is None else {"api-key": key}

    def _path(self, name: str) -> str:
        url = (address(self._endpoint) or "").rstrip("/")
        version = self._endpoint.api_version
        if url.endswith("/openai/v1"):
            return f"/{name}" + (f"?api-version={quote(version)}" if version else "")
        deployment = quote(self._endpoint.model, safe="")
        prefix = "" if url.endswith("/openai") else "/openai"
        query = f"api-version={quote(version or VERSION)}"
        return f"{prefix}/deployments/{deployment}/{name}?{query}"
