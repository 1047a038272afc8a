"""Which tokens begin and end texts and turns, and whether they are put there by themselves.

Follows what ``SpecialVocab`` of llama.cpp's ``gguf-py/gguf/vocab.py`` reads from the same files.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from llmrr.convert.gguf.vocabulary.folder import Folder
from llmrr.formats.json_file import table

Value = TypeVar("Value")
ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
KEYS = {
    "bos": "bos_token_id", "eos": "eos_token_id", "unk": "unknown_token_id",
    "sep": "seperator_token_id",  # spelled so in the format
    "pad": "padding_token_id", "cls": "cls_token_id", "mask": "mask_token_id",
    "eot": "eot_token_id", "eom": "eom_token_id",
}  # fmt: skip
# What the classes of transformers take where the files do not say; by the beginning of their names.
_GPT2 = dict.fromkeys(("bos", "eos", "unk"), "<|endoftext|>")
_ROBERTA = {"bos": "<s>", "eos": "</s>", "sep": "</s>", "cls": "<s>", "unk": "<unk>",
            "pad": "<pad>", "mask": "<mask>"}  # fmt: skip
_BERT = {"unk": "[UNK]", "sep": "[SEP]", "pad": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "GPT2": _GPT2, "CodeGen": _GPT2, "GPTNeoX": _GPT2, "Roberta": _ROBERTA, "Bart": _ROBERTA,
    "XLMRoberta": _ROBERTA, "Bert": _BERT, "DistilBert": _BERT,
    "MPNet": {**_ROBERTA, "unk": "[UNK]"},
    "Qwen2": {"eos": "<|endoftext|>", "pad": "<|endoftext|>"},
    "Llama": {"bos": "<s>", "eos": "</s>", "unk": "<unk>"},
    "Gemma": {"bos": "<bos>", "eos": "<eos>", "unk": "<unk>", "pad": "<pad>"},
}  # fmt: skip
_BOTH = {"bos": True, "eos": True}
# What they put around a text where no tokenizer.json says it.
ADDS: Mapping[str, Mapping[str, bool]] = {
    "Llama": {"bos": True, "eos": False}, "Gemma": {"bos": True, "eos": False},
    "T5": {"bos": False, "eos": True}, "Roberta": {**_BOTH, "sep": True}, "XLMRoberta": _BOTH,
    "Bert": {**_BOTH, "sep": False}, "DistilBert": {**_BOTH, "sep": False},
    "GPT2": {"bos": False, "eos": False}, "Qwen2": {"bos": False, "eos": False},
}
# The texts that end a turn in llama.cpp without being told: src/llama-vocab.cpp.
KNOWN_ENDS = frozenset({
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",
    "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]",
    "<|end_of_text|>", "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>",
    "<\uff5cend▁of▁sentence\uff5c>", "[e~[",
})  # fmt: skip

# Those that it takes for tokens around what is to be filled in.
KNOWN_FILLS = frozenset({
    f"<{bar}{name}{bar}>" for bar, names in {
        "|": "fim_prefix fim_suffix fim_middle fim_pad fim_repo repo_name file_sep prefix suffix"
             " middle code_prefix code_suffix code_middle",
        "": "fim-prefix fim_prefix PRE fim-suffix fim_suffix SUF fim-middle fim_middle MID fim-pad"
            " fim_pad PAD fim-repo REPO reponame",
        "\uff5c": "fim▁begin fim▁hole fim▁end",
    }.items() for name in names.split()
} | {"▁<PRE>", "▁<SUF>", "▁<MID>", "[PAD]"})  # fmt: skip


@dataclass(slots=True)
class Roles:
    """``texts`` of roles, as the tokenizer's files state them, and what is ``added`` to a text."""

    texts: dict[str, str] = field(default_factory=dict)
    adds: dict[str, bool] = field(default_factory=dict)


def stated(folder: Folder) -> dict[str, str]:
    """The text of each role: tokenizer_config.json, special_tokens_map.json, else what the class
    of the tokenizer takes."""
    found = dict(_by_class(folder))
    for settings in (folder.special, folder.stated):
        for role in ROLES:
            if text := content(settings.get(f"{role}_token")):
                found[role] = text
    return {role: found[role] for role in ROLES if role in found}


def content(token: Any) -> str | None:
    """A token is a text, or a table with its text."""
    found = token.get("content") if isinstance(token, dict) else token
    return found if isinstance(found, str) and found else None


def _by_class(folder: Folder) -> Mapping[str, str]:
    if found := _by_name(folder, DEFAULTS):
        return found
    if folder.tokenizer or isinstance(folder.stated.get("tokenizer_class"), str):
        return {}
    if folder.has("merges.txt"):
        return DEFAULTS["Qwen2" if folder.config.get("model_type") == "qwen2" else "GPT2"]
    return DEFAULTS["Bert"] if folder.has("vocab.txt") else {}


