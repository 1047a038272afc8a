"""Images for a model of this machine: what it cannot see is told before it is loaded."""

from collections.abc import Mapping

from llmrr.catalogue import Resolved, place
from llmrr.engines import for_format
from llmrr.errors import FeatureMissing
from llmrr.types import Feature, Request


def require(
    model: Resolved, request: Request, options: Mapping[str, object], wanted: str | None
) -> None:
    """Raise ``FeatureMissing`` for a request with images where the model takes none, or not these.
    ``options`` and ``wanted``, an engine, are those of the call. A provider says it itself."""
    images = [image for one in request.messages for image in one.images]
    if model.endpoint is not None or not images:
        return
    files, wanted = place(model), wanted or model.engine
    engine = for_format(files.format, model.name, wanted, model.label or str(files.path)).engine
    if Feature.IMAGES not in engine.can:
        raise FeatureMissing(
            f"{model.name} takes no images: the {engine.name} engine has none of them",
            "leave out the images, or ask a provider: -m openai:gpt-4o-mini",
        )
    if not {**model.options, **options}.get("mmproj"):
        raise FeatureMissing(
            f"{model.name} takes no images: it has no image encoder here",
            "-o mmproj FILE names the one that belongs to it; or ask a provider",
        )
    for image in images:
        if image.data is None and not (image.url or "").startswith("data:"):
            raise FeatureMissing(
                f"a model on this machine fetches no image: {image.url}",
                "save it, and name the file, or send it as a data: URL",
            )
