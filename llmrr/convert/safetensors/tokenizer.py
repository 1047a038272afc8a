"""The tokenizer of a GGUF file as the files that a Hugging Face folder has: tokenizer.json,
tokenizer_config.json and chat templates.

https://github.com/ggml-org/ggml/blob/master/docs/gguf.md and
https://huggingface.co/docs/tokenizers/api/tokenizer
"""

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmrr.convert.gguf.vocabulary import pretokenizer
from llmrr.convert.gguf.vocabulary.patterns import BY_NAME
from llmrr.convert.gguf.vocabulary.table import Type
from llmrr.errors import Unsupported
from llmrr.formats.gguf_header import Header
from llmrr.formats.messages import damaged

SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # what SentencePiece has for a space
ROLES = {
    "bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id",
    "sep": "seperator_token_id", "pad": "padding_token_id", "cls": "cls_token_id",
    "mask": "mask_token_id",
}  # fmt: skip
TEMPLATE = "tokenizer.chat_template"


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What the keys ``tokenizer.ggml.*`` say; ``roles`` has the text of a token for each role."""

    header: Header
    kind: str
    tokens: tuple[str, ...]
    types: tuple[int, ...]
    scores: tuple[float, ...]
    merges: tuple[str, ...]
    roles: Mapping[str, str]

    def flag(self, key: str, default: bool) -> bool:
        """A key that is true or false."""
        found = self.header.metadata.get(f"tokenizer.ggml.{key}")
        return found if isinstance(found, bool) else default

    def is_filler(self, number: int) -> bool:
        """Does a token only stand for a row of the embeddings?"""
        return self.types[number] == Type.UNUSED and self.tokens[number] == f"[PAD{number}]"

    def ids(self) -> Iterator[tuple[str, int]]:
        """Every token that is one, with its id."""
        return (
            (text, number) for number, text in enumerate(self.tokens) if not self.is_filler(number)
        )


def read(header: Header) -> Vocabulary:
    """The vocabulary of a file. Raises ``Unsupported`` for a kind that is not rebuilt, and
    ``DamagedFile`` for lists that do not belong together."""
    kind = header.text("tokenizer.ggml.model") or "none"
    if kind not in MODELS:
        raise Unsupported(
            f"{header.where} has a tokenizer of the kind {kind[:40]!r}, which is not rebuilt",
            "get the model's own repository from the hub",
        )
    tokens = tuple(
        raw.decode("utf-8", "replace") for raw in header.strings("tokenizer.ggml.tokens") or ()
    )
    types = header.values("tokenizer.ggml.token_type") or (int(Type.NORMAL),) * len(tokens)
    scores = header.values("tokenizer.ggml.scores") or (0.0,) * len(tokens)
    if not tokens or not len(tokens) == len(types) == len(scores):
        raise damaged(header.where, "its tokens, their types and scores are not equally many")
    merges = header.strings("tokenizer.ggml.merges") or ()
    roles = {}
    for role, key in ROLES.items():
        number = header.integer(f"tokenizer.ggml.{key}")
        if number is not None and 0 <= number < len(tokens):
            roles[role] = tokens[number]
    return Vocabulary(
        header, kind, tokens, tuple(map(int, types)), tuple(map(float, scores)),
        tuple(raw.decode("utf-8", "replace") for raw in merges), roles,
    )  # fmt: skip


def require(vocabulary: Vocabulary) -> None:
    """Raise ``Unsupported`` for a pre-tokenizer that is not known."""
    pre = vocabulary.header.text("tokenizer.ggml.pre") or "default"
    if vocabulary.kind == "gpt2" and pre not in BY_NAME:
        raise Unsupported(
            f"{vocabulary.header.where} cuts texts in the way {pre[:40]!r}, which is not rebuilt",
            "get the model's own repository from the hub",
        )


def write(vocabulary: Vocabulary, target: Path) -> None:
    """Write the files into the folder ``target``."""
    found = {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": list(_added(vocabulary)),
        **MODELS[vocabulary.kind](vocabulary),
    }  # fmt: skip
    _dump(target / "tokenizer.json", found)
    stated: dict[str, Any] = {f"{role}_token": text for role, text in vocabulary.roles.items()}
    stated |= {
        f"add_{role}_token": vocabulary.header.metadata[f"tokenizer.ggml.add_{role}_token"]
        for role in ("bos", "eos")
        if f"tokenizer.ggml.add_{role}_token" in vocabulary.header.metadata
    }
    _dump(
        target / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **stated}
    )
    _write_templates(vocabulary.header, target)


def _write_templates(header: Header, target: Path) -> None:
    for key, text in header.metadata.items():
        if not isinstance(text, str):
            continue
        if key == TEMPLATE:
            (target / "chat_template.jinja").write_text(text, encoding="utf-8")
        elif key.startswith(f"{TEMPLATE}."):
            name = key.removeprefix(f"{TEMPLATE}.")
            if name.replace("_", "").replace("-", "").isalnum():  # it becomes the name of a file
                folder = target / "additional_chat_templates"
                folder.mkdir(exist_ok=True)
                (folder / f"{name}.jinja").write_text(text, encoding="utf-8")


def _added(vocabulary: Vocabulary) -> Iterator[dict[str, Any]]:
    for text, number in vocabulary.ids():
        kind = vocabulary.types[number]
        if kind in (Type.CONTROL, Type.USER_DEFINED, Type.UNKNOWN):
            yield {
                "id": number, "content": text, "single_word": False, "lstrip": False,
                "rstrip": False, "normalized": False, "special": kind != Type.USER_DEFINED,
            }  # fmt: skip


def _byte_level(vocabulary: Vocabulary) -> dict[str, Any]:
    """Byte-level BPE, cut beforehand as llama.cpp does under the name in tokenizer.ggml.pre."""
    pre = BY_NAME[vocabulary.header.text("tokenizer.ggml.pre") or ""]
    cutting = pretokenizer.view(pre)
    if vocabulary.flag("add_space_prefix", False):
        cutting["pretokenizers"].insert(0, {
            "type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
            "use_regex": False,
        })  # fmt: skip
        cutting["pretokenizers"].pop()
    return {
        "normalizer": None,
        "pre_tokenizer": cutting,
        "post_processor": _around(vocabulary, bos=pre.adds_bos, eos=False)
        or {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False,
            "use_regex": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": _bpe(vocabulary, [merge.split(" ", 1) for merge in vocabulary.merges],
                      ignore_merges=pre.ignores_merges),
    }  # fmt: skip


def _sentencepiece(vocabulary: Vocabulary) -> dict[str, Any]:
    """SentencePiece BPE: the merges follow from the scores."""
    prefix = vocabulary.flag("add_space_prefix", True)
    spaces: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    ]
    start = [{"type": "Strip", "content": " ", "start": 1, "stop": 0}] if prefix else []
    if prefix:
        spaces.insert(0, {"type": "Prepend", "prepend": SPACE})
    return {
        "normalizer": {"type": "Sequence", "normalizers": spaces},
        "pre_tokenizer": None,
        "post_processor": _around(vocabulary, bos=True, eos=False),
        "decoder": {"type": "Sequence", "decoders": [
            {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
            {"type": "ByteFallback"}, {"type": "Fuse"}, *start,
        ]},
        "model": _bpe(vocabulary, list(_merges(vocabulary)), byte_fallback=True, fuse_unk=True,
                      unk_token=vocabulary.roles.get("unk")),
    }  # fmt: skip


def _merges(vocabulary: Vocabulary) -> list[list[str]]:
    """Every way in which two tokens make a third, the best score first; of one score those with
    the longer parts, as the converter of transformers orders them."""
    ids = dict(vocabulary.ids())
    found: list[tuple[float, int, int, str, str]] = []
    for text, number in ids.items():
        if vocabulary.types[number] not in (Type.NORMAL, Type.USER_DEFINED):
            continue
        local = [
            (text[:at], text[at:])
            for at in range(1, len(text)) if text[:at] in ids and text[at:] in ids
        ]  # fmt: skip
        local.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        score = vocabulary.scores[number]
        found += [(score, len(one), len(other), one, other) for one, other in local]
    found.sort(key=lambda merge: merge[:3], reverse=True)
    return [[one, other] for *_, one, other in found]


def _bpe(vocabulary: Vocabulary, merges: Sequence[Sequence[str]], **others: Any) -> dict[str, Any]:
    return {
        "type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
        "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
        "ignore_merges": False, "vocab": dict(vocabulary.ids()), "merges": merges, **others,
    }  # fmt: skip


def _unigram(vocabulary: Vocabulary) -> dict[str, Any]:
    charsmap = vocabulary.header.values("tokenizer.ggml.precompiled_charsmap")
    normalizers: list[dict[str, Any]] = []
    if charsmap:
        encoded = base64.b64encode(bytes(map(int, charsmap))).decode()
        normalizers.append({"type": "Precompiled", "precompiled_charsmap": encoded})
    if vocabulary.flag("remove_extra_whitespaces", False):
        normalizers.append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "})
        normalizers.append({"type": "Strip", "strip_left": False, "strip_right": True})
    scheme = "always" if vocabulary.flag("add_space_prefix", True) else "never"
    space = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": scheme, "split": True}
    pairs = zip(vocabulary.tokens, vocabulary.scores, strict=True)
    unknown = vocabulary.roles.get("unk")
    return {
        "normalizer": {"type": "Sequence", "normalizers": normalizers} if normalizers else None,
        "pre_tokenizer": space,
        "post_processor": _around(vocabulary, bos=False, eos=True),
        "decoder": space,
        "model": {
            "type": "Unigram", "byte_fallback": False,
            "unk_id": vocabulary.tokens.index(unknown) if unknown else None,
            "vocab": [[text, score] for text, score in pairs],
        },
    }  # fmt: skip


def _word_piece(vocabulary: Vocabulary) -> dict[str, Any]:
    """WordPiece: llama.cpp marks what begins a word, and tokenizer.json what goes on with one."""
    marked = {_piece(text, vocabulary.types[number]): number for text, number in vocabulary.ids()}
    unknown = vocabulary.roles.get("unk", "[UNK]")
    return {
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _around(vocabulary, bos=True, eos=True),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": marked,
        },
    }  # fmt: skip


def _piece(text: str, kind: int) -> str:
    if kind != Type.NORMAL:
        return text
    return text[1:] if text.startswith(SPACE) else f"##{text}"


def _around(vocabulary: Vocabulary, *, bos: bool, eos: bool) -> dict[str, Any] | None:
    """What is put before and after a text; the arguments say what holds where nothing is stated."""
    first = vocabulary.roles.get("bos" if "bos" in vocabulary.roles else "cls")
    last = vocabulary.roles.get("sep" if vocabulary.kind == "bert" else "eos")
    before = [first] if first and vocabulary.flag("add_bos_token", bos) else []
    after = [last] if last and vocabulary.flag("add_eos_token", eos) else []
    if not before and not after:
        return None
    ids = dict(vocabulary.ids())

    def special(text: str, number: int) -> dict[str, Any]:
        return {"SpecialToken": {"id": text, "type_id": number}}

    def sequence(name: str, number: int) -> list[dict[str, Any]]:
        inside = [{"Sequence": {"id": name, "type_id": number}}]
        return [*inside, *(special(text, number) for text in after)]

    start = [special(text, 0) for text in before]
    return {
        "type": "TemplateProcessing",
        "single": [*start, *sequence("A", 0)],
        "pair": [*start, *sequence("A", 0), *sequence("B", 1)],
        "special_tokens": {
            text: {"id": text, "ids": [ids[text]], "tokens": [text]}
            for text in dict.fromkeys((*before, *after))
        },
    }  # fmt: skip


MODELS: dict[str, Callable[[Vocabulary], dict[str, Any]]] = {
    "gpt2": _byte_level,
    "llama": _sentencepiece,
    "t5": _unigram,
    "bert": _word_piece,
}


def _dump(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
