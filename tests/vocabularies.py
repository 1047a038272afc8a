"""Hugging Face folders with the tokenizers of llama.cpp's own vocabulary files, as the model
publishers lay them out; and tiny ones, trained here."""

import json
import os
import re
import struct
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from llmrr.convert.gguf.vocabulary.patterns import BY_NAME
from llmrr.convert.verify.texts import TEXTS
from llmrr.formats import gguf

SOURCE = os.environ.get("LLMRR_LLAMA_CPP_SOURCE")
MODELS = Path(SOURCE or "/nonexistent") / "models"
BYTES = re.compile(r"<0x[0-9A-F]{2}>")
PAD = re.compile(r"\[PAD\d+\]")
NORMAL, UNKNOWN, CONTROL, USER, UNUSED, BYTE = 1, 2, 3, 4, 5, 6


class Vocabulary:
    """The tokenizer of one of llama.cpp's vocabulary files."""

    def __init__(self, name: str) -> None:
        self.name, self.path = name, MODELS / f"ggml-vocab-{name}.gguf"
        header = gguf.read_header(self.path)
        self.metadata = header.metadata
        self.architecture = header.text("general.architecture") or ""
        self.tokens = [one.decode() for one in header.strings("tokenizer.ggml.tokens") or ()]
        self.types = list(header.values("tokenizer.ggml.token_type") or ())
        self.scores = list(header.values("tokenizer.ggml.scores") or ())
        self.merges = [one.decode() for one in header.strings("tokenizer.ggml.merges") or ()]

    def role(self, name: str) -> str | None:
        """The text of the token ``bos``, ``eos``, ``unknown``, …"""
        number = self.metadata.get(f"tokenizer.ggml.{name}_token_id")
        return self.tokens[number] if isinstance(number, int) else None

    def is_filler(self, number: int) -> bool:
        """Older converters called what fills the table user-defined."""
        return bool(PAD.fullmatch(self.tokens[number])) and self.types[number] != NORMAL

    @property
    def added(self) -> list[dict[str, Any]]:
        """What tokenizer.json has in ``added_tokens``."""
        return [
            {"id": number, "content": self.tokens[number], "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": kind == USER,
             "special": kind in (CONTROL, UNKNOWN)}
            for number, kind in enumerate(self.types)
            if kind in (CONTROL, USER, UNKNOWN) and not self.is_filler(number)
        ]  # fmt: skip

    @property
    def inputs(self) -> list[tuple[str, list[int]]]:
        """The texts and tokens that stand beside it."""
        texts = Path(f"{self.path}.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
        rows = Path(f"{self.path}.out").read_text(encoding="utf-8").splitlines()
        ids = [[int(one) for one in row.split()] for row in rows]
        return list(zip(texts, ids, strict=False))


def split(pattern: str, *, inverted: bool = False) -> dict[str, Any]:
    """A step of a pre-tokenizer."""
    behavior = "Removed" if inverted else "Isolated"
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior,
            "invert": inverted}  # fmt: skip


def byte_level(*, use_regex: bool = True) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
            "use_regex": use_regex}  # fmt: skip


DIGITS = {"type": "Digits", "individual_digits": True}
NFC = {"type": "NFC"}
# How the publishers' tokenizer.json cut, by the name of llama.cpp; others: our own expressions.
PUBLISHED: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [byte_level()],
    "olmo": [byte_level()],
    "mpt": [byte_level()],
    "starcoder": [DIGITS, byte_level()],
    "refact": [DIGITS, byte_level()],
    "smollm": [DIGITS, byte_level()],
    "command-r": [DIGITS, byte_level()],
    "falcon": [
        {"type": "Punctuation", "behavior": "Contiguous"},
        byte_level(),
        split("[0-9][0-9][0-9]"),
    ],
}
NORMALIZED = ("qwen2", "qwen35", "olmo", "mpt", "command-r")


def pre_tokenizer(pre: str) -> dict[str, Any]:
    """What tokenizer.json has for it."""
    ours = [*map(split, BY_NAME[pre].cuts), byte_level(use_regex=False)]
    steps = PUBLISHED.get(pre, ours)
    return steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps}


