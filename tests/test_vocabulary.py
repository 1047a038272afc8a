"""Tokenizers of Hugging Face folders as the vocabulary of GGUF: tiny ones that are trained here,
and llama.cpp's own, rebuilt as folders and converted back."""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import vocabularies as v

from llmrr.convert.base import Check
from llmrr.convert.gguf import vocabulary
from llmrr.convert.gguf.vocabulary.patterns import BY_NAME, KNOWN, LLAMA3, QWEN2
from llmrr.convert.gguf.vocabulary.table import MAX_TOKENS
from llmrr.convert.verify.tokens import TEXTS, check
from llmrr.engines.llamacpp.vocabulary import open_vocabulary
from llmrr.errors import DamagedFile, Unsupported

K = "tokenizer.ggml."
source = pytest.mark.skipif(not v.SOURCE, reason="LLMRR_LLAMA_CPP_SOURCE names no llama.cpp")


def checked(folder: Path, architecture: str = "llama", size: int | None = None) -> Check:
    """Convert the vocabulary of a folder, and check what came out."""
    keys = vocabulary.read(folder, size, architecture)
    made = v.gguf_of(folder.parent / f"{folder.name}.gguf", keys, architecture)
    return check(folder, made, lambda *_: None)


def folder_of(place: Path, tokenizer: dict[str, Any] | None, **others: Any) -> Path:
    """A folder with a tokenizer.json and other files, their dots as underscores."""
    place.mkdir(parents=True, exist_ok=True)
    for name, value in {"tokenizer_json": tokenizer, **others}.items():
        if value is not None:
            v.write(place, name.replace("_json", ".json"), value)
    return place


# -- byte-level BPE ------------------------------------------------------------------------------


@pytest.mark.parametrize("pre", sorted({pre.cuts: pre.name for pre in KNOWN}.values()))
def test_every_known_pattern_is_recognised_and_cuts_the_same(tmp_path: Path, pre: str) -> None:
    folder = folder_of(tmp_path / "model", v.trained(pre))
    found = vocabulary.read(folder, None, "llama")[K + "pre"]
    assert (BY_NAME[found].cuts, BY_NAME[found].ignores_merges) == (
        BY_NAME[pre].cuts, BY_NAME[pre].ignores_merges
    )  # fmt: skip
    result = checked(folder)
    assert result.passed, result.detail


@pytest.mark.parametrize(
    ("architecture", "pre", "named"),
    [
        ("gpt2", "gpt-2", "gpt-2"), ("gptneox", "gpt-2", "olmo"), ("phi2", "gpt-2", "phi-2"),
        ("llama", "smollm", "smollm"), ("starcoder2", "starcoder", "starcoder"),
        ("granite", "starcoder", "refact"), ("command-r", "command-r", "command-r"),
        ("qwen2", "qwen2", "qwen2"), ("qwen3moe", "qwen2", "qwen2"),
        ("stablelm", "stablelm2", "stablelm2"), ("llama", "llama-bpe", "llama-bpe"),
        ("smollm3", "llama-bpe", "llama-bpe"), ("phi3", "dbrx", "dbrx"),
        ("phi3", "gpt-4o", "gpt-4o"),
        ("olmo2", "dbrx", "dbrx"), ("chatglm", "chatglm-bpe", "chatglm-bpe"),
        ("glm4", "glm4", "glm4"), ("llama", "tekken", "tekken"),
    ],
)  # fmt: skip
def test_the_name_is_the_one_of_the_architecture(
    tmp_path: Path, architecture: str, pre: str, named: str
) -> None:
    folder = folder_of(tmp_path, v.trained(pre))
    assert vocabulary.read(folder, None, architecture)[K + "pre"] == named


@pytest.mark.parametrize(
    ("steps", "pre"),
    [
        ([v.split(LLAMA3, inverted=True)], "dbrx"),
        ([v.split(LLAMA3.replace(r"\p{L}+", r"\p{L}++"))], "dbrx"),
        ([v.split(LLAMA3.replace(r"\r\n", "\r\n"))], "dbrx"),
        # a later spelling of the same: not in the table, but it cuts alike
        ([v.split(
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}"
            r"| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
        )], "dbrx"),
        ([v.split(r"\p{N}"), v.byte_level()], "starcoder"),
        ([v.split(f"({QWEN2})")], "qwen2"),
    ],
)  # fmt: skip
def test_other_spellings_of_a_pattern(
    tmp_path: Path, steps: list[dict[str, Any]], pre: str
) -> None:
    tokenizer = v.trained("dbrx")
    if steps[-1]["type"] != "ByteLevel":
        steps = [*steps, v.byte_level(use_regex=False)]
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    folder = folder_of(tmp_path / "model", tokenizer)
    keys = vocabulary.read(folder, None, "none")
    assert BY_NAME[keys[K + "pre"]].cuts == BY_NAME[pre].cuts
    assert checked(folder).passed


