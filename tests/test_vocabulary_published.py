"""Real vocabularies: those in llama.cpp's source, rebuilt as the folders that they came from and
converted back; and the same folders through llama.cpp's own converter."""

import re
import sys
from pathlib import Path
from typing import Any

import pytest
import vocabularies as v

from llmrr.convert.gguf import vocabulary
from llmrr.convert.gguf.vocabulary.patterns import BY_NAME, SUFFIXES
from llmrr.convert.verify.tokens import check
from llmrr.engines.llamacpp.vocabulary import open_vocabulary

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not v.SOURCE, reason="LLMRR_LLAMA_CPP_SOURCE names no source of llama.cpp"),
]
K = "tokenizer.ggml."
OTHERS = ("bert-bge", "nomic-bert-moe")
EVERY = [*((name, False) for name in (*v.BYTE_LEVEL, *v.SPM, *OTHERS)),
         *((name, True) for name in (*v.SPM, "bert-bge"))]  # fmt: skip


@pytest.mark.parametrize(("name", "as_json"), EVERY)
def test_converted_back(tmp_path: Path, name: str, as_json: bool) -> None:
    """Tokens, types, merges, scores and the name of the pre-tokenizer are those of the file that
    it was made from; the tokens of its texts are those that stand beside it."""
    folder = tmp_path / "model"
    known = v.rebuild(name, folder, as_json=as_json)
    keys = vocabulary.read(folder, len(known.tokens), known.architecture)
    real = [n for n in range(len(known.tokens)) if not known.is_filler(n)]
    assert [keys[K + "tokens"][n] for n in real] == [known.tokens[n] for n in real]
    differing = {
        (known.tokens[n], known.types[n], keys[K + "token_type"][n])
        for n in real if keys[K + "token_type"][n] != known.types[n]
    }  # fmt: skip
    assert differing <= later(known)
    assert keys.get(K + "merges", []) == known.merges
    if known.scores and not as_json:
        assert [keys[K + "scores"][n] for n in real] == [known.scores[n] for n in real]
    assert keys[K + "pre"] == known.metadata.get(K + "pre", v.BYTE_LEVEL.get(name, "default"))
    made = v.gguf_of(tmp_path / "model.gguf", keys, known.architecture)
    result = check(folder, made, lambda *_: None)
    assert result.passed, result.detail
    if Path(f"{known.path}.inp").exists():
        with open_vocabulary(made) as vocab:
            for text, ids in known.inputs:
                assert vocab.tokenize(text, special=False) == ids, text


def later(known: v.Vocabulary) -> set[tuple[str, int, int]]:
    """What the converters of today call otherwise than those that made these files: control tokens
    by their looks, plain ones with a role."""
    roles = {known.role(name) for name in ("bos", "eos", "unknown", "padding")}
    return {
        (text, kind, v.CONTROL)
        for text, kind in zip(known.tokens, known.types, strict=True)
        if (kind == v.USER and text[:1] == "<") or text in roles
    }  # fmt: skip


def test_the_patterns_are_those_of_llama_cpp() -> None:
    """Every name in its source has the expressions that it has here, but for how they spell one."""
    code = (Path(v.SOURCE or "") / "src" / "llama-vocab.cpp").read_text(encoding="utf-8")
    types = dict(re.findall(r'tokenizer_pre == "([\w.-]+)"(?=[^{}]*\{\s*pre_type = (\w+);)', code))
    begin, end = (code.index(f"struct llm_tokenizer_bpe{one}") for one in (" :", "_session"))
    cases = code[begin:end]
    compared = 0
    for name, pre in BY_NAME.items():
        begin = cases.index(f"case {types[name]}:")
        begin = cases.index("regex_exprs = {", begin)
        body = cases[begin : cases.index("};", begin)]
        literals = re.findall(r'^\s*"((?:[^"\\]|\\.)*)"', body, re.MULTILINE)
        theirs = [re.sub(r"\\(.)", unescaped, one) for one in literals]
        ours = [one.replace(SUFFIXES, spelled) for one in pre.found or pre.cuts]
        assert [alike(one) for one in ours] == [alike(one) for one in theirs], name
        compared += 1
    assert compared == len(BY_NAME) > 30


spelled = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"


def unescaped(found: re.Match[str]) -> str:
    return {"n": "\n", "r": "\r", "t": "\t"}.get(found[1], found[1])