def _by_name(folder: Folder, known: Mapping[str, Mapping[str, Value]]) -> Mapping[str, Value]:
    """What is known of the folder's class; the longest beginning of its name decides."""
    name = folder.stated.get("tokenizer_class")
    fitting = [one for one in known if isinstance(name, str) and name.startswith(one)]
    return known[max(fitting, key=len)] if fitting else {}


def roles(folder: Folder) -> Roles:
    """The roles, and what the tokenizer puts before and after a text (its post-processor)."""
    found = Roles(stated(folder))
    texts = found.texts
    for alias, role in (("cls", "bos"), ("sep", "eos")):
        if alias in texts:
            texts.setdefault(role, texts[alias])
    if processor := table(folder.tokenizer, "post_processor"):
        several = processor.get("processors")
        for one in several if isinstance(several, list) else [processor]:
            if isinstance(one, dict):
                _process(found, one)
    else:
        found.adds.update(_by_name(folder, ADDS))
    for role in ("bos", "eos", "sep"):
        if isinstance(value := folder.stated.get(f"add_{role}_token"), bool):
            if processor:
                found.adds.setdefault(role, value)
            else:
                found.adds[role] = value
    return found


def _process(found: Roles, processor: Mapping[str, Any]) -> None:
    kind = processor.get("type")
    if kind == "ByteLevel":
        found.adds.setdefault("bos", False)
        found.adds.setdefault("eos", False)
    elif kind in ("RobertaProcessing", "BertProcessing"):
        found.adds.update(dict.fromkeys(("bos", "eos", "sep"), kind == "RobertaProcessing"))
        for role, alias in (("cls", "bos"), ("sep", "eos")):
            pair = processor.get(role)
            if isinstance(pair, list) and pair and isinstance(pair[0], str):
                found.texts.setdefault(role, pair[0])
                found.texts.setdefault(alias, pair[0])
    elif kind == "TemplateProcessing":
        _template(found, processor)


def _template(found: Roles, processor: Mapping[str, Any]) -> None:
    single, pair = _items(processor.get("single")), _items(processor.get("pair"))
    texts, adds = found.texts, found.adds
    if len(single) < 2:
        return
    first, last = single[0], single[-1]
    if first:
        if first not in (texts.get("bos"), texts.get("cls")):
            texts.setdefault("bos", first)
            texts.setdefault("cls", first)
        adds["bos"] = first in (texts["bos"], texts.get("cls"))
    if last:
        if (ended := texts.get("eos")) and last != ended:
            texts["eot" if "eot" not in texts else "eom"] = ended
        texts["eos"] = last
        adds["eos"] = True
    if pair:
        adds["sep"] = _separates(found, pair[bool(first):], last)


def _separates(found: Roles, pair: list[str | None], last: str | None) -> bool:
    """Is a separator alone put between two texts? (None in ``pair`` is a text.)"""
    if last and pair and pair[-1] == last:
        pair = pair[:-1]
    if len(pair) < 3 or pair[0] is not None or pair[-1] is not None:
        return False
    between, ends = pair[1:-1], (found.texts.get("sep"), found.texts.get("eos"))
    separates = (between[0] in ends and not last) or (len(between) == 2 and between[1] in ends)
    if separates:
        found.texts.setdefault("sep", found.texts["eos"])
    return separates


def _items(template: Any) -> list[str | None]:
    """A template's special tokens by their texts, None for a text that is put in."""
    if not isinstance(template, list):
        return []
    special = [table(one, "SpecialToken").get("id") for one in template if isinstance(one, dict)]
    return [text if isinstance(text, str) else None for text in special]


def numbers(folder: Folder, texts: Mapping[str, str], ids: Mapping[str, int]) -> dict[str, int]:
    """The id of each role: by its text, else as config.json states it; ``ids`` are those of the
    vocabulary. An id that no token has is left out."""
    known = frozenset(ids.values())
    found = {role: ids[text] for role, text in texts.items() if text in ids}
    for settings in (folder.config, table(folder.config, "text_config"), folder.generation):
        for role in ROLES:
            value = next(iter(_ids(settings.get(f"{role}_token_id"))), None)
            if value in known and value is not None:
                found.setdefault(role, value)
    return found


def ending(folder: Folder) -> list[int]:
    """The tokens that end a turn: generation_config.json, config.json."""
    settings = (folder.generation, folder.config)
    return list(dict.fromkeys(one for part in settings for one in _ids(part.get("eos_token_id"))))


def ends(folder: Folder, found: Mapping[str, int], texts: Mapping[int, str]) -> dict[str, int]:
    """Those of them that llama.cpp would not know by their texts, as eot and eom, which are all
    that GGUF has for them."""
    taken = frozenset(found.values())
    further = [one for one in ending(folder)
               if one in texts and one not in taken and texts[one] not in KNOWN_ENDS]  # fmt: skip
    free = [role for role in ("eot", "eom") if role not in found]
    return dict(zip(free, further, strict=False))


def _ids(value: Any) -> Iterator[int]:
    for one in value if isinstance(value, list) else [value]:
        if type(one) is int and one >= 0:
            yield one
