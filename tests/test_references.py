"""What names a model of the hub, and which of its files are taken."""

import pytest

from llmrr.errors import DoesNotFit, NotFound, Unsupported, UsageError
from llmrr.hardware import Fit
from llmrr.store import choice
from llmrr.store.choice import Choice, Option
from llmrr.store.records import check_label, split_label
from llmrr.store.references import HubReference, hub_reference
from llmrr.types import Format

GGUF = frozenset({Format.GGUF})
REFERENCES = {
    "owner/repo": HubReference("owner/repo"),
    "huggingface:owner/repo:Q4_K_M": HubReference("owner/repo", "Q4_K_M"),
    "hf:owner/repo:q4_k_m@v1": HubReference("owner/repo", "q4_k_m", revision="v1"),
    "hf:owner/repo/file.gguf": HubReference("owner/repo", file="file.gguf"),
    "hf:owner/repo/sub/file.gguf@abc": HubReference(
        "owner/repo", file="sub/file.gguf", revision="abc"
    ),
    "owner/repo/file.gguf": HubReference("owner/repo", file="file.gguf"),
    "owner/repo@refs/pr/1": HubReference("owner/repo", revision="refs/pr/1"),
    "owner/repo:latest": HubReference("owner/repo"),
    "hf:gpt2": HubReference("gpt2"),
    "hf.co/owner/repo:Q8_0": HubReference("owner/repo", "Q8_0"),
    "hf://owner/repo/a.gguf": HubReference("owner/repo", file="a.gguf"),
    "https://huggingface.co/owner/repo": HubReference("owner/repo"),
    "https://hf.co/owner/repo/": HubReference("owner/repo"),
    "http://huggingface.co/owner/repo/tree/main": HubReference("owner/repo"),
    "https://huggingface.co/owner/repo/tree/v2/onnx": HubReference(
        "owner/repo", tag="onnx", revision="v2"
    ),
    "https://huggingface.co/owner/repo/blob/main/a%20b.gguf": HubReference(
        "owner/repo", file="a b.gguf"
    ),
    "https://huggingface.co/owner/repo/resolve/refs%2Fpr%2F3/a.gguf?download=true": HubReference(
        "owner/repo", file="a.gguf", revision="refs/pr/3"
    ),
    "https://hub.example/owner/repo/blob/main/a.gguf": HubReference("owner/repo", file="a.gguf"),
    "openai:gpt-4o": None,
    "builtin:mini": None,
    "./models/a.gguf": None,
    "/models/owner/a.gguf": None,
    "llama3.2": None,
    "qwen3:4b": None,
    "a model": None,
    "https://example.org/owner/repo": None,
}


