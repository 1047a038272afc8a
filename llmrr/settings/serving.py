"""What ``llmrr serve`` listens on: ``[serve]``."""

from llmrr.kinds import TEXT, whole
from llmrr.settings.base import Spec

SERVING: tuple[Spec, ...] = (
    Spec("serve.host", TEXT, "127.0.0.1", "The address that llmrr serve listens on.",
         '"::1"', True),
    Spec("serve.port", whole(0, 65535), 8313,
         "The port that llmrr serve listens on; 0 takes a free one.", "8080", True),
)  # fmt: skip