def test_an_unknown_pattern_is_refused_by_name(tmp_path: Path) -> None:
    tokenizer = v.trained("dbrx")
    steps = [v.split(r"[aeiou]+|[^aeiou]+"), v.byte_level(use_regex=False)]
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    with pytest.raises(Unsupported, match=re.escape("[aeiou]+|[^aeiou]+")) as caught:
        vocabulary.read(folder_of(tmp_path, tokenizer), None, "llama")
    assert caught.value.hint


def test_a_pattern_that_takes_for_ever_is_refused(tmp_path: Path) -> None:
    tokenizer = v.trained("dbrx")
    steps = [v.split(r"((a+)+)+$b"), v.byte_level(use_regex=False)]
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    with pytest.raises(Unsupported, match=re.escape("((a+)+)+$b")):
        vocabulary.read(folder_of(tmp_path, tokenizer), None, "llama")


def test_a_pattern_that_is_only_proven_is_named_in_the_check(tmp_path: Path) -> None:
    tokenizer = v.trained("dbrx")
    pattern = LLAMA3.replace(r"\s+(?!\S)|\s+", r"\s+(?!\S)|\s")
    steps = [v.split(pattern), v.byte_level(use_regex=False)]
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": steps}
    result = checked(folder_of(tmp_path / "model", tokenizer))
    assert result.passed
    assert "cuts all of them as dbrx does" in result.detail


def test_a_wrong_name_fails_the_check(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "model", v.trained("qwen2"))
    other = {K + "pre": "llama-bpe", K + "add_bos_token": False}
    keys = vocabulary.read(folder, None, "qwen2") | other
    result = check(folder, v.gguf_of(tmp_path / "x.gguf", keys), lambda *_: None)
    assert not result.passed
    assert "from token" in result.detail


def test_merges_as_pairs_and_as_texts_are_the_same(tmp_path: Path) -> None:
    tokenizer = v.trained("gpt-2")
    stated = tokenizer["model"]["merges"]
    pairs = [one.split(" ") if isinstance(one, str) else one for one in stated]
    texts = [" ".join(pair) for pair in pairs]
    found = [
        vocabulary.read(
            folder_of(tmp_path / str(number), {
                **tokenizer, "model": {**tokenizer["model"], "merges": merges},
            }), None, "gpt2",
        ) for number, merges in enumerate((pairs, texts))
    ]  # fmt: skip
    assert found[0] == found[1]
    assert found[0][K + "merges"] == texts


def test_the_layout_of_dialogpt(tmp_path: Path) -> None:
    """vocab.json and merges.txt, no class, no template; the end of the text ends a turn."""
    tokenizer = v.trained("gpt-2")
    folder = folder_of(
        tmp_path / "DialoGPT", None, vocab_json=tokenizer["model"]["vocab"],
        config_json={"model_type": "gpt2", "bos_token_id": 0, "eos_token_id": 0},
        generation_config_json={"eos_token_id": 0},
        tokenizer_config_json={"model_max_length": 1024},
    )  # fmt: skip
    merges = [" ".join(one) for one in tokenizer["model"]["merges"]]
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    keys = vocabulary.read(folder, 1000, "gpt2")
    assert (keys[K + "pre"], keys[K + "bos_token_id"], keys[K + "eos_token_id"]) == ("gpt-2", 0, 0)
    assert keys[K + "token_type"][0] == v.CONTROL
    assert keys.get(K + "add_bos_token", False) is False
    assert "tokenizer.chat_template" not in keys
    assert checked(folder, "gpt2", 1000).passed
    with open_vocabulary(folder.parent / "DialoGPT.gguf") as vocab:
        assert vocab.is_end(0)


def test_what_llama_cpp_does_otherwise_is_named(tmp_path: Path) -> None:
    tokenizer = {**v.trained("gpt-2"), "normalizer": v.NFC}
    result = checked(folder_of(tmp_path / "a", tokenizer))
    assert result.passed
    assert "does not normalize texts" in result.detail
    reasons = {row["reason"] for row in result.table}
    assert reasons == {"does not normalize texts as this tokenizer does"}
    tokenizer = {**v.trained("gpt-2"), "normalizer": {"type": "Replace", "pattern": {"String": "o"},
                                                      "content": "0"}}  # fmt: skip
    result = checked(folder_of(tmp_path / "b", tokenizer))
    assert not result.passed  # that concerns most of all texts


