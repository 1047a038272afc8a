"""Keys that are planted into files, to see that none of them comes out anywhere."""

import random
import re
import string
from collections.abc import Iterable

# As providers spell them, and as they are met without any spelling.
KEYS = {
    "openai": "sk-proj-Zx81yQw27Kpl0aTq93mVb5nHs64Rd",
    "anthropic": "sk-ant-api03-Lq7Wv29dKx81TzPm44cY",
    "huggingface": "hf_QwErTyUiOpAsDfGhJkLzXcVbNm1234",
    "groq": "gsk_9f8e7d6c5b4a3Z2y1x0wVuTsRqPo",
    "google": "AIzaSyD4k9Xq7Lw2Zt8Vb3Nm6Kp1Rs5Gh0Jf4Qe",
    "xai": "xai-7Yt6Rw5Qe4Ui3Op2As1Df0GhJkLz",
    "github": "ghp_aB3dE5fG7hI9jK1lM2nO4pQ6rS8tU0v",
    "nvidia": "nvapi-Mn8Bv7Cx6Zl5Kj4Hg3Fd2Sa1Poi",
    "replicate": "r8_Xc7Vb6Nm5Kj4Hg3Fd2Sa1Qw0Er9Ty8",
    "azure": "9b1c0de4f7a84c3e8d2f6a5b4c3d2e1f",
    "plain": "Kd83jf92LmQp04ZxTr71WbVn65Hs20Yc",
    "short": "sk-Imn",
    "address": "hunter2-Correct-Horse",
}


def assert_absent(*texts: str, keys: Iterable[str] = KEYS.values()) -> None:
    """No text holds more of a planted key than its first three characters."""
    for text in texts:
        for key in keys:
            rest = key if len(key) < 8 else key[4:]
            assert rest not in text, f"{key[:3]}… came out"


_PREFIX = re.compile(r"(?:sk-(?:proj-|ant-api03-)?|hf_|gsk_|AIza|xai-|ghp_|nvapi-|r8_)?")


def alike(key: str, number: int) -> str:
    """Another key of the same spelling for each number."""
    start, drawn = _PREFIX.match(key), random.Random(f"{key}{number}")
    prefix = start[0] if start else ""
    kinds = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
    return prefix + "".join(
        drawn.choice(next((kind for kind in kinds if one in kind), one))
        for one in key.removeprefix(prefix)
    )


def leaks(text: str, keys: Iterable[str]) -> list[tuple[str, str]]:
    """The keys of which more than three characters stand in a text, each with its line."""
    found = []
    for key in keys:
        rest = key if len(key) < 8 else key[4:]
        if rest in text:
            found.append((key, next(one for one in text.splitlines() if rest in one)))
    return found