def alike(pattern: str) -> str:
    """Without what makes no difference: GPT-2's last part, which llama.cpp's own code has anyway,
    the case of a few letters, control characters as such."""
    for one, other in (
        ("\r", r"\r"), ("\n", r"\n"), (r"|\s+(?!\S)|\s+", r"|\s+(?!\S)"), ("{1}", ""),
        ("'(?i:[sdmt]|ll|ve|re)", "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])"), ("`]+", "`]+"),
    ):  # fmt: skip
        pattern = pattern.replace(one, other)
    return pattern


@pytest.mark.mlx
@pytest.mark.parametrize(("name", "as_json"), EVERY)
def test_llama_cpps_converter(
    tmp_path: Path, name: str, as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keys that ``convert_hf_to_gguf.py`` writes for the same folder.

    Its table of pre-tokenizers has digests of the tokens of one text; where ours is not in it
    (rebuilt folders lack some tokens), ``get_vocab_base_pre`` is overridden with our name.
    """
    pytest.importorskip("transformers")
    folder = tmp_path / "model"
    known = v.rebuild(name, folder, as_json=as_json)
    ours = vocabulary.read(folder, len(known.tokens), known.architecture)
    theirs = converted(folder, known, ours[K + "pre"], monkeypatch)
    differing = {key: (ours.get(key), value) for key, value in theirs.items()
                 if not same(key, ours.get(key), value)}  # fmt: skip
    assert differing == {}
    assert set(ours) - set(theirs) <= BESIDES


def same(key: str, ours: Any, theirs: Any) -> bool:
    """One key. Their tokens are bytes, and not filled up from tokenizer.json; their scores from
    there are all alike, where ours are the ranks of the merges; a pre-tokenizer has many names."""
    if key == K + "pre" and ours in BY_NAME and ours != "qwen35":  # no mark is in their text
        return BY_NAME[ours].cuts == BY_NAME[theirs].cuts
    if key == K + "pre":
        return bool(ours)  # which means nothing for other kinds
    if key == K + "remove_extra_whitespaces":
        return ours is True  # theirs is how texts are put together again
    if key == K + "tokens":
        theirs = [one.decode() if isinstance(one, bytes) else one for one in theirs]
    if key == K + "scores" and set(theirs) == {-1000.0}:
        return len(ours) >= len(theirs)
    if key == K + "token_type":  # from an SPM's tokenizer.json theirs know roles, and no flags
        pairs = zip(ours, map(int, theirs), strict=False)
        lost = {(v.USER, v.NORMAL), (v.CONTROL, v.USER)}
        return {pair for pair in pairs if pair[0] != pair[1]} <= lost
    if isinstance(theirs, list):
        return ours[: len(theirs)] == list(theirs)
    return bool(ours == theirs)


# What they write only where other files of the folder say it, and llama.cpp has a default for.
BESIDES = {
    *(f"{K}{role}_token_id" for role in ("bos", "eos", "unknown", "seperator", "padding", "cls",
                                         "mask")),
    *(f"{K}{key}" for key in ("add_bos_token", "add_eos_token", "add_sep_token",
                              "normalizer.lowercase", "normalizer.strip_accents",
                              "token_type_count")),
}  # fmt: skip


def converted(
    folder: Path, known: v.Vocabulary, pre: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What the vocabulary functions of llama.cpp's converter give to its writer."""
    monkeypatch.syspath_prepend(v.SOURCE)
    monkeypatch.syspath_prepend(Path(v.SOURCE or "") / "gguf-py")
    for module in [one for one in sys.modules if one.split(".")[0] in ("gguf", "conversion")]:
        monkeypatch.delitem(sys.modules, module)
    import conversion.base
    import conversion.bert
    import gguf

    writer = gguf.GGUFWriter(path=None, arch=known.architecture)
    model = object.__new__(conversion.bert.BertModel)
    model.dir_model, model.gguf_writer = folder, writer
    model.hparams = {"vocab_size": len(known.tokens), "type_vocab_size": 2}
    model.model_arch = None
    plain = conversion.base.TextModel.get_vocab_base_pre

    def named(self: Any, tokenizer: Any) -> str:
        try:
            return str(plain(self, tokenizer))
        except NotImplementedError:
            return pre

    monkeypatch.setattr(conversion.base.TextModel, "get_vocab_base_pre", named)
    if known.name in v.BYTE_LEVEL:
        model._set_vocab_gpt2()
    elif known.name in v.SPM:
        model._set_vocab_llama_hf() if (folder / "tokenizer.json").exists() else (
            model._set_vocab_sentencepiece()
        )
    elif known.name == "nomic-bert-moe":
        model._xlmroberta_set_vocab()
    else:
        model.set_vocab()
    found = {key: one.value for key, one in writer.kv_data[0].items()}
    return {key: value for key, value in found.items() if key.startswith("tokenizer.")}