def byte_level_json(vocabulary: Vocabulary, pre: str) -> dict[str, Any]:
    """tokenizer.json of a byte-level BPE."""
    added = vocabulary.added
    last = max(number for number, kind in enumerate(vocabulary.types) if kind == NORMAL)
    beyond = {one["id"] for one in added if one["id"] > last}
    vocab = {
        text: number for number, text in enumerate(vocabulary.tokens)
        if number not in beyond and not vocabulary.is_filler(number)
    }  # fmt: skip
    bos = vocabulary.role("bos")
    template = {
        "type": "TemplateProcessing",
        "single": [
            {"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
        ],
        "pair": [],
        "special_tokens": {
            bos: {"id": bos, "ids": [vocabulary.tokens.index(bos or "")], "tokens": [bos]},
        },
    }  # fmt: skip
    adds = vocabulary.metadata.get("tokenizer.ggml.add_bos_token", BY_NAME[pre].adds_bos)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": added,
        "normalizer": NFC if pre in NORMALIZED else None,
        "pre_tokenizer": pre_tokenizer(pre),
        "post_processor": template if adds else byte_level(),
        "decoder": byte_level(),
        "model": {"type": "BPE", "dropout": None, "unk_token": None,
                  "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": BY_NAME[pre].ignores_merges, "vocab": vocab,
                  "merges": vocabulary.merges},
    }  # fmt: skip


def settings(vocabulary: Vocabulary, kind: str) -> dict[str, Any]:
    """tokenizer_config.json."""
    roles = {"bos": "bos", "eos": "eos", "unk": "unknown", "sep": "seperator", "pad": "padding",
             "cls": "cls", "mask": "mask"}  # fmt: skip
    found: dict[str, Any] = {"tokenizer_class": kind}
    for role, name in roles.items():
        if text := vocabulary.role(name):
            found[f"{role}_token"] = text
    return found


def write(folder: Path, name: str, value: Any) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")


def _varint(number: int) -> bytes:
    found = b""
    while number > 127:
        found += bytes((number & 127 | 128,))
        number >>= 7
    return found + bytes((number,))


def _field(number: int, value: int | float | bytes) -> bytes:
    if isinstance(value, bytes):
        return _varint(number << 3 | 2) + _varint(len(value)) + value
    if isinstance(value, float):
        return _varint(number << 3 | 5) + struct.pack("<f", value)
    return _varint(number << 3) + _varint(value)


def sentencepiece(
    pieces: Sequence[tuple[str, float, int]], *, kind: int = 2, charsmap: bytes = b"",
    prefix: bool = True, spaces: bool = False, fallback: bool = True,
) -> bytes:  # fmt: skip
    """A SentencePiece model (kind 1: unigram, 2: BPE) of text, score and type of each piece."""
    raw = b"".join(
        _field(1, _field(1, text.encode()) + _field(2, float(score)) + _field(3, type_))
        for text, score, type_ in pieces
    )
    raw += _field(2, _field(3, kind) + _field(35, int(fallback)))
    normalizer = _field(2, charsmap) if charsmap else b""
    return raw + _field(3, normalizer + _field(3, int(prefix)) + _field(4, int(spaces)))


def merges_of(pieces: Sequence[tuple[str, float, int]]) -> list[list[str]]:
    """The merges that transformers makes of a SentencePiece BPE: every pair whose union is a piece,
    the best union first."""
    ids = {text: number for number, (text, _, _) in enumerate(pieces)}
    found = [
        (-score, number, ids[text[:cut]], [text[:cut], text[cut:]])
        for number, (text, score, type_) in enumerate(pieces) if type_ == NORMAL
        for cut in range(1, len(text)) if text[:cut] in ids and text[cut:] in ids
    ]  # fmt: skip
    return [pair for *_, pair in sorted(found)]


def spm_json(
    pieces: Sequence[tuple[str, float, int]], added: list[dict[str, Any]], *, prefix: bool = True
) -> dict[str, Any]:
    """tokenizer.json as transformers converts it from a SentencePiece BPE."""
    steps: list[dict[str, Any]] = [{"type": "Prepend", "prepend": "▁"}] if prefix else []
    steps.append({"type": "Replace", "pattern": {"String": " "}, "content": "▁"})
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": steps}, "pre_tokenizer": None,
        "post_processor": None, "decoder": {"type": "Sequence", "decoders": []},
        "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "fuse_unk": True,
                  "byte_fallback": True, "merges": merges_of(pieces),
                  "vocab": {text: number for number, (text, _, _) in enumerate(pieces)}},
    }  # fmt: skip