# -- SentencePiece -------------------------------------------------------------------------------

LLAMA = {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>",
         "unk_token": "<unk>"}  # fmt: skip


@pytest.mark.parametrize("prefix", [True, False])
def test_sentencepiece_with_and_without_its_model(tmp_path: Path, prefix: bool) -> None:
    pieces = v.spm_pieces()
    model = folder_of(tmp_path / "model", None, tokenizer_config_json=LLAMA)
    (model / "tokenizer.model").write_bytes(v.sentencepiece(pieces, prefix=prefix))
    added = [
        {"id": number, "content": pieces[number][0], "special": True, "single_word": False,
         "lstrip": False, "rstrip": False, "normalized": False} for number in range(3)
    ]  # fmt: skip
    plain = folder_of(tmp_path / "json", v.spm_json(pieces, added, prefix=prefix),
                      tokenizer_config_json=LLAMA)  # fmt: skip
    first, second = (vocabulary.read(one, None, "llama") for one in (model, plain))
    assert [one.get(K + "add_space_prefix", True) for one in (first, second)] == [prefix] * 2
    assert first[K + "tokens"] == second[K + "tokens"]
    assert first[K + "scores"] == pytest.approx([score for _, score, _ in pieces])
    assert Counter(first[K + "token_type"])[v.BYTE] == 256
    for one in (model, plain):
        result = checked(one)
        assert result.passed, result.detail
        assert ";" not in result.detail


def test_a_model_that_does_not_belong_to_the_tokenizer_is_not_used(tmp_path: Path) -> None:
    pieces = v.spm_pieces()
    folder = folder_of(tmp_path / "both", v.spm_json(pieces, []), tokenizer_config_json=LLAMA)
    moved = [*pieces[:300], *pieces[301:], pieces[300]]
    (folder / "tokenizer.model").write_bytes(v.sentencepiece(moved))
    assert vocabulary.read(folder, None, "llama")[K + "tokens"] == [text for text, *_ in pieces]
    assert checked(folder).passed


def test_tokens_added_to_a_sentencepiece_model(tmp_path: Path) -> None:
    pieces = v.spm_pieces()
    size = len(pieces) + 8
    last = len(pieces)
    folder = folder_of(
        tmp_path / "phi", None, added_tokens_json={"<|end|>": last, "[PLAIN]": last + 1},
        tokenizer_config_json={**LLAMA, "added_tokens_decoder": {
            str(last): {"content": "<|end|>", "special": True},
            str(last + 1): {"content": "[PLAIN]", "special": False},
        }},
    )  # fmt: skip
    (folder / "tokenizer.model").write_bytes(v.sentencepiece(pieces))
    keys = vocabulary.read(folder, size, "phi3")
    assert keys[K + "tokens"][last:] == [
        "<|end|>", "[PLAIN]", *(f"[PAD{number}]" for number in range(last + 2, size))
    ]  # fmt: skip
    assert keys[K + "token_type"][last:] == [v.CONTROL, v.USER, *[v.UNUSED] * 6]
    assert checked(folder, "llama", size).passed


