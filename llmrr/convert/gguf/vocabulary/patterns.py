"""How llama.cpp cuts a text before it looks for byte-level tokens: names, expressions and flags.

From ``src/llama-vocab.cpp`` (``llm_tokenizer_bpe`` and ``impl::load``). ``cuts`` are the
expressions as tokenizer.json has them, applied one after the other, each to the pieces that the one
before left. llama.cpp's own spelling of some of them finds less: ``found`` is that spelling.
"""

from dataclasses import dataclass, replace
from typing import Any

SUFFIXES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_END = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_WORD = r"[^\r\n\p{L}\p{N}]?\p{L}+"
LLAMA3 = rf"{SUFFIXES}|{_WORD}|\p{{N}}{{1,3}}{_END}"
QWEN2 = rf"{SUFFIXES}|{_WORD}|\p{{N}}{_END}"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_BEFORE, _TAIL = r"[^\r\n\p{L}\p{N}]?", r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
TEKKEN = rf"{_BEFORE}{_UPPER}*{_LOWER}+|{_BEFORE}{_UPPER}+{_LOWER}*|\p{{N}}{_TAIL}"
GPT4O = (
    rf"{_BEFORE}{_UPPER}*{_LOWER}+{SUFFIXES}?|{_BEFORE}{_UPPER}+{_LOWER}*{SUFFIXES}?"
    rf"|\p{{N}}{{1,3}}{_TAIL}"
)
# llama.cpp knows letters, and of their case only that of ASCII; marks are no letters there.
_HIGH, _LOW = r"((?=[\p{L}])([^a-z]))", r"((?=[\p{L}])([^A-Z]))"
_TEKKEN_FOUND = rf"{_BEFORE}{_HIGH}*{_LOW}+|{_BEFORE}{_HIGH}+{_LOW}*|\p{{N}}{_TAIL}"
_GPT4O_FOUND = (
    rf"{_BEFORE}{_HIGH}*{_LOW}+{SUFFIXES}?|{_BEFORE}{_HIGH}+{_LOW}*{SUFFIXES}?"
    rf"|\p{{N}}{{1,3}}{_TAIL}"
)
_MARKED_FOUND = _GPT4O_FOUND.replace(r"(?=[\p{L}])", r"(?=[\p{L}\p{M}])")
HAN_KANA = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
_ASCII_PUNCTUATION = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
DEEPSEEK3 = (
    rf"{_ASCII_PUNCTUATION}|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LATIN = (
    "A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293"
    "\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c"
    "\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5"
    "\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77"
    "\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59"
    "\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc"
    "\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107"
    "\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"
    "\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee"
    "\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e"
    "\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f"
    "\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2"
    "\U000118a0-\U000118df\U0001e900-\U0001e943"
)
_PUNCTUATED = "[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
_SYLLABLES = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
BLOOM = " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"
PUNCTUATION = r"[\p{P}\$\+<=>\^~\|`]+"  # what Punctuation of the tokenizers library takes


@dataclass(frozen=True, slots=True)
class Pre:
    """One value of tokenizer.ggml.pre. ``ignores_merges``: a piece that is a token is taken whole.
    ``adds_bos`` is what holds where the file does not say."""

    name: str
    cuts: tuple[str, ...]
    ignores_merges: bool = False
    adds_bos: bool = False
    found: tuple[str, ...] | None = None


def _several(names: str, cuts: tuple[str, ...], **flags: Any) -> tuple[Pre, ...]:
    return tuple(replace(Pre(name, cuts), **flags) for name in names.split())


