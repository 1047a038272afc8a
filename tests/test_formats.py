"""What a folder of a model says of it, and what is no model."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from builders import gguf_file, tiny_llama
from layouts import (
    CONFIG,
    TOKENIZER,
    Memory,
    contents,
    hf_folder,
    llama_tensors,
    onnx_file,
    safetensors_file,
    torch_zip,
    write_json,
)

from llmrr import formats
from llmrr.errors import DamagedFile, LlmrrError, NotFound, Unsupported, UsageError
from llmrr.formats.source import FileSource, FolderFiles
from llmrr.types import Format, ModelInfo, Sampling


def configured(folder: Path, **config: Any) -> ModelInfo:
    """What a config.json says, without weights that say more."""
    write_json(folder / "config.json", config)
    safetensors_file(folder / "model.safetensors", {"w": ("F32", (1,))})
    return formats.inspect(folder)


# -- sizes -------------------------------------------------------------------------------------

GPT2 = {"model_type": "gpt2", "n_embd": 48, "n_layer": 3, "n_head": 4, "n_positions": 64,
        "vocab_size": 9, "n_inner": None}  # fmt: skip
FALCON = {"model_type": "falcon", "hidden_size": 48, "num_hidden_layers": 3, "vocab_size": 9,
          "num_attention_heads": 4, "multi_query": True, "ffn_hidden_size": 192}  # fmt: skip
MPT = {"model_type": "mpt", "d_model": 48, "n_layers": 3, "n_heads": 4, "expansion_ratio": 4,
       "max_seq_len": 64, "vocab_size": 9, "attn_config": {"kv_n_heads": 2}}  # fmt: skip
GLM = {"model_type": "chatglm", "hidden_size": 48, "num_layers": 3, "num_attention_heads": 4,
       "multi_query_attention": True, "multi_query_group_num": 2, "ffn_hidden_size": 192,
       "padded_vocab_size": 9, "seq_length": 64, "kv_channels": 12}  # fmt: skip
T5 = {"model_type": "t5", "d_model": 48, "num_layers": 3, "num_heads": 4, "d_kv": 12, "d_ff": 192,
      "vocab_size": 9, "n_positions": 64}  # fmt: skip
BART = {"model_type": "bart", "d_model": 48, "decoder_layers": 3, "encoder_layers": 3,
        "decoder_attention_heads": 4, "decoder_ffn_dim": 192, "vocab_size": 9}  # fmt: skip
INNER = {"hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4, "vocab_size": 9,
         "intermediate_size": 192, "model_type": "gemma3_text"}  # fmt: skip
VISION = {"model_type": "gemma3", "text_config": INNER, "vision_config": {"hidden_size": 99,
          "num_hidden_layers": 27}}  # fmt: skip
OMNI = {"model_type": "qwen2_5_omni", "thinker_config": {"text_config": INNER}}
OPENELM = {"model_type": "openelm", "model_dim": 48, "num_transformer_layers": 3, "head_dim": 12,
           "num_query_heads": [4, 4, 4], "num_kv_heads": [1, 2, 3], "vocab_size": 9}  # fmt: skip
FAMILIES = {
    "gpt2": (GPT2, (4, 4, 4), 192), "falcon": (FALCON, (1, 1, 1), 192),
    "mpt": (MPT, (2, 2, 2), 192), "chatglm": (GLM, (2, 2, 2), 192),
    "t5": (T5, (4, 4, 4), 192), "bart": (BART, (4, 4, 4), 192),
    "gemma3": (VISION, (4, 4, 4), 192), "qwen2_5_omni": (OMNI, (4, 4, 4), 192),
    "openelm": (OPENELM, (1, 2, 3), None),
}  # fmt: skip


@pytest.mark.parametrize(("config", "heads_kv", "inner"), FAMILIES.values(), ids=FAMILIES)
def test_families_name_their_sizes_differently(
    tmp_path: Path, config: dict[str, Any], heads_kv: tuple[int, ...], inner: int | None
) -> None:
    info = configured(tmp_path, **config)
    assert info.architecture == config["model_type"]
    assert (info.layers, info.embedding_length, info.vocabulary) == (3, 48, 9)
    assert (info.heads, info.heads_kv, info.key_length) == ((4, 4, 4), heads_kv, 12)
    assert info.feed_forward == ((inner,) * 3 if inner else ())


def test_experts_and_latent_attention(tmp_path: Path) -> None:
    info = configured(
        tmp_path, model_type="deepseek_v3", num_hidden_layers=2, hidden_size=64, kv_lora_rank=16,
        num_attention_heads=4, num_key_value_heads=4, qk_rope_head_dim=8, qk_nope_head_dim=12,
        n_routed_experts=8, num_experts_per_tok=2, moe_intermediate_size=24,
    )  # fmt: skip
    assert (info.experts, info.experts_used) == (8, 2)
    assert (info.heads_kv, info.key_length, info.value_length) == ((1, 1), 24, 16)
    assert info.metadata["deepseek_v3.expert_feed_forward_length"] == 24
    assert info.metadata["deepseek_v3.attention.key_length_mla"] == 20


LONG, SHORT = "full_attention", "sliding_attention"
WINDOWS = {
    "every layer": ({"model_type": "mistral"}, (True,) * 4),
    "by layer_types": ({"layer_types": [SHORT, LONG, SHORT, LONG]}, (True, False, True, False)),
    "a number": ({"sliding_window_pattern": 3}, (True, True, False, True)),
    "a text": ({"sliding_window_pattern": "LLG"}, (True, True, False, True)),
    "by architecture": ({"model_type": "gemma2"}, (True, False, True, False)),
    "from a layer on": ({"use_sliding_window": True, "max_window_layers": 3},
                        (False, False, False, True)),
    "not used": ({"use_sliding_window": False}, None),
    "Qwen does not say": ({"model_type": "qwen2"}, None),
    "no layer": ({"layer_types": [LONG] * 4}, None),
}  # fmt: skip


@pytest.mark.parametrize(("stated", "pattern"), WINDOWS.values(), ids=WINDOWS)
def test_windows(tmp_path: Path, stated: dict[str, Any], pattern: tuple[bool, ...] | None) -> None:
    config = {**CONFIG, "num_hidden_layers": 4, "sliding_window": 64, **stated}
    info = configured(tmp_path, **config)
    assert info.sliding_window == (64 if pattern else None)
    assert info.sliding_pattern == pattern


STATES = {
    "mamba": ({"model_type": "mamba", "state_size": 16, "conv_kernel": 4, "intermediate_size": 96},
              (0, 0, 0, 0), {"ssm.state_size": 16, "ssm.inner_size": 96, "ssm.conv_kernel": 4}),
    "jamba": ({"model_type": "jamba", "attn_layer_period": 4, "attn_layer_offset": 1,
               "mamba_d_state": 8, "mamba_expand": 2}, (0, 2, 0, 0), {"ssm.inner_size": 64}),
    "lfm2": ({"model_type": "lfm2", "full_attn_idxs": [1, 3], "conv_L_cache": 3}, (0, 2, 0, 2),
             {"shortconv.l_cache": 3}),
    "nemotron_h": ({"model_type": "nemotron_h", "hybrid_override_pattern": "M-*E"}, (0, 0, 2, 0),
                   {}),
    "qwen3_next": ({"model_type": "qwen3_next", "full_attention_interval": 2,
                    "linear_num_value_heads": 4, "linear_value_head_dim": 8}, (0, 2, 0, 2),
                   {"ssm.inner_size": 32}),
    "falcon_h1": ({"model_type": "falcon_h1", "mamba_d_ssm": 40}, (2, 2, 2, 2),
                  {"ssm.inner_size": 40}),
    "recurrent_gemma": ({"model_type": "recurrent_gemma", "attention_window_size": 64,
                         "block_types": ["recurrent", "recurrent", "attention"]}, (0, 0, 2, 0), {}),
}  # fmt: skip


@pytest.mark.parametrize(("stated", "heads_kv", "sizes"), STATES.values(), ids=STATES)
def test_layers_that_keep_a_state(
    tmp_path: Path, stated: dict[str, Any], heads_kv: tuple[int, ...], sizes: dict[str, int]
) -> None:
    info = configured(tmp_path, **{**CONFIG, "num_hidden_layers": 4, **stated})
    assert (info.recurrent, info.heads_kv) == (True, heads_kv)
    for key, size in sizes.items():
        assert info.metadata[f"{info.architecture}.{key}"] == size


def test_sizes_that_are_left_to_defaults_come_from_the_tensors(tmp_path: Path) -> None:
    norm = {"model.layers.0.self_attn.k_norm.weight": ("BF16", (8,))}
    towers = {"vision_tower.encoder.layers.9.mlp.fc1.weight": ("BF16", (4, 4))}
    folder = hf_folder(tmp_path, tensors={**llama_tensors(), **norm, **towers})
    write_json(folder / "config.json", {"model_type": "gemma3", "text_config": {}})
    info = formats.inspect(folder)
    assert (info.layers, info.embedding_length, info.vocabulary) == (2, 32, 128)
    assert (info.heads, info.heads_kv, info.key_length) == ((4, 4), (2, 2), 8)
    assert sum(info.layer_bytes) == sum(info.weights["layers"].values())
    assert sum(size for _, size in info.tensor_types.values()) == 32 + sum(
        sum(part.values()) for part in info.weights.values()
    )


def test_other_models_are_models_too(tmp_path: Path) -> None:
    for name in ("whisper", "vit", "clip"):
        assert configured(tmp_path, model_type=name).architecture == name
    assert configured(tmp_path, architectures=["XModel"]).architecture == "XModel"
    assert configured(tmp_path, architecture="resnet50").architecture == "resnet50"
    assert configured(tmp_path).architecture == ""


def test_the_file_of_configuration_is_in_the_metadata(tmp_path: Path) -> None:
    info = configured(
        tmp_path, model_type="x", rope_scaling={"factor": 2.0, "type": "yarn"}, auto_map={"A": "b"},
        long=list(range(5000)), text="x" * 5000, none=None, ids=[1, 2],
    )  # fmt: skip
    found = {key: value for key, value in info.metadata.items() if "safetensors." not in key}
    assert found == {
        "model_type": "x", "rope_scaling.factor": 2.0, "rope_scaling.type": "yarn",
        "auto_map.A": "b", "ids": (1, 2),
    }  # fmt: skip


# -- what stands beside the weights ------------------------------------------------------------

GENERATION = {
    "drawn": ({"do_sample": True, "temperature": 0.6, "top_k": 20, "top_p": 0.9, "min_p": 0.1,
               "repetition_penalty": 1.1, "max_length": 4096},
              Sampling(temperature=0.6, top_k=20, top_p=0.9, min_p=0.1, repeat_penalty=1.1)),
    "greedy": ({"do_sample": False, "temperature": 0.6, "top_p": 0.9, "repetition_penalty": 1.1},
               Sampling(temperature=0.0, repeat_penalty=1.1)),
    "not said": ({"temperature": 0.6, "top_k": 20}, Sampling(temperature=0.0)),
    "only ids": ({"eos_token_id": [1, 2], "max_length": 99}, Sampling()),
    "derived": ({"_from_model_config": True, "do_sample": True, "temperature": 0.5}, Sampling()),
    "off": ({"do_sample": True, "top_k": 0, "temperature": None}, Sampling(top_k=0)),
    "nonsense": ({"do_sample": True, "temperature": "0.7", "top_p": float("nan"), "top_k": True,
                  "min_p": -1, "typical_p": float("inf")}, Sampling()),
}  # fmt: skip


@pytest.mark.parametrize(("stated", "sampling"), GENERATION.values(), ids=GENERATION)
def test_recommended_sampling(tmp_path: Path, stated: dict[str, Any], sampling: Sampling) -> None:
    write_json(tmp_path / "generation_config.json", stated)
    assert formats.inspect(hf_folder(tmp_path)).sampling == sampling


def test_special_tokens(tmp_path: Path) -> None:
    write_json(tmp_path / "generation_config.json", {"eos_token_id": [7, 8], "pad_token_id": 5})
    folder = hf_folder(tmp_path, config={"bos_token_id": 9, "unk_token_id": -1, "sep_token_id": 4})
    info = formats.inspect(folder)
    assert info.special_tokens == {"bos": 0, "eos": 1, "pad": 5, "sep": 4}
    assert (info.add_bos, info.add_eos) == (True, None)
    (folder / "tokenizer_config.json").unlink()
    assert formats.inspect(folder).special_tokens == {"bos": 9, "eos": 7, "pad": 5, "sep": 4}


TOKENIZERS = {
    "bpe": {"tokenizer.json": json.dumps(TOKENIZER).encode()},
    "unigram": {"tokenizer.json": b'{"added_tokens": [], "model": {\n "type": "Unigram"}}'},
    "wordpiece": {"tokenizer.json": b'{"model":{"type":"WordPiece"'},
    "wordpiece of old": {"vocab.txt": b"[PAD]\n[UNK]\n"},
    "sentencepiece": {"tokenizer.model": b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02"},
    "sentencepiece of T5": {"spiece.model": b"\n\x0e\n\x05<pad>"},
    "tiktoken": {"tokenizer.model": b"IQ== 0\nIg== 1\n"},
    "tiktoken of Qwen": {"qwen.tiktoken": b"IQ== 0\nIg== 1\n"},
    "tekken": {"tekken.json": b"{}"},
    "bpe of GPT-2": {"vocab.json": b"{}", "merges.txt": b"#version: 0.2\n"},
    "None": {"tokenizer.model": b"nothing known"},
    "None at all": {},
}


@pytest.mark.parametrize("name", TOKENIZERS)
def test_tokenizers(tmp_path: Path, name: str) -> None:
    folder = hf_folder(tmp_path, tokenizer=False)
    for file, raw in TOKENIZERS[name].items():
        (folder / file).write_bytes(raw)
    assert str(formats.inspect(folder).tokenizer) == name.split()[0]


def test_a_large_tokenizer_is_not_read_whole(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path)
    start = (folder / "tokenizer.json").read_bytes()[:-4]
    (folder / "tokenizer.json").write_bytes(start + b" " * 30_000_000)
    files = contents(folder)
    assert formats.inspect(files).tokenizer == "bpe"
    assert files.taken < 200_000


def test_chat_templates(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path)
    assert formats.inspect(folder).chat_template == "{{ messages }}"
    named = [{"name": "default", "template": "d"}, {"name": "rag", "template": "r"}, 7, {"name": 1}]
    write_json(folder / "tokenizer_config.json", {"chat_template": named})
    info = formats.inspect(folder)
    assert (info.chat_template, info.templates) == ("d", {"rag": "r"})
    write_json(folder / "chat_template.json", {"chat_template": "of the processor"})
    assert formats.inspect(folder).chat_template == "of the processor"
    (folder / "chat_template.jinja").write_text("of its own")
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "tool_use.jinja").write_text("tools")
    info = formats.inspect(folder)
    assert (info.chat_template, info.templates) == ("of its own", {"rag": "r", "tool_use": "tools"})


READMES = {
    "---\nlicense: apache-2.0\ntags:\n- a\n---\n# X\nlicense: mit\n": "apache-2.0",
    '---\r\nlicense: "mit"\r\n---\r\n': "mit",
    "---\nlicense: other\nlicense_name: llama3\n---\n": "llama3",
    "---\ntags: [x]\n---\nlicense: mit\n": None,
    "# no front matter\nlicense: mit\n": None,
}


@pytest.mark.parametrize("text", READMES)
def test_licenses(tmp_path: Path, text: str) -> None:
    folder = hf_folder(tmp_path)
    (folder / "README.md").write_bytes(text.encode())
    assert formats.inspect(folder).license == READMES[text]


def test_pooling_of_sentence_transformers(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path)
    for stated, pooling in (
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_cls_token": True}, "cls"),
        ({"pooling_mode": "lasttoken"}, "last"),
        ({"pooling_mode": ["mean"]}, None),
    ):
        write_json(folder / "1_Pooling" / "config.json", stated)
        assert formats.inspect(folder).pooling == pooling


# -- what is no model --------------------------------------------------------------------------

FILES = {
    "an empty file": (b"", "is empty"),
    "a text": (b"hello", "begins with b'hello'"),
    "a pointer": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
    "a web page": (b"<!DOCTYPE html>", "web page"),
    "Keras": (b"\x89HDF\r\n", "Keras"),
    "TensorFlow Lite": (b"\x1c\0\0\0TFL3", "TensorFlow Lite"),
    "ORT": (b"\x1c\0\0\0ORTM", r"ONNX Runtime \(\.ort\)"),
    "NumPy": (b"\x93NUMPY\x01\0", "NumPy"),
    "Parquet": (b"PAR1", "Parquet"),
    "a database": (b"SQLite format 3\0", "database"),
    "a picture": (b"\x89PNG\r\n", "picture"),
    "a program": (b"\x7fELF", "program"),
    "a vocabulary": (b"\n\x0e\n\x05<unk>\x15", "SentencePiece vocabulary"),
    "gzip": (b"\x1f\x8b\x08", "gzip"),
    "an index": (b'{"metadata": {}, "weight_map": {}}', "index of a model in several parts"),
    "a tokenizer": (b'{"truncation": null, "added_tokens": []}', "is a tokenizer, not a model"),
    "a configuration": (b'{"model_type": "llama"}', "configuration of a model, not its weights"),
    "an adapter's": (b'{"base_model_name_or_path": ""}', "configuration of a LoRA adapter"),
    "other JSON": (b' {"a": 1}', "JSON text"),
}


@pytest.mark.parametrize(("raw", "words"), FILES.values(), ids=FILES)
def test_files_that_are_no_model(tmp_path: Path, raw: bytes, words: str) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(raw)
    for look in (formats.detect, formats.locate, formats.inspect):
        with pytest.raises(Unsupported, match=words) as error:
            look(path)
        assert str(path) in error.value.message and error.value.hint


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"
FOLDERS: dict[str, tuple[dict[str, bytes], str]] = {
    "texts": ({"README.md": b"x", "notes.txt": b"y"}, r"only README\.md, notes\.txt"),
    "a tokenizer": ({"tokenizer.json": b"{}", "tokenizer_config.json": b"{}", "README.md": b""},
                    r"holds only a tokenizer: tokenizer\.json, tokenizer_config\.json"),
    "a vocabulary": ({"vocab.json": b"{}", "merges.txt": b""}, "holds only a tokenizer"),
    "SentencePiece": ({"tokenizer.model": b"\n\x0e\n\x05<unk>"}, "holds only a tokenizer"),
    "no weights": ({"config.json": b'{"model_type": "llama"}', "tokenizer.json": b"{}"},
                   r"configuration and tokenizer of a model \(llama\) and no weights"),
    "a configuration": ({"config.json": b"{}"}, "has the configuration of a model and no weights"),
    "pointers": ({"config.json": b"{}", "model.safetensors": POINTER}, "Git LFS pointer"),
    "Keras": ({"config.json": b"{}", "tf_model.h5": b"\x89HDF\r\n"}, r"tf_model\.h5 is a Keras"),
    "Flax": ({"config.json": b"{}", "flax_model.msgpack": b"\x84"}, "is not a model file"),
    "nothing in it": ({"model.safetensors": b""}, r"model\.safetensors is empty"),
    "a pipeline": ({"model_index.json": b'{"_class_name": "StableDiffusionPipeline"}'},
                   r"diffusers pipeline \(StableDiffusionPipeline\)"),
    "a dataset": ({"dataset_info.json": b"{}", "x.arrow": b"ARROW1\0\0"}, "holds a dataset"),
    "data": ({"data/train.parquet": b"PAR1\0\0", "README.md": b""}, "holds a dataset"),
    "a model below": ({"sub/x.bin": b"GGUF\x03\0\0\0", "a.txt": b""}, "there is one in sub"),
}  # fmt: skip


@pytest.mark.parametrize(("files", "words"), FOLDERS.values(), ids=FOLDERS)
def test_folders_that_hold_no_model(tmp_path: Path, files: dict[str, bytes], words: str) -> None:
    for name, raw in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(raw)
    for look in (formats.detect, formats.locate, formats.inspect):
        with pytest.raises(Unsupported, match=words) as error:
            look(tmp_path)
        assert error.value.hint
    with pytest.raises(Unsupported, match=words):
        formats.inspect(Memory(files))


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no model"):
        formats.inspect(tmp_path)


# -- folders and files -------------------------------------------------------------------------


def test_names_are_never_trusted(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", CONFIG)
    safetensors_file(tmp_path / "weights.txt", llama_tensors())
    assert formats.inspect(tmp_path).format is Format.SAFETENSORS
    (tmp_path / "weights.txt").unlink()
    torch_zip(tmp_path / "model.safetensors", llama_tensors(kind="F32"))
    assert formats.inspect(tmp_path).format is Format.PYTORCH
    tiny_llama(tmp_path / "model.safetensors")
    assert formats.inspect(tmp_path).format is Format.GGUF


def test_gguf_in_any_form(tmp_path: Path) -> None:
    path = tiny_llama(tmp_path / "a.gguf")
    info = formats.inspect(path)
    assert (info.format, info.architecture) == (Format.GGUF, "llama")
    assert formats.inspect(tmp_path) == info
    assert formats.inspect(FileSource.of(path)) == info
    assert formats.inspect(contents(tmp_path)) == info
    gguf_file(tmp_path / "b.gguf", metadata={"general.architecture": "x"})
    with pytest.raises(UsageError, match=r"holds 2 models: a\.gguf, b\.gguf"):
        formats.inspect(contents(tmp_path))


def test_weights_under_two_names_count_once(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path, shards=2)
    info = formats.inspect(folder)
    safetensors_file(folder / "consolidated.safetensors", llama_tensors())
    torch_zip(folder / "pytorch_model.bin", llama_tensors(kind="F32"))
    onnx_file(folder / "onnx" / "model.onnx", b"")
    assert formats.inspect(folder) == info


def test_a_snapshot_of_the_hub_is_links(tmp_path: Path) -> None:
    blobs = hf_folder(tmp_path / "blobs", shards=2)
    snapshot = tmp_path / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    for path in blobs.iterdir():
        (snapshot / path.name).symlink_to(Path("../../blobs") / path.name)
    assert formats.inspect(snapshot) == formats.inspect(blobs)


def test_special_files_are_left_alone(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "in")
    info = formats.inspect(folder)
    os.mkfifo(folder / "pipe.gguf")
    (folder / "loop").symlink_to("loop")
    (folder / "gone.gguf").symlink_to("nowhere")
    (folder / "around").symlink_to("..")
    (folder / "zero.gguf").symlink_to("/dev/zero")
    (folder / "folder.gguf").mkdir()
    assert formats.inspect(folder) == info
    for name in ("pipe.gguf", "loop", "gone.gguf", "zero.gguf"):
        for look in (formats.detect, formats.locate, formats.inspect):
            with pytest.raises(NotFound):
                look(folder / name)
    with pytest.raises(NotFound, match="holds no model"):
        formats.inspect(folder / "folder.gguf")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path)
    (folder / "config.json").chmod(0)
    with pytest.raises(NotFound, match=r"config\.json cannot be read"):
        formats.inspect(folder)
    folder.chmod(0)
    with pytest.raises(LlmrrError):
        formats.inspect(folder)
    folder.chmod(0o700)


def test_a_folder_is_looked_at_within_bounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a/b/c/deep", "a/b/seen", ".git/hidden", "top"):
        write_json(tmp_path / name, {})
    assert set(FolderFiles(tmp_path).sizes) == {"a/b/seen", "top"}
    assert set(FolderFiles(tmp_path, depth=0).sizes) == {"top"}
    with pytest.raises(NotFound, match="is not there"):
        FolderFiles(tmp_path).source("../x")
    with pytest.raises(NotFound, match="cannot be read"):
        FolderFiles(tmp_path / "top")
    monkeypatch.setattr("llmrr.formats.source.MAX_ENTRIES", 3)
    for number in range(9):
        safetensors_file(tmp_path / str(number), {})
    assert len(FolderFiles(tmp_path).sizes) < 4
    assert formats.inspect(tmp_path / "8").format is Format.SAFETENSORS


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "generation_config.json"])
def test_broken_files_beside_the_weights_are_named(tmp_path: Path, name: str) -> None:
    folder = hf_folder(tmp_path)
    (folder / name).write_text("{")
    with pytest.raises(DamagedFile, match=f"{name} is damaged: it is not JSON") as error:
        formats.inspect(folder)
    assert error.value.hint
