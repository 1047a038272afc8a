"""What can be asked of a model of this machine."""

from collections.abc import Mapping

from llmrr.engines.thinking import thinks
from llmrr.types import Feature, ModelInfo


def abilities(
    can: frozenset[Feature], info: ModelInfo, options: Mapping[str, object]
) -> frozenset[Feature]:
    """What of that which its engine ``can`` its files and ``options`` allow: images with an image
    encoder, thinking with a chat template that knows of it."""
    template = options.get("chat_template") or info.chat_template or ""
    lacks = set() if options.get("mmproj") else {Feature.IMAGES}
    if not thinks(str(template)):
        lacks.add(Feature.THINKING)
    return can - lacks
