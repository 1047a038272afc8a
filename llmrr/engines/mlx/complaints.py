"""What MLX, mlx-lm or the system say, as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager

from llmrr.errors import DamagedFile, DoesNotFit, EngineFailed, LlmrrError, Unsupported, by_system

# How mlx and mlx-lm begin what they say of weights that do not fit the model.
WEIGHTS = ("Missing ", "Received ", "Expected shape", "[load_safetensors]", "[load]")
UPGRADE = "pip install -U mlx-lm"


def translated(error: BaseException) -> LlmrrError:
    """The error of ours for what was said while a model was loaded."""
    if isinstance(error, LlmrrError):
        return error
    words = said(error)
    if is_out_of_memory(error):
        return DoesNotFit(f"MLX has not enough memory: {words}", "free -h")
    if isinstance(error, OSError) and error.errno is not None and (found := by_system(error)):
        return found
    if words.startswith(WEIGHTS):
        return DamagedFile(
            f"the weights are not those of the model that config.json describes: {words}",
            "copy or download the model again",
        )
    if isinstance(error, TypeError | KeyError | ValueError | AttributeError | NotImplementedError):
        return Unsupported(f"mlx-lm does not take this model: {words}", UPGRADE)
    return EngineFailed(f"MLX failed: {words}", UPGRADE)


@contextmanager
def loading() -> Iterator[None]:
    """Raise what was said while a model was loaded as an error of ours."""
    try:
        yield
    except Exception as error:
        known = translated(error)
        if known is error:
            raise
        raise known from error


@contextmanager
def running() -> Iterator[None]:
    """Raise what was said while a model computed as an error of ours."""
    try:
        yield
    except LlmrrError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise DoesNotFit(
                "the context does not fit into memory", "use a smaller --ctx-size"
            ) from error
        raise EngineFailed(f"MLX failed while it computed: {said(error)}", UPGRADE) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Was there no room?"""
    words = said(error)
    return isinstance(error, MemoryError) or "Unable to allocate" in words or "[malloc" in words


def said(error: BaseException) -> str:
    """The first line of it."""
    first = str(error).strip().splitlines() or [""]
    return (first[0] or type(error).__name__)[:300]