def gguf_of(path: Path, keys: dict[str, Any], architecture: str = "llama") -> Path:
    """A file with this vocabulary and nothing else, as the converter writes its types."""
    from gguf import GGUFValueType, GGUFWriter

    writer = GGUFWriter(path, architecture)
    for key, value in keys.items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, bytes):
            writer.add_key_value(key, value, GGUFValueType.ARRAY, GGUFValueType.UINT8)
        else:
            writer.add_array(key, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


def trained(pre: str, *, ignores: bool | None = None) -> dict[str, Any]:
    """tokenizer.json of a small byte-level BPE, trained on the built-in texts, that cuts as ``pre``
    does."""
    return {**_small(), "pre_tokenizer": pre_tokenizer(pre), "model": {
        **_small()["model"],
        "ignore_merges": BY_NAME[pre].ignores_merges if ignores is None else ignores,
    }}  # fmt: skip


@cache
def _small() -> dict[str, Any]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    # no cut between words: every pre-tokenizer then finds merges that it must not use
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<|endoftext|>", "<|im_end|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), max_token_length=12,
    )  # fmt: skip
    tokenizer.train_from_iterator(TEXTS, trainer)
    made: dict[str, Any] = json.loads(tokenizer.to_str())
    return {**made, "post_processor": byte_level(), "decoder": byte_level()}


def probabilities(*, fallback: bool = False) -> dict[str, Any]:
    """tokenizer.json of a small unigram vocabulary, as T5's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=600, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>",
        show_progress=False,
    )  # fmt: skip
    tokenizer.train_from_iterator([text for text in TEXTS if len(text) < 90], trainer)
    made: dict[str, Any] = json.loads(tokenizer.to_str())
    made["normalizer"] = {"type": "Sequence", "normalizers": [
        {"type": "Strip", "strip_left": False, "strip_right": True},
        {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"},
    ]}
    end = [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", "type_id": 0}}]
    made["post_processor"] = {
        "type": "TemplateProcessing", "single": end, "pair": [],
        "special_tokens": {"</s>": {"id": "</s>", "ids": [1], "tokens": ["</s>"]}},
    }  # fmt: skip
    made["model"]["byte_fallback"] = fallback
    # as in a file that was made from a SentencePiece model, whose scores have 32 bits
    short = [(text, struct.pack("f", score)) for text, score in made["model"]["vocab"]]
    made["model"]["vocab"] = [[text, struct.unpack("f", score)[0]] for text, score in short]
    return made


def words() -> list[str]:
    """The lines of a small vocab.txt."""
    from tokenizers import BertWordPieceTokenizer

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(TEXTS, vocab_size=700, show_progress=False)
    ids = tokenizer.get_vocab()
    return sorted(ids, key=ids.__getitem__)


def spm_pieces() -> list[tuple[str, float, int]]:
    """The pieces of a small SentencePiece BPE: bytes, what training joined, single characters."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=True)
    tokenizer.train_from_iterator(
        TEXTS, trainers.BpeTrainer(vocab_size=900, show_progress=False, max_token_length=12)
    )
    model = json.loads(tokenizer.to_str())["model"]
    joined = list(dict.fromkeys("".join(pair) for pair in model["merges"]))
    singles = [text for text in model["vocab"] if len(text) == 1]
    pieces = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    pieces += [(f"<0x{byte:02X}>", 0.0, BYTE) for byte in range(256)]
    return pieces + [(text, -float(n), NORMAL) for n, text in enumerate((*joined, *singles))]


BYTE_LEVEL = {
    "gpt-2": "gpt-2", "gpt-neox": "olmo", "mpt": "mpt", "starcoder": "starcoder",
    "refact": "refact", "command-r": "command-r", "falcon": "falcon", "qwen2": "qwen2",
    "qwen35": "qwen35", "llama-bpe": "llama-bpe", "deepseek-llm": "deepseek-llm",
    "deepseek-coder": "deepseek-coder",
}  # fmt: skip
SPM = ("llama-spm", "phi-3", "baichuan")


