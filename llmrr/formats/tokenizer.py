"""What the tokenizer files of a Hugging Face folder say: its kind, special tokens, chat templates.

Files: https://huggingface.co/docs/transformers/main_classes/tokenizer, templates:
https://huggingface.co/docs/transformers/chat_templating.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from llmrr.formats.json_file import read_beside, table, text
from llmrr.formats.source import Files

# A file that is enough to make tokens with.
VOCABULARIES = (
    "tokenizer.json", "tekken.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model",
    "source.spm", "vocab.json", "vocab.txt", "merges.txt", "tokenizer.tiktoken", "qwen.tiktoken",
    "tokenizer.model.v3", "tiktoken.model",
)  # fmt: skip
ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
MAX_TEMPLATE = 1 << 20
TEMPLATES = "additional_chat_templates/"
# tokenizer.json may have thirty megabytes; its kind stands before the vocabulary.
KIND = re.compile(rb'"model"\s*:\s*\{\s*"type"\s*:\s*"(\w+)"')
KINDS = {b"BPE": "bpe", b"Unigram": "unigram", b"WordPiece": "wordpiece", b"WordLevel": "wordlevel"}
KIND_WITHIN = (1 << 16, 1 << 21)
RANKS = re.compile(rb"[A-Za-z0-9+/]+=* \d+\r?\n")  # tiktoken: a token in base64, its number


def read_tokenizer(files: Files, settings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The fields of ``ModelInfo`` that the tokenizer's files state. ``settings`` are the tables
    with token ids: generation_config.json, config.json."""
    stated = read_beside(files, "tokenizer_config.json")
    templates = _templates(files, stated)
    return {
        "tokenizer": kind(files),
        "special_tokens": _special_tokens(stated, settings),
        "add_bos": _flag(stated, "add_bos_token"),
        "add_eos": _flag(stated, "add_eos_token"),
        "chat_template": templates.pop("default", None),
        "templates": templates,
    }


def kind(files: Files) -> str | None:
    """How texts are cut: bpe, unigram, wordpiece, wordlevel, sentencepiece, tiktoken, tekken."""
    if found := _kind_in_json(files):
        return found
    if "tekken.json" in files.sizes:
        return "tekken"
    for name in VOCABULARIES:
        if name.endswith((".model", ".spm", ".tiktoken", ".v3")) and name in files.sizes:
            start = files.source(name).read(0, 256)
            if start[:1] == b"\n":  # the first piece of a SentencePiece ModelProto
                return "sentencepiece"
            if RANKS.match(start):
                return "tiktoken"
    if {"vocab.json", "merges.txt"} <= files.sizes.keys():
        return "bpe"
    return "wordpiece" if "vocab.txt" in files.sizes else None


def _kind_in_json(files: Files) -> str | None:
    if "tokenizer.json" not in files.sizes:
        return None
    source = files.source("tokenizer.json")
    for length in KIND_WITHIN:
        if found := KIND.search(source.read(0, length)):
            return KINDS.get(found[1])
    return None


def _flag(stated: Mapping[str, Any], key: str) -> bool | None:
    value = stated.get(key)
    return value if isinstance(value, bool) else None


def _special_tokens(
    stated: Mapping[str, Any], settings: Iterable[Mapping[str, Any]]
) -> dict[str, int]:
    """Role: token id. The tokenizer's word comes before the model's: a chat model's turn ends with
    a token that its base does not know."""
    ids = {
        content: int(number)
        for number in table(stated, "added_tokens_decoder")
        if (content := text(table(table(stated, "added_tokens_decoder"), number), "content"))
        and number.isascii() and number.isdecimal() and len(number) < 10
    }  # fmt: skip
    found: dict[str, int] = {}
    for role in ROLES:
        if (number := ids.get(_content(stated.get(f"{role}_token")) or "")) is not None:
            found[role] = number
    for one in settings:
        for role in ROLES:
            value = one.get(f"{role}_token_id")
            value = value[0] if isinstance(value, list) and value else value
            if type(value) is int and 0 <= value < 2**31:
                found.setdefault(role, value)
    return found


def _content(token: Any) -> str | None:
    """A token is a text, or a table with its text."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) else None


def _templates(files: Files, stated: Mapping[str, Any]) -> dict[str, str]:
    """Name: template. Files of their own come before tokenizer_config.json."""
    found = _named(stated.get("chat_template"))
    found |= _named(read_beside(files, "chat_template.json").get("chat_template"))
    for path in files.sizes:
        if path == "chat_template.jinja":
            found |= _named(_template(files, path))
        elif path.startswith(TEMPLATES) and path.endswith(".jinja"):
            name = path.removeprefix(TEMPLATES).removesuffix(".jinja")
            found |= _named({name: _template(files, path)})
    return found


def _named(stated: Any) -> dict[str, str]:
    """One template, a list of {name, template}, or a table of them."""
    if isinstance(stated, str):
        return {"default": stated}
    if isinstance(stated, list):
        pairs = [(one.get("name"), one.get("template")) for one in stated if isinstance(one, dict)]
    else:
        pairs = list(stated.items()) if isinstance(stated, dict) else []
    return {name: one for name, one in pairs if isinstance(name, str) and isinstance(one, str)}


def _template(files: Files, name: str) -> str | None:
    source = files.source(name)
    if source.size > MAX_TEMPLATE:
        return None
    return source.read(0, MAX_TEMPLATE).decode("utf-8", "replace")
