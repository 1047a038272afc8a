"""From the tokenizer files of a Hugging Face folder to the ``tokenizer.*`` keys of GGUF.

``folder`` reads the files, ``proto`` a SentencePiece model among them; ``bytelevel``, ``spm``,
``unigram`` and ``wordpiece`` make the tokens of their kind, ``table`` lays them out;
``pretokenizer`` finds the name of what cuts texts beforehand among ``patterns``; ``roles`` says
which tokens begin and end; ``library`` is the seam to the tokenizers library.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llmrr.convert.gguf.vocabulary import bytelevel, proto, roles, spm, unigram, wordpiece
from llmrr.convert.gguf.vocabulary.folder import Folder
from llmrr.convert.gguf.vocabulary.patterns import BY_NAME
from llmrr.convert.gguf.vocabulary.table import Lists, Token, lay_out
from llmrr.errors import Unsupported
from llmrr.formats.json_file import table
from llmrr.formats.tokenizer import read_tokenizer

__all__ = ["read"]
PREFIX = "tokenizer.ggml."
ENCODERS = ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert")
SCORED = ("llama", "t5")
Found = tuple[dict[int, Token], dict[str, Any]]


def read(settings: Path, size: int | None, architecture: str) -> dict[str, Any]:
    """Every ``tokenizer.*`` key for the folder ``settings`` and a model of ``architecture`` (GGUF's
    name) whose embeddings have ``size`` rows.

    Values are plain: int for u32, bool, str, list of str or int or float (arrays of strings, i32
    and f32), and bytes for the array of u8 that precompiled_charsmap is. Raises ``Unsupported`` for
    a tokenizer that llama.cpp cannot be given, ``DamagedFile``, ``NotFound``.
    """
    folder = Folder(settings)
    tokens, keys = _tokens(folder, architecture)
    lists = lay_out(tokens, size, settings)
    ids = {text: number for number, text in enumerate(lists.texts)}
    found = {"model": keys.pop("model"), "pre": keys.pop("pre")}
    found |= {"tokens": lists.texts, "token_type": lists.types}
    if found["model"] in SCORED:
        found["scores"] = lists.scores
    found |= keys | _roles(folder, found, lists, ids)
    if architecture in ENCODERS or found["model"] == "bert":
        kinds = folder.config.get("type_vocab_size")
        found["token_type_count"] = kinds if type(kinds) is int and kinds > 0 else 1
    return {PREFIX + key: value for key, value in found.items()} | _templates(folder)


def _tokens(folder: Folder, architecture: str) -> Found:
    """The tokens in the way of their kind. Raises ``Unsupported`` for all others."""
    kind = folder.model.get("type")
    if kind is None and folder.tokenizer and isinstance(folder.model.get("merges"), list):
        kind = "BPE"  # files of before 2020 do not say
    if kind == "Unigram":
        return unigram.from_json(folder)
    if kind == "WordPiece" or (kind is None and folder.has("vocab.txt")):
        return wordpiece.read(folder)
    if (source := folder.sentencepiece) and (kind is None or _is_sentencepiece(folder)):
        model = proto.read_model(source)
        if kind == "BPE" and not _is_alike(folder, model):
            return spm.from_json(folder)
        if model.kind == proto.BPE:
            return spm.from_model(folder, model)
        if model.kind == proto.UNIGRAM:
            return unigram.from_model(folder, model)
        raise _unsupported(folder, "a SentencePiece model of words or characters")
    if kind == "BPE":
        if _is_sentencepiece(folder):
            return spm.from_json(folder)
        return bytelevel.read(folder, architecture)
    if kind is None and folder.has("vocab.json") and folder.has("merges.txt"):
        return bytelevel.read(folder, architecture)
    raise _unsupported(folder, _named(folder, kind))


def _is_sentencepiece(folder: Folder) -> bool:
    """Is the BPE of tokenizer.json one over characters with ▁ for spaces?"""
    if folder.model.get("byte_fallback") is True:
        return True
    return "▁" in table(folder.model, "vocab") and "Ġ" not in table(folder.model, "vocab")


def _is_alike(folder: Folder, model: proto.Model) -> bool:
    """Has tokenizer.json the same pieces? A file of the model that this one was made from may have
    been left beside it."""
    ids = table(folder.model, "vocab")
    return all(
        ids.get(piece.text) == number
        for number, piece in enumerate(model.pieces)
        if piece.type == proto.NORMAL and number not in folder.added
    )


def _named(folder: Folder, kind: Any) -> str:
    if kind is not None:
        return f"the kind {str(kind)[:99]} (tokenizer.json)"
    if folder.has("tekken.json"):
        return "Mistral's own tekken.json alone"
    if name := folder.tiktoken:
        return f"tiktoken's {name} alone, which does not say how texts are cut"
    return "no tokenizer that is known (tokenizer.json, tokenizer.model, vocab.json, vocab.txt)"


def _unsupported(folder: Folder, what: str) -> Unsupported:
    return Unsupported(
        f"{folder.path} has {what}, from which no GGUF vocabulary can be made",
        "get the tokenizer.json that belongs to the model, from its repository on the hub",
    )


def _roles(
    folder: Folder, found: Mapping[str, Any], lists: Lists, ids: Mapping[str, int]
) -> dict[str, Any]:
    """The ids of tokens with a role, and what is put before and after a text."""
    known = roles.roles(folder)
    numbers = roles.numbers(folder, known.texts, ids)
    numbers |= roles.ends(folder, numbers, dict(enumerate(lists.texts)))
    keys: dict[str, Any] = {roles.KEYS[role]: number for role, number in numbers.items()}
    for role, adds in known.adds.items():
        keys[f"add_{role}_token"] = adds
    _say_defaults(keys, folder, found)
    return keys


def _say_defaults(keys: dict[str, Any], folder: Folder, found: Mapping[str, Any]) -> None:
    """What llama.cpp would do by itself is denied where the tokenizer does otherwise, or has no
    token for it: it ends the process where it is to add a token that is not there."""
    model, pre = found["model"], BY_NAME.get(found["pre"])
    adds = {
        "bos": model in ("llama", "bert") or bool(pre and pre.adds_bos and model == "gpt2"),
        "eos": model == "t5",
    }
    for role in ("bos", "eos"):
        key, token = f"add_{role}_token", f"{role}_token_id"
        if adds[role] and key not in keys and folder.tokenizer and model != "bert":
            keys[key] = False
        if keys.get(key, adds[role]) and token not in keys:
            keys[key] = False


def _templates(folder: Folder) -> dict[str, Any]:
    """The chat templates: the usual one, others by name."""
    stated = read_tokenizer(folder.files, ())
    named = {_name(name): text for name, text in stated["templates"].items()}
    found = {f"tokenizer.chat_template.{name}": text for name, text in sorted(named.items())}
    if named:
        found["tokenizer.chat_templates"] = sorted(named)
    if stated["chat_template"] is not None:
        found["tokenizer.chat_template"] = stated["chat_template"]
    return found


def _name(name: str) -> str:
    return "".join(one if one.isascii() and one.isalnum() else "_" for one in name) or "_"