@pytest.mark.parametrize("fallback", [False, True])
def test_unigram_from_both_files(tmp_path: Path, fallback: bool) -> None:
    tokenizer = v.probabilities(fallback=fallback)
    if fallback:
        tokenizer["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
    plain = folder_of(tmp_path / "json", tokenizer)
    result = checked(plain)
    assert result.passed, result.detail
    assert ("no tokens for bytes" in result.detail) is fallback
    keys = vocabulary.read(plain, None, "llama")
    assert keys[K + "model"] == "t5"
    assert (keys[K + "unknown_token_id"], keys[K + "eos_token_id"]) == (2, 1)
    assert (keys[K + "add_eos_token"], keys[K + "remove_extra_whitespaces"]) == (True, True)
    pieces = [
        (text, score, v.BYTE if v.BYTES.fullmatch(text) else v.NORMAL)
        for text, score in tokenizer["model"]["vocab"]
    ]
    types = (v.CONTROL, v.CONTROL, v.UNKNOWN)
    pieces[:3] = [(*piece[:2], type_) for piece, type_ in zip(pieces, types, strict=False)]
    t5 = {"tokenizer_class": "T5Tokenizer", "eos_token": "</s>"}
    model = folder_of(tmp_path / "model", None, tokenizer_config_json=t5)
    raw = v.sentencepiece(pieces, kind=1, spaces=True, fallback=fallback)
    (model / "spiece.model").write_bytes(raw)
    same = vocabulary.read(model, None, "llama")
    assert same[K + "tokens"] == keys[K + "tokens"]
    assert same[K + "scores"] == pytest.approx(keys[K + "scores"])
    assert checked(model).passed


# -- WordPiece -----------------------------------------------------------------------------------


@pytest.mark.parametrize("lower", [True, False])
def test_wordpiece_from_both_files(tmp_path: Path, lower: bool) -> None:
    lines = v.words()
    text = folder_of(tmp_path / "txt", None, config_json={"type_vocab_size": 2},
                     tokenizer_config_json={"tokenizer_class": "BertTokenizer",
                                            "do_lower_case": lower})  # fmt: skip
    (text / "vocab.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    keys = vocabulary.read(text, None, "bert")
    assert keys[K + "normalizer.lowercase"] is lower
    assert keys[K + "token_type_count"] == 2
    number = lines.index("##s")
    assert keys[K + "tokens"][number] == "s"
    assert keys[K + "tokens"][lines.index("[CLS]")] == "[CLS]"
    assert keys[K + "bos_token_id"] == lines.index("[CLS]")
    assert keys[K + "seperator_token_id"] == lines.index("[SEP]")
    result = checked(text, "bert")
    assert result.passed, result.detail


# -- roles and templates -------------------------------------------------------------------------


def test_templates_and_ends_of_turns(tmp_path: Path) -> None:
    tokenizer = v.trained("qwen2")
    tokenizer["added_tokens"] += [
        {**tokenizer["added_tokens"][0], "id": 900 + number, "content": text}
        for number, text in enumerate(("<|stop|>", "<|tool|>"))
    ]
    folder = folder_of(
        tmp_path / "chat", tokenizer, generation_config_json={"eos_token_id": [1, 900, 901, 0]},
        tokenizer_config_json={
            "eos_token": "<|im_end|>", "pad_token": {"content": "<|endoftext|>"},
            "chat_template": [{"name": "default", "template": "a"},
                              {"name": "tool use", "template": "b"}],
        },
    )  # fmt: skip
    extra = folder / "additional_chat_templates"
    extra.mkdir()
    (extra / "rag.jinja").write_text("c")
    keys = vocabulary.read(folder, None, "qwen2")
    roles = ("eos", "padding", "eot", "eom")
    assert [keys[f"{K}{role}_token_id"] for role in roles] == [1, 0, 900, 901]
    assert keys["tokenizer.chat_template"] == "a"
    assert keys["tokenizer.chat_template.tool_use"] == "b"
    assert keys["tokenizer.chat_template.rag"] == "c"
    assert keys["tokenizer.chat_templates"] == ["rag", "tool_use"]
    result = checked(folder, "qwen2")
    assert result.passed, result.detail
    (folder / "chat_template.jinja").write_text("d")
    assert vocabulary.read(folder, None, "qwen2")["tokenizer.chat_template"] == "d"


def test_what_is_put_before_a_text_is_written_and_checked(tmp_path: Path) -> None:
    tokenizer = v.trained("llama-bpe")
    folder = folder_of(tmp_path / "without", tokenizer)
    assert vocabulary.read(folder, None, "llama")[K + "add_bos_token"] is False
    tokenizer["post_processor"] = {
        "type": "TemplateProcessing", "pair": [],
        "single": [{"SpecialToken": {"id": "<|im_end|>", "type_id": 0}},
                   {"Sequence": {"id": "A", "type_id": 0}}],
        "special_tokens": {
            "<|im_end|>": {"id": "<|im_end|>", "ids": [1], "tokens": ["<|im_end|>"]},
        },
    }  # fmt: skip
    folder = folder_of(tmp_path / "with", tokenizer)
    keys = vocabulary.read(folder, None, "llama")
    assert (keys[K + "add_bos_token"], keys[K + "bos_token_id"]) == (True, 1)
    assert checked(folder).passed
    wrong = v.gguf_of(tmp_path / "w.gguf", keys | {K + "add_bos_token": False})
    assert "'Hello' becomes" in check(folder, wrong, lambda *_: None).detail


# -- what cannot be, and what is not supported -----------------------------------------------------


def damages(tokenizer: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What hostile files hold, by what the error says."""
    model, added = tokenizer["model"], tokenizer["added_tokens"]

    def changed(**values: Any) -> dict[str, Any]:
        return {**tokenizer, "model": {**model, **values}}

    return {
        "has the id -1": changed(vocab={**model["vocab"], "x": -1}),
        "has the id 1.5": changed(vocab={**model["vocab"], "x": 1.5}),
        f"has the id {MAX_TOKENS}": changed(vocab={**model["vocab"], "x": MAX_TOKENS}),
        "no merge of two": changed(merges=["a b c"]),
        "no merge of": changed(merges=[["a", 3]]),
        "empty": changed(vocab={}, merges=["a b"]) | {"added_tokens": []},
        "has no text": {**tokenizer, "added_tokens": [{**added[0], "content": 3}]},
    }


@pytest.mark.parametrize("said", list(damages(v.trained("gpt-2"))))
def test_what_cannot_be(tmp_path: Path, said: str) -> None:
    folder = folder_of(tmp_path, damages(v.trained("gpt-2"))[said])
    with pytest.raises(DamagedFile, match=re.escape(said)):
        vocabulary.read(folder, None, "gpt2")


def test_ids_beyond_the_embeddings(tmp_path: Path) -> None:
    tokenizer = v.trained("gpt-2")
    extra = {**tokenizer["added_tokens"][0], "id": 900, "content": "<extra>"}
    tokenizer["added_tokens"] = [*tokenizer["added_tokens"], extra]
    folder = folder_of(tmp_path / "a", tokenizer)
    assert len(vocabulary.read(folder, 900, "gpt2")[K + "tokens"]) == 900
    result = checked(folder, "gpt2", 900)
    assert result.passed
    assert "beyond the rows of the embeddings" in result.detail
    with pytest.raises(Unsupported, match="899 rows"):
        vocabulary.read(folder, 899, "gpt2")
    with pytest.raises(DamagedFile, match="would have"):
        vocabulary.read(folder, 10**12, "gpt2")


def test_holes_and_repeated_texts_are_filled(tmp_path: Path) -> None:
    pieces = v.spm_pieces()
    pieces += [(text, -9.0, v.NORMAL) for text in ("[PAD5]", pieces[300][0], "a\0b")]
    folder = folder_of(tmp_path / "m", None, tokenizer_config_json=LLAMA)
    (folder / "tokenizer.model").write_bytes(v.sentencepiece(pieces))
    keys = vocabulary.read(folder, len(pieces) + 2, "llama")
    texts = keys[K + "tokens"]
    assert len(set(texts)) == len(texts)
    assert not any("\0" in text for text in texts)
    assert (texts[300], keys[K + "token_type"][300]) == ("[PAD300]", v.UNUSED)
    assert texts[5] != "[PAD5]" in texts
    v.gguf_of(tmp_path / "m.gguf", keys)
    with open_vocabulary(tmp_path / "m.gguf") as vocab:
        assert vocab.size == len(texts)


@pytest.mark.parametrize(
    ("name", "raw", "said"),
    [
        ("tekken.json", b"{}", "tekken.json"),
        ("qwen.tiktoken", b"IQ== 0\nIg== 1\n", "tiktoken"),
        ("tokenizer.json", b'{"model": {"type": "WordLevel", "vocab": {}}}', "WordLevel"),
        ("README.md", b"", "no tokenizer"),
        ("tokenizer.json", b"{", "not JSON"),
        ("tokenizer.model", b"\n\xff\xff\xff\xff\x0f", "damaged"),
        ("tokenizer.model", b"\n\x03\n\x01\xff", "UTF-8"),
    ],
)
def test_what_is_not_supported_is_named(tmp_path: Path, name: str, raw: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(Unsupported, match=re.escape(said)):
        vocabulary.read(tmp_path, 10, "llama")


def test_a_vocabulary_without_bytes_is_refused(tmp_path: Path) -> None:
    pieces = [piece for piece in v.spm_pieces() if piece[0] != "<0xC8>"]
    folder = folder_of(tmp_path, None, tokenizer_config_json=LLAMA)
    (folder / "tokenizer.model").write_bytes(v.sentencepiece(pieces))
    with pytest.raises(Unsupported, match="byte 200"):
        vocabulary.read(folder, None, "llama")


def test_the_texts_are_many_and_short() -> None:
    assert len(set(TEXTS)) == len(TEXTS) >= 60
    assert max(map(len, TEXTS)) < 1000
    assert json.loads(json.dumps(TEXTS)) == list(TEXTS)
