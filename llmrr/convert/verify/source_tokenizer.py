"""The tokenizer of a Hugging Face folder as the tokenizers library runs it.

Everything is brought into the form of tokenizer.json: what has no such file is built from its
vocabulary as transformers' ``convert_slow_tokenizer`` does.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from llmrr.convert.gguf.vocabulary import bytelevel, pretokenizer, proto, roles
from llmrr.convert.gguf.vocabulary.folder import Added, Folder
from llmrr.formats.messages import damaged

SPACE = "▁"
REPLACED = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
METASPACE = {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "always", "split": True}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
              "use_regex": False}  # fmt: skip


def described(folder: Folder, architecture: str) -> dict[str, Any]:
    """The tokenizer in the form of tokenizer.json, with every token that the folder adds to it."""
    if folder.tokenizer:
        made = dict(folder.tokenizer)
    elif folder.sentencepiece:
        made = _from_model(proto.read_model(folder.sentencepiece))
    elif folder.has("vocab.json"):
        made = _from_merges(folder, architecture)
    else:
        made = _from_words(folder)
    return {**made, "truncation": None, "padding": None, "added_tokens": _added(folder, made)}


def _added(folder: Folder, made: Mapping[str, Any]) -> list[dict[str, Any]]:
    known = ids(made["model"])
    found = {number: entry(number, one) for number, one in folder.added.items()}
    contents = {one["content"] for one in found.values()}
    further = [(text, True) for text in roles.stated(folder).values()]
    if folder.sentencepiece and not folder.tokenizer:
        further += _of_model(proto.read_model(folder.sentencepiece))
    for text, special in further:
        if text in known and text not in contents:
            found[known[text]] = entry(known[text], Added(text, special))
    return [found[number] for number in sorted(found)]


def entry(number: int, one: Added) -> dict[str, Any]:
    """An item of ``added_tokens``."""
    return {
        "id": number, "content": one.text, "special": one.special, "lstrip": one.lstrip,
        "rstrip": one.rstrip, "normalized": one.normalized, "single_word": one.single_word,
    }  # fmt: skip


def _of_model(model: proto.Model) -> list[tuple[str, bool]]:
    """The pieces that are found in a text before it is cut, and whether they are special."""
    return [
        (one.text, one.type != proto.USER_DEFINED)
        for one in model.pieces
        if one.type in (proto.CONTROL, proto.UNKNOWN)
        or (one.type == proto.USER_DEFINED and one.text.strip(SPACE))
    ]


def ids(model: Mapping[str, Any]) -> dict[str, int]:
    """The tokens of the vocabulary by their texts."""
    vocab = model["vocab"]
    if isinstance(vocab, list):
        return {one[0]: number for number, one in enumerate(vocab)}
    return dict(vocab)


def _from_merges(folder: Folder, architecture: str) -> dict[str, Any]:
    cuts = pretokenizer.recognise(folder, architecture).pre.cuts
    splits = [{"type": "Split", "pattern": {"Regex": cut}, "behavior": "Isolated", "invert": False}
              for cut in cuts]  # fmt: skip
    model = {"type": "BPE", "vocab": bytelevel.vocabulary(folder),
             "merges": bytelevel.merges(folder)}  # fmt: skip
    return {
        "version": "1.0", "normalizer": None, "model": model, "post_processor": None,
        "decoder": BYTE_LEVEL,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*splits, BYTE_LEVEL]},
    }  # fmt: skip


def _from_words(folder: Folder) -> dict[str, Any]:
    lower = folder.stated.get("do_lower_case", True) is not False
    chinese = folder.stated.get("tokenize_chinese_chars", True) is not False
    vocab = {text: number for number, text in enumerate(folder.lines("vocab.txt"))}
    said = roles.stated(folder)
    model = {"type": "WordPiece", "unk_token": said.get("unk", "[UNK]"), "vocab": vocab,
             "continuing_subword_prefix": "##", "max_input_chars_per_word": 100}  # fmt: skip
    cls, sep = said.get("cls", "[CLS]"), said.get("sep", "[SEP]")
    if cls not in vocab or sep not in vocab:
        raise damaged(folder.path, f"its vocabulary has no {cls} or no {sep}")
    return {
        "version": "1.0", "model": model, "decoder": {"type": "WordPiece", "prefix": "##",
                                                      "cleanup": True},
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "lowercase": lower,
                       "handle_chinese_chars": chinese,
                       "strip_accents": folder.stated.get("strip_accents")},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "cls": [cls, vocab[cls]],
                           "sep": [sep, vocab[sep]]},
    }  # fmt: skip


def trimmed(left: bool, right: bool) -> list[dict[str, Any]]:
    """Steps of a normalizer that drop spaces, and nothing else that is white."""
    ends = [end for end, wanted in ((r"\A +", left), (r" +\z", right)) if wanted]
    return [{"type": "Replace", "pattern": {"Regex": end}, "content": ""} for end in ends]


def single_spaces() -> list[dict[str, Any]]:
    """Steps that drop spaces at both ends, and all but one elsewhere."""
    several = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
    return [*trimmed(True, True), several]


def _from_model(model: proto.Model) -> dict[str, Any]:
    steps: list[dict[str, Any]] = []
    if model.charsmap:
        charsmap = b64encode(model.charsmap).decode()
        steps.append({"type": "Precompiled", "precompiled_charsmap": charsmap})
    if model.remove_extra_whitespaces:
        steps += single_spaces()
    if model.kind == proto.UNIGRAM:
        return _from_probabilities(model, steps)
    prepend = [{"type": "Prepend", "prepend": SPACE}] if model.dummy_prefix else []
    vocab = {one.text: number for number, one in enumerate(model.pieces)}
    unknown = next((one.text for one in model.pieces if one.type == proto.UNKNOWN), None)
    return {
        "version": "1.0", "pre_tokenizer": None, "post_processor": None, "decoder": None,
        "normalizer": {"type": "Sequence", "normalizers": [*steps, *prepend, REPLACED]},
        "model": {"type": "BPE", "vocab": vocab, "merges": _merges(model, vocab), "fuse_unk": True,
                  "byte_fallback": model.byte_fallback, "unk_token": unknown},
    }  # fmt: skip


def _from_probabilities(model: proto.Model, steps: list[dict[str, Any]]) -> dict[str, Any]:
    unknown = next((n for n, one in enumerate(model.pieces) if one.type == proto.UNKNOWN), None)
    scheme = "always" if model.dummy_prefix else "never"
    return {
        "version": "1.0", "post_processor": None, "decoder": None,
        "normalizer": {"type": "Sequence", "normalizers": steps} if steps else None,
        "pre_tokenizer": {**METASPACE, "prepend_scheme": scheme},
        "model": {"type": "Unigram", "unk_id": unknown, "byte_fallback": model.byte_fallback,
                  "vocab": [[one.text, one.score] for one in model.pieces]},
    }  # fmt: skip


def _merges(model: proto.Model, vocab: Mapping[str, int]) -> list[list[str]]:
    """Every pair whose union is a piece, the best union first."""
    found: list[tuple[float, int, int, str, str]] = []
    for number, one in enumerate(model.pieces):
        if one.type not in (proto.NORMAL, proto.USER_DEFINED):
            continue
        for cut in range(1, len(one.text)):
            left, right = one.text[:cut], one.text[cut:]
            if left in vocab and right in vocab:
                found.append((-one.score, number, vocab[left], left, right))
    found.sort()
    return [[left, right] for *_, left, right in found]