@pytest.mark.parametrize("text", REFERENCES)
def test_references_are_understood(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example/")
    assert hub_reference(text) == REFERENCES[text]


@pytest.mark.parametrize("text", [key for key, value in REFERENCES.items() if value])
def test_a_reference_is_written_so_that_it_reads_the_same(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example/")
    found = hub_reference(text)
    assert found is not None
    assert hub_reference(found.source) == found


@pytest.mark.parametrize(
    "text",
    ["hf:owner/repo:", "hf:owner/repo@", "hf:../x/y", "hf:a b/c", "hf:owner/repo/a.gguf:Q4_K_M",
     "https://huggingface.co/datasets/a/b", "https://huggingface.co/spaces/a/b"],
)  # fmt: skip
def test_what_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(UsageError):
        hub_reference(text)


@pytest.mark.parametrize(
    "label", ["qwen3:4b", "a", "owner/repo", "owner/repo:Q4_K_M", "hf.co/o/r:Q8_0", "o/r:Q@v1.0"]
)
def test_labels(label: str) -> None:
    assert ":".join(filter(None, split_label(check_label(label)))) == label


@pytest.mark.parametrize(
    "label", ["", "-a", "a b", "a:b:c", "a:", ":a", "a//b", "../a", "hf:x", "file:x", "ollama:x"]
)
def test_what_is_no_label(label: str) -> None:
    with pytest.raises(UsageError):
        check_label(label)


# -- which files -------------------------------------------------------------------------------

MIXED = {
    ".gitattributes": 1, "README.md": 1, "config.json": 1, "tokenizer.json": 1, "run.py": 1,
    "tokenizer.model": 1, "chat_template.jinja": 1, "additional_chat_templates/rag.jinja": 1,
    "model.safetensors.index.json": 1, "model-00001-of-00002.safetensors": 5,
    "model-00002-of-00002.safetensors": 4, "consolidated.safetensors": 9,
    "pytorch_model.bin": 9, "pytorch_model.bin.index.json": 1, "training_args.bin": 1,
    "onnx/model.onnx": 1, "onnx/model.onnx_data": 8, "onnx/model_q4.onnx": 3,
    "onnx/decoder_model_merged_fp16.onnx": 4, "onnx/decoder_model_fp16.onnx": 4,
    "cpu/int4/genai_config.json": 1, "cpu/int4/model.onnx": 1, "cpu/int4/model.onnx.data": 3,
}  # fmt: skip
BESIDE = {
    "config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja",
    "additional_chat_templates/rag.jinja",
}  # fmt: skip


def option(tag: str, found: tuple[Option, ...]) -> Option:
    [one] = [one for one in found if one.tag == tag]
    return one


def test_only_what_is_needed_is_taken() -> None:
    found = choice.options(MIXED)
    shards = option("", found)
    assert shards.weights == (
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    )  # fmt: skip
    assert set(shards.beside) == BESIDE | {"model.safetensors.index.json"}
    assert shards.bytes == 9
    assert option("fp32", found).weights == ("onnx/model.onnx", "onnx/model.onnx_data")
    assert option("q4", found).weights == ("onnx/model_q4.onnx",)
    assert option("fp16", found).weights == ("onnx/decoder_model_merged_fp16.onnx",)
    exported = ("encoder_model.onnx", "decoder_model_merged.onnx", "decoder_model.onnx")
    (both,) = choice.options(dict.fromkeys(exported, 4))
    assert set(both.weights) == {"encoder_model.onnx", "decoder_model_merged.onnx"}
    genai = option("int4", found)
    assert genai.weights == ("cpu/int4/model.onnx", "cpu/int4/model.onnx.data")
    assert "cpu/int4/genai_config.json" in genai.beside
    files = {name for one in found for name in one.files}
    assert not [name for name in files if name.endswith((".bin", ".py", ".md"))]


def test_the_address_of_a_file_that_is_shown_beside_its_page() -> None:
    address = "https://huggingface.co/o/r?show_file_info=sub%2Fa-Q4_0.gguf"
    assert hub_reference(address) == HubReference("o/r", file="sub/a-Q4_0.gguf")
    assert hub_reference("https://hf.co/o/r?x=1#y") == HubReference("o/r")


def test_pickles_are_taken_only_when_they_are_wanted() -> None:
    pickles = option("pytorch", choice.options(MIXED, pickles=True))
    assert pickles.weights == ("pytorch_model.bin",)
    assert "pytorch_model.bin.index.json" in pickles.beside
    with pytest.raises(Unsupported, match="may be pickles"):
        choice.refuse_pickles(["a.gguf", "A.PKL"], "owner/repo")
    error = choice.nothing_found({"pytorch_model.bin": 1}, "owner/repo")
    assert "--allow-pickle" in error.hint  # type: ignore[attr-defined]
    assert isinstance(choice.nothing_found({"README.md": 1}, "owner/repo"), NotFound)


def test_a_projector_comes_with_every_quantization() -> None:
    found = choice.options({"a-Q4_K_M.gguf": 4, "a-Q8_0.gguf": 8, "mmproj-F16.gguf": 1})
    assert [one.files for one in found] == [
        ("a-Q4_K_M.gguf", "mmproj-F16.gguf"), ("a-Q8_0.gguf", "mmproj-F16.gguf"),
    ]  # fmt: skip


def test_patterns_are_those_of_hf_download() -> None:
    names = {"a.gguf": 1, "sub/b.gguf": 1, "sub/c.txt": 1}
    assert choice.selected(names, ["*.gguf"], []) == ("a.gguf", "sub/b.gguf")
    assert choice.selected(names, [], ["*.gguf"]) == ("sub/c.txt",)
    assert choice.selected(names, ["sub/"], ["*.txt"]) == ("sub/b.gguf",)


def weighing(**fits: tuple[bool, int]) -> choice.Weigh:
    """Weighs by tag: does it fit, and how many layers of 10 go to a GPU of 5 bytes."""

    def weigh(one: Option) -> Fit:
        fits_, layers = fits[one.tag]
        gpu = 5 if layers else None
        return Fit(fits_, 4096, 1, one.bytes, 0, 0, 0, 0, one.bytes, 0, 99, gpu, layers, 10, 4096,
                   ("its reason",))  # fmt: skip

    return weigh


def of(**sizes: int) -> tuple[Option, ...]:
    return tuple(
        Option(Format.GGUF, tag, (f"{tag}.gguf",), (), size) for tag, size in sizes.items()
    )


@pytest.mark.parametrize(
    ("fits", "expected"),
    [
        ({"F16": (True, 0), "Q8_0": (True, 0), "Q4_K_M": (True, 0)}, "Q8_0"),
        ({"F16": (True, 0), "Q8_0": (False, 0), "Q4_K_M": (True, 0)}, "Q4_K_M"),
        ({"F16": (True, 3), "Q8_0": (True, 6), "Q4_K_M": (True, 11)}, "Q4_K_M"),
        ({"F16": (True, 3), "Q8_0": (True, 6), "Q4_K_M": (True, 9)}, "Q8_0"),
    ],
)
def test_the_best_that_fits_wholly_on_a_gpu_if_any_does(
    fits: dict[str, tuple[bool, int]], expected: str
) -> None:
    found = choice.choose(
        of(Q4_K_M=4, F16=16, Q8_0=8), "o/r", weigh=weighing(**fits), runs=GGUF
    )
    assert found.option.tag == expected
    assert expected in found.why and "its reason" in found.why


def test_none_fits() -> None:
    weigh = weighing(Q8_0=(False, 0), Q4_K_M=(False, 0))
    with pytest.raises(DoesNotFit, match="Q4_K_M, the smallest: its reason") as caught:
        choice.choose(of(Q4_K_M=4, Q8_0=8), "o/r", weigh=weigh, runs=GGUF)
    assert caught.value.hint.startswith("llmrr pull o/r:Q4_K_M")


def test_one_alone_is_taken_without_weighing() -> None:
    found = choice.choose(of(Q8_0=8), "o/r", weigh=weighing(), runs=GGUF)
    assert found == Choice(of(Q8_0=8)[0], "Q8_0 is what there is")


def test_what_an_engine_here_runs_goes_first() -> None:
    both = (*of(Q8_0=8), Option(Format.SAFETENSORS, "", ("model.safetensors",), (), 9))
    weigh = weighing()
    assert choice.choose(both, "o/r", weigh=weigh, runs=GGUF).option.format is Format.GGUF
    runs = frozenset({Format.SAFETENSORS})
    assert choice.choose(both, "o/r", weigh=weigh, runs=runs).option.format is Format.SAFETENSORS


def test_parts_that_are_missing() -> None:
    sizes = {"a-Q8_0-00001-of-00002.gguf": 5, "a-Q4_0.gguf": 4}
    found = choice.options(sizes)
    assert choice.choose(found, "o/r", weigh=weighing(), runs=GGUF).option.tag == "Q4_0"
    with pytest.raises(NotFound, match="00002-of-00002"):
        choice.choose(found[:1] if found[0].missing else found[1:], "o/r", weigh=weighing(),
                      runs=GGUF)  # fmt: skip


def test_tags_in_any_case_and_in_short() -> None:
    found = (*of(Q4_K_M=4), *of(**{"UD-Q4_K_XL": 5}))
    assert choice.named(found, "o/r", "q4_k_m").tag == "Q4_K_M"
    assert choice.named(found, "o/r", "Q4_K_XL").tag == "UD-Q4_K_XL"
    sizes = {"Foo-13B.i1-Q4_K_M.gguf": 4, "Foo-13B.i1-Q6_K.gguf": 6}
    assert choice.named(choice.options(sizes), "o/r", "i1-q4_k_m").tag == "Q4_K_M"
    sizes = {"small/a.gguf": 4, "large/b.gguf": 6}
    assert choice.named(choice.options(sizes), "o/r", "large").weights == ("large/b.gguf",)
    with pytest.raises(NotFound, match="it has: Q4_K_M, UD-Q4_K_XL") as caught:
        choice.named(found, "o/r", "Q4_K_L")
    assert caught.value.hint == "llmrr pull o/r:Q4_K_M"
    with pytest.raises(UsageError, match="several"):
        choice.named(found, "o/r", "gguf")


def test_a_file_is_named_in_any_case() -> None:
    assert choice.named_file({"A.gguf": 1}, "o/r", "a.GGUF") == "A.gguf"
    with pytest.raises(NotFound) as caught:
        choice.named_file({"model-q4.gguf": 1}, "o/r", "model-q5.gguf")
    assert caught.value.hint == "llmrr pull hf:o/r/model-q4.gguf"
