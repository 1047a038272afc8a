"""How llama.cpp cuts a text before it looks for byte-level tokens: names, expressions and flags.

From ``src/llama-vocab.cpp`` (``llm_tokenizer_bpe`` and ``impl::load``). ``cuts`` are the
expressions as tokenizer.json has them, applied one after the other, each to the pieces that the one
before left. llama.cpp's own spelling of some of them finds less: ``found`` is that spelling.
"""
# ruff: noqa: RUF001

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
HAN_KANA = "[一-龥\u3040-ゟ゠-ヿ]+"
_ASCII_PUNCTUATION = r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+"""
DEEPSEEK3 = (
    rf"{_ASCII_PUNCTUATION}|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+"
    r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_LATIN = (
    "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅ"
    "Ὀ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳ"
    "Ꙁ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃"
)
BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+"
PUNCTUATION = r"[\p{P}\$\+<=>\^~\|`]+"  # what Punctuation of the tokenizers library takes


@dataclass(frozen=True, slots=True)
class Pre:
    """One value of tokenizer.ggml.pre. ``ignores_merges``: a piece that is a token is taken whole.
    ``adds_bos`` is what holds where the file does not say; ``cleans`` whether spaces before
    punctuation go when tokens become text again."""

    name: str
    cuts: tuple[str, ...]
    ignores_merges: bool = False
    adds_bos: bool = False
    cleans: bool = True
    found: tuple[str, ...] | None = None


def _several(names: str, cuts: tuple[str, ...], **flags: Any) -> tuple[Pre, ...]:
    return tuple(replace(Pre(name, cuts), **flags) for name in names.split())


# The first of several that do the same is the one to take, unless another belongs to the model.
KNOWN: tuple[Pre, ...] = (
    *_several("gpt-2 olmo mpt phi-2 jais", (GPT2,)),
    *_several("trillion granite-docling", (GPT2,), cleans=False),
    *_several("llama-bpe falcon3 pixtral", (LLAMA3,), ignores_merges=True, adds_bos=True),
    *_several("dbrx smaug-bpe chatglm-bpe", (LLAMA3,)),
    *_several("glm4", (LLAMA3,), ignores_merges=True),
    *_several("qwen2", (QWEN2,), cleans=False),
    *_several("stablelm2 megrez", (QWEN2,)),
    *_several("hunyuan grok-2 solar-open", (QWEN2,), cleans=False),
    Pre("qwen35", (
        rf"{SUFFIXES}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
        r"| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ), cleans=False),
    *_several("starcoder refact codeshell exaone minerva-7b mellum2", (r"\p{N}", GPT2)),
    *_several("smollm command-r", (r"\p{N}", GPT2), cleans=False),
    Pre("falcon", (PUNCTUATION, GPT2, "[0-9][0-9][0-9]")),
    Pre("deepseek-llm", (
        r"[\r\n]", rf"\s?[{_LATIN}]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$",
        "[一-龥ࠀ-一가-퟿]+", r"\p{N}+",
    ), cleans=False),
    Pre("deepseek-coder", (
        r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", r"\p{N}",
    ), cleans=False),
    *_several("deepseek-v3 hunyuan-dense joyai-llm hy_v4",
              (r"\p{N}{1,3}", HAN_KANA, DEEPSEEK3), cleans=False),
    Pre("tekken", (TEKKEN,), True, True, False, (_TEKKEN_FOUND,)),
    *(Pre(name, (GPT4O,), cleans=False, found=(_GPT4O_FOUND,))
      for name in ("gpt-4o", "llama4", "kanana2", "minimax-m2")),
    Pre("granite-embed-multi-97m", (GPT4O,), True, False, False, (_MARKED_FOUND,)),
    Pre("tiny_aya", (r"\d{1,3}(?=(?:\d{3})*\b)", GPT4O), cleans=False),
    *_several("bailingmoe", (
        rf"'(?i:[sdmt]|ll|ve|re)|{_WORD}|\p{{N}}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    ), cleans=False),
    Pre("seed-coder", (
        rf"{SUFFIXES}|{_WORD}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+",
    ), cleans=False),
    Pre("ufakzeka", (rf"{_WORD}|\p{{N}}{_END}",), cleans=False),
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
    Pre("superbpe", (r"\p{N}+", r"(?=(\d{3})+(?!\d))"), cleans=False),
    *_several("bloom gpt3-finnish", (BLOOM,)),
    *_several("poro-chat", (BLOOM,), cleans=False),
    Pre("viking", (BLOOM, r"\p{N}"), cleans=False),
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