def rebuild(name: str, folder: Path, *, as_json: bool = False) -> Vocabulary:
    """Write llama.cpp's vocabulary ``name`` as a publisher would. SentencePiece models as such, or
    as the tokenizer.json that transformers makes of them."""
    vocabulary = Vocabulary(name)
    write(folder, "config.json", {"vocab_size": len(vocabulary.tokens), "type_vocab_size": 2})
    if name in BYTE_LEVEL:
        write(folder, "tokenizer.json", byte_level_json(vocabulary, BYTE_LEVEL[name]))
        write(folder, "tokenizer_config.json", settings(vocabulary, "PreTrainedTokenizerFast"))
    elif name in SPM:
        _rebuild_spm(vocabulary, folder, as_json)
    elif name == "nomic-bert-moe":
        write(folder, "tokenizer.json", unigram_json(vocabulary, 250_002))
        write(folder, "tokenizer_config.json", settings(vocabulary, "XLMRobertaTokenizer"))
    else:
        lines = [
            text if kind == CONTROL else text[1:] if text[0] == "▁" else "##" + text
            for text, kind in zip(vocabulary.tokens, vocabulary.types, strict=True)
        ]
        (folder / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        if as_json:
            write(folder, "tokenizer.json", wordpiece_json(lines))
        write(folder, "tokenizer_config.json", settings(vocabulary, "BertTokenizer"))
    return vocabulary


def _rebuild_spm(vocabulary: Vocabulary, folder: Path, as_json: bool) -> None:
    """Phi-3's model is Llama-2's, whose scores its file of llama.cpp lacks for what was changed."""
    is_phi = vocabulary.name == "phi-3"
    scores = Vocabulary("llama-spm").scores if is_phi else vocabulary.scores
    types = Vocabulary("llama-spm").types if is_phi else vocabulary.types
    pieces = list(zip(vocabulary.tokens, scores, types, strict=False))
    config = settings(vocabulary, "LlamaTokenizer")
    if is_phi:
        config["added_tokens_decoder"] = {
            str(one["id"]): {key: value for key, value in one.items() if key != "id"}
            for one in vocabulary.added
        }
    write(folder, "tokenizer_config.json", config)
    if as_json:
        write(folder, "tokenizer.json", spm_json(pieces, vocabulary.added))
    else:
        (folder / "tokenizer.model").write_bytes(sentencepiece(pieces))


def around(begin: str, end: str, ids: dict[str, int]) -> dict[str, Any]:
    """A post-processor that puts tokens before and after a text."""
    special = [{"SpecialToken": {"id": text, "type_id": 0}} for text in (begin, end)]
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    middle = [special[1]] if begin.startswith("[") else [special[1], special[1]]
    return {
        "type": "TemplateProcessing", "single": [special[0], first, special[1]],
        "pair": [special[0], first, *middle, second, special[1]],
        "special_tokens": {
            text: {"id": text, "ids": [ids[text]], "tokens": [text]} for text in (begin, end)
        },
    }  # fmt: skip


def unigram_json(vocabulary: Vocabulary, count: int) -> dict[str, Any]:
    """tokenizer.json of XLM-RoBERTa's kind."""
    numbers = gguf.read_header(vocabulary.path).values(
        "tokenizer.ggml.precompiled_charsmap"
    )  # i8 in that file
    charsmap = b64encode(bytes(int(one) & 255 for one in numbers or ())).decode()
    pieces = list(zip(vocabulary.tokens, vocabulary.scores, strict=True))[:count]
    ids = {text: number for number, (text, _) in enumerate(pieces)}
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{**one, "lstrip": one["content"] == "<mask>"} for one in vocabulary.added],
        "normalizer": {"type": "Precompiled", "precompiled_charsmap": charsmap},
        "pre_tokenizer": {"type": "Sequence",
                          "pretokenizers": [{"type": "WhitespaceSplit"}, space]},
        "post_processor": around("<s>", "</s>", ids), "decoder": space,
        "model": {"type": "Unigram", "unk_id": 3, "byte_fallback": False, "vocab": pieces},
    }  # fmt: skip


def wordpiece_json(lines: list[str]) -> dict[str, Any]:
    """tokenizer.json of BERT's kind."""
    ids = {text: number for number, text in enumerate(lines)}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": ids[text], "content": text, "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True}
            for text in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": around("[CLS]", "[SEP]", ids),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": ids},
    }  # fmt: skip