# The first of several that do the same is the one to take, unless another belongs to the model.
KNOWN: tuple[Pre, ...] = (
    *_several("gpt-2 olmo mpt phi-2 jais trillion granite-docling", (GPT2,)),
    *_several("llama-bpe falcon3 pixtral", (LLAMA3,), ignores_merges=True, adds_bos=True),
    *_several("dbrx smaug-bpe chatglm-bpe", (LLAMA3,)),
    *_several("glm4", (LLAMA3,), ignores_merges=True),
    *_several("qwen2 stablelm2 megrez hunyuan grok-2 solar-open", (QWEN2,)),
    Pre("qwen35", (
        rf"{SUFFIXES}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
        r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    )),
    *_several("starcoder refact codeshell exaone minerva-7b mellum2 smollm command-r",
              (r"\p{N}", GPT2)),
    Pre("falcon", (PUNCTUATION, GPT2, "[0-9][0-9][0-9]")),
    Pre("deepseek-llm", (
        r"[\r\n]", rf"\s?[{_LATIN}]+", rf"\s?{_PUNCTUATED}", r"\s+$", _SYLLABLES, r"\p{N}+",
    )),
    Pre("deepseek-coder", (
        r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _SYLLABLES, r"\p{N}",
    )),
    *_several("deepseek-v3 hunyuan-dense joyai-llm hy_v4",
              (r"\p{N}{1,3}", HAN_KANA, DEEPSEEK3)),
    Pre("tekken", (TEKKEN,), True, True, (_TEKKEN_FOUND,)),
    *(Pre(name, (GPT4O,), found=(_GPT4O_FOUND,))
      for name in ("gpt-4o", "llama4", "kanana2", "minimax-m2")),
    Pre("granite-embed-multi-97m", (GPT4O,), True, False, (_MARKED_FOUND,)),
    Pre("tiny_aya", (r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O)),
    *_several("bailingmoe", (
        rf"'(?i:[sdmt]|ll|ve|re)|{_WORD}|\p{{N}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    )),
    Pre("seed-coder", (
        rf"{SUFFIXES}|{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
    )),
    Pre("ufakzeka", (rf"{_WORD}|\p{{N}}{_END}",)),
    Pre("minicpm5", (r"\p{N}{1,3}", rf"{SUFFIXES}|{_WORD}|\p{{N}}+{_END}"), ignores_merges=True),
    Pre("exaone-moe", (
        rf"{SUFFIXES}|[^\r\n\p{{L}}\p{{N}}]?(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+",
    )),
    Pre("jais-2", (
        rf"{SUFFIXES}|{_WORD}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+"
        + "".join(rf"|\s{{{count}}}(?!\S)" for count in (512, 256, 128, 64, 32, 16, 8, 4))
        + r"|\s{1,2}(?!\S)|\s{1}",
    )),
    Pre("superbpe", (r"\p{N}+", r"(?=(\d{3})+(?!\d))")),
    *_several("bloom gpt3-finnish poro-chat", (BLOOM,)),
    Pre("viking", (BLOOM, r"\p{N}")),
)  # fmt: skip
BY_NAME = {pre.name: pre for pre in KNOWN}
# The name that a model of an architecture gets where several do the same.
FAVOURITES = {
    "gptneox": ("olmo",), "stablelm": ("olmo", "stablelm2"), "olmo": ("olmo",), "mpt": ("mpt",),
    "olmo2": ("dbrx",), "phi2": ("phi-2",), "phi3": ("dbrx", "gpt-4o"), "jais": ("jais",),
    "refact": ("refact",), "granite": ("refact",), "granitemoe": ("refact",),
    "codeshell": ("codeshell",), "exaone": ("exaone",), "llama": ("llama-bpe", "smollm"),
    "command-r": ("command-r",), "cohere2": ("command-r",), "llama4": ("llama4",),
    "chatglm": ("chatglm-bpe", "glm4"), "glm4": ("glm4",), "glm4moe": ("glm4",),
    "deepseek2": ("deepseek-v3",), "hunyuan-dense": ("hunyuan-dense",),
    "hunyuan-moe": ("hunyuan",), "grok": ("grok-2",), "bloom": ("bloom",),
}  # fmt: skip
