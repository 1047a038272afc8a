"""Folders whose layout tells what they are: Transformers, adapters, MLX, the hub's cache,
LM Studio, GPT4All."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from holdings import COMMIT, HubCache, model_bytes, model_file, safetensors_bytes
from hypothesis import given
from hypothesis import strategies as st
from layouts import hf_folder, lora_folder, mlx_folder, write_json
from planted import KEYS, assert_absent

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.merging.setup import combined
from llmrr.migrate.readers import gpt4all, lm_studio, transformers
from llmrr.migrate.scanning import scan

SAMPLES = {"do_sample": True, "temperature": 0.6, "top_p": 0.9, "max_new_tokens": 50}


def one(path: Path) -> Artefact:
    (found,) = scan([path]).artefacts
    return found


def codes(artefact: Artefact) -> list[str]:
    return sorted({one.code for one in artefact.warnings} - {"mlx-elsewhere"})


def of_data(reader: Any, value: Any, name: str = "config.json") -> Artefact:
    (found,) = reader.of_data(Document(Path("m") / name, json.dumps(value).encode()))
    assert isinstance(found, Artefact)
    return found


# -- Transformers ------------------------------------------------------------------------------


def test_a_folder_of_transformers(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "tiny", config={"max_position_embeddings": 512})
    write_json(folder / "generation_config.json", {**SAMPLES, "repetition_penalty": 1.0})
    found = one(folder)
    assert found.kind == "transformers-dir"
    (model,) = found.models
    assert (model.name, model.source) == ("tiny", "file:./tiny")
    assert model.params == {"temperature": 0.6, "top_p": 0.9, "max_tokens": 50}
    assert model.options == {"context_size": 512}
    assert not found.warnings


@pytest.mark.parametrize(
    ("stated", "params", "warned"),
    [
        ({"_from_model_config": True, "temperature": 0.1}, {}, []),
        ({"temperature": 0.6, "eos_token_id": 2}, {"temperature": 0}, ["greedy"]),
        ({"do_sample": False, "top_p": 0.5}, {"temperature": 0}, ["greedy"]),
        ({"do_sample": True, "max_length": 4096}, {}, ["max-length-is-total"]),
        ({**SAMPLES, "num_beams": 4},
         {"temperature": 0.6, "top_p": 0.9, "max_tokens": 50}, ["unmapped-parameter"]),
    ],
)  # fmt: skip
def test_what_a_generation_config_sets(
    tmp_path: Path, stated: dict[str, Any], params: dict[str, Any], warned: list[str]
) -> None:
    folder = hf_folder(tmp_path / "tiny")
    write_json(folder / "generation_config.json", stated)
    found = one(folder)
    assert found.models[0].params == params
    assert codes(found) == warned


@pytest.mark.parametrize(
    ("config", "warned"),
    [
        ({"auto_map": {"AutoModelForCausalLM": "m.M"}}, ["remote-code"]),
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, ["not-applied"]),
        ({"architectures": ["BertModel"], "model_type": "bert"}, ["embedding-model"]),
        ({"architectures": ["WhisperForConditionalGeneration"], "model_type": "whisper"},
         ["other-role"]),
        ({"architectures": ["CLIPModel"], "model_type": "clip"}, ["embedding-model"]),
        ({"architectures": ["BertForSequenceClassification"], "model_type": "bert"},
         ["other-role"]),
        ({"_name_or_path": "/workspace/x"}, []),
    ],
)  # fmt: skip
def test_what_a_configuration_tells(
    tmp_path: Path, config: Mapping[str, Any], warned: list[str]
) -> None:
    found = one(hf_folder(tmp_path / "tiny", config=config))
    assert codes(found) == warned
    assert bool(found.models) == (not {"other-role", "embedding-model"} & set(warned))
    assert all(model.source == "file:./tiny" for model in found.models)


def test_a_vision_model_nests_its_sizes(tmp_path: Path) -> None:
    config = {"architectures": ["LlavaForConditionalGeneration"], "max_position_embeddings": None,
              "text_config": {"max_position_embeddings": 77}}  # fmt: skip
    assert one(hf_folder(tmp_path / "v", config=config)).models[0].options["context_size"] == 77


def test_pickles_and_missing_parts(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "tiny", shards=2)
    next(folder.glob("*-of-*")).unlink()
    assert codes(one(folder)) == ["incomplete"]
    for path in folder.glob("*safetensors*"):
        path.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"never unpickled")
    assert "has-pickles" in codes(one(folder))


def test_an_adapter_is_its_base_with_a_lora(tmp_path: Path) -> None:
    (model,) = one(lora_folder(tmp_path / "style")).models
    assert (model.name, model.source) == ("style", "huggingface:org/base")
    assert model.options == {"lora": "./style"}
    found = one(lora_folder(tmp_path / "own", base="/workspace/base"))
    assert found.models[0].source == "file:/workspace/base"
    assert codes(found) == ["foreign-path"]
    (model,) = one(lora_folder(tmp_path / "m", base="mlx-community/base", mlx=True)).models
    assert (model.source, model.engine) == ("huggingface:mlx-community/base", "mlx")


def test_a_configuration_alone_is_no_model() -> None:
    found = of_data(transformers, {"model_type": "llama", "architectures": ["LlamaForCausalLM"]})
    assert (found.kind, found.models, codes(found)) == ("transformers-dir", (), ["incomplete"])
    found = of_data(transformers, {**SAMPLES, "eos_token_id": 1}, "generation_config.json")
    assert (found.models, codes(found)) == ((), ["no-model"])
    assert not list(transformers.of_data(Document(Path("x.json"), b'{"model_type": "x"}')))


def test_mlx(tmp_path: Path) -> None:
    for bits in (4, None):
        found = one(mlx_folder(tmp_path / f"m{bits}", bits=bits))
        assert found.kind == "mlx-dir"
        (model,) = found.models
        assert (model.format, model.engine, model.source) == ("mlx", "mlx", f"file:./m{bits}")


def test_mlx_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = mlx_folder(tmp_path / "m")
    for system, said in (("linux", True), ("darwin", False)):
        monkeypatch.setattr("sys.platform", system)
        monkeypatch.setattr("platform.machine", lambda: "arm64")
        warned = [each.code for each in next(iter(transformers.of_folder(folder, folder))).warnings]
        assert ("mlx-elsewhere" in warned) is said


def test_a_diffusers_pipeline_is_for_images(tmp_path: Path) -> None:
    write_json(tmp_path / "sd" / "model_index.json", {"_class_name": "S", "_diffusers_version": ""})
    assert codes(one(tmp_path / "sd")) == ["other-role"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)
FIELDS = st.sampled_from([
    "model_type", "architectures", "auto_map", "quantization_config", "quantization",
    "text_config", "max_position_embeddings", "eos_token_id", "temperature", "do_sample",
    "peft_type", "base_model_name_or_path", "model", "revision", "max_length", "top_p",
])  # fmt: skip


@given(st.dictionaries(FIELDS, JSON, max_size=8))
def test_whatever_a_configuration_holds(table: dict[str, Any]) -> None:
    for value in (table, {**table, "model_type": "llama"}, {**table, "peft_type": "LORA"}):
        list(transformers.of_data(Document(Path("c.json"), json.dumps(value).encode())))


# -- the hub's cache ---------------------------------------------------------------------------


def test_a_cache(tmp_path: Path) -> None:
    cache = HubCache(tmp_path / "hub")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    cache.add("o/r--x", "config.json", json.dumps(config).encode())
    cache.add("o/r--x", "model.safetensors", safetensors_bytes())
    cache.add("o/r--x", "generation_config.json", json.dumps(SAMPLES).encode())
    cache.add("o/g-GGUF", "g.Q4_K_M.gguf", model_bytes(tmp_path / "made"))
    cache.add("gpt2", "config.json", json.dumps(config).encode())
    cache.add("gpt2", "model.safetensors", safetensors_bytes(), links=False)
    encoder = {"model_type": "bert", "architectures": ["BertModel"]}
    cache.add("o/bert", "config.json", json.dumps(encoder).encode())
    cache.add("o/bert", "model.safetensors", safetensors_bytes())
    cache.add("o/empty", "README.md", b"x")
    (tmp_path / "hub" / "datasets--o--d" / "snapshots").mkdir(parents=True)
    found = one(tmp_path / "hub")
    assert found.kind == "hf-cache"
    by_source = {model.source: model for model in found.models}
    assert set(by_source) == {"huggingface:gpt2", "huggingface:o/g-GGUF", "huggingface:o/r--x"}
    own = by_source["huggingface:o/r--x"]
    assert own.options == {"revision": COMMIT}
    assert own.params == {"temperature": 0.6, "top_p": 0.9, "max_tokens": 50}
    file = by_source["huggingface:o/g-GGUF"]
    assert file.options == {"revision": COMMIT, "file": "g.Q4_K_M.gguf"}
    assert (file.name, file.format) == ("g.Q4_K_M", "gguf")
    assert codes(found) == ["embedding-model", "incomplete"]


def test_a_download_that_is_not_complete(tmp_path: Path) -> None:
    blobs = tmp_path / "hub" / "models--o--r" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "ab.incomplete").write_bytes(b"x")
    found = one(tmp_path / "hub")
    assert (found.models, codes(found)) == ((), ["incomplete"])


# -- LM Studio ---------------------------------------------------------------------------------


def field(key: str, value: Any) -> dict[str, Any]:
    return {"key": key, "value": value}


def lm_home(root: Path) -> Path:
    model_file(root / "models" / "pub" / "r-GGUF" / "r.Q4_K_M.gguf")
    own = root / ".internal" / "user-concrete-model-default-config" / "pub" / "r-GGUF"
    write_json(own / "r.Q4_K_M.gguf.json", {
        "preset": "",
        "operation": {"fields": [
            field("llm.prediction.temperature", 0.3),
            field("llm.prediction.topPSampling", {"checked": False, "value": 0.5}),
            field("llm.prediction.topKSampling", 20),
            field("llm.prediction.repeatPenalty", {"checked": True, "value": 1.2}),
            field("llm.prediction.systemPrompt", "Be brief."),
        ]},
        "load": {"fields": [
            field("llm.load.contextLength", 8192),
            field("llm.load.llama.acceleration.offloadRatio", 0.5),
            field("llm.load.llama.flashAttention", True),
        ]},
    })  # fmt: skip
    return root


def test_lm_studios_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "away"))
    (model,) = one(lm_home(tmp_path / ".lmstudio")).models
    assert (model.name, model.source) == ("r.Q4_K_M", "huggingface:pub/r-GGUF")
    assert model.options == {
        "file": "r.Q4_K_M.gguf", "context_size": 8192, "flash_attention": True
    }  # fmt: skip
    assert model.params == {
        "temperature": 0.3, "top_k": 20, "repeat_penalty": 1.2, "system": "Be brief."
    }  # fmt: skip
    assert model.weights is not None
    assert Path(model.weights).is_file()
    monkeypatch.setenv("HOME", str(tmp_path))
    (model,) = one(tmp_path / ".lmstudio" / "models").models
    assert model.source == "lmstudio:pub/r-GGUF/r.Q4_K_M.gguf"


@pytest.mark.parametrize(
    "preset",
    [
        {"name": "p", "load_params": {"n_ctx": 2048, "n_batch": 512},
         "inference_params": {"temp": 0.5, "pre_prompt": "Be {brief}."}},
        {"identifier": "@local:p", "name": "p",
         "operation": {"fields": [field("llm.prediction.temperature", 0.5),
                                  field("llm.prediction.systemPrompt", "Be {brief}.")]},
         "load": {"fields": [field("llm.load.contextLength", 2048)]}},
    ],
)  # fmt: skip
def test_presets_belong_to_no_model(preset: dict[str, Any]) -> None:
    found = of_data(lm_studio, preset, "p.preset.json")
    assert not found.models
    assert found.templates[0].messages == (("system", "Be {{brief}}."),)
    assert codes(found) == ["no-model"]
    assert "temperature = 0.5, context_size = 2048" in found.warnings[0].message


def test_presets_in_lm_studios_home(tmp_path: Path) -> None:
    home = lm_home(tmp_path / ".lmstudio")
    says = {"operation": {"fields": [field("llm.prediction.systemPrompt", "Be brief.")]}}
    write_json(home / "config-presets" / "a.preset.json", {"name": "Writer", **says})
    old = {"inference_params": {"pre_prompt": "Be exact."}}
    write_json(home / "hub" / "presets" / "me" / "coder" / "preset.json", old)
    write_json(home / "hub" / "presets" / "me" / "coder" / "manifest.json", {"type": "preset"})
    (home / "config-presets" / "b.preset.json").write_text("{")
    found = one(home)
    assert [each.name for each in found.templates] == ["Writer", "coder"]
    told = [each.code for each in found.warnings]
    assert (told.count("no-model"), told.count("unreadable")) == (2, 1)
    assert len(found.models) == 1


# -- GPT4All -----------------------------------------------------------------------------------


def test_gpt4alls_folder(tmp_path: Path) -> None:
    folder = tmp_path / "nomic.ai" / "GPT4All"
    model_file(folder / "tiny.Q4_0.gguf")
    write_json(folder / "models3.json", [{
        "filename": "tiny.Q4_0.gguf", "name": "Tiny", "md5sum": "x", "quant": "q4_0",
        "systemMessage": "Be brief.", "chatTemplate": "{{ messages }}"}])  # fmt: skip
    write_json(folder / "far.rmodel", {
        "apiKey": KEYS["plain"], "modelName": "gpt-4o", "baseUrl": "https://api.openai.com/v1/",
    })  # fmt: skip
    found = one(tmp_path)
    local, far = found.models
    assert (local.name, local.source) == ("tiny.Q4_0", "file:./GPT4All/tiny.Q4_0.gguf")
    assert local.params == {"system": "Be brief."}
    assert (far.source, far.options) == ("openai:gpt-4o", {"api_key_env": "OPENAI_API_KEY"})
    assert [each.format for each in found.templates] == ["jinja2"]
    assert codes(found) == ["jinja-template", "secret-in-clear"]
    assert_absent(json.dumps(found.as_json()) + repr(found))


def test_a_remote_model_alone() -> None:
    found = of_data(gpt4all, {
        "apiKey": KEYS["groq"], "modelName": "llama-3.3", "baseUrl": "https://box.example/v1",
    }, "x.rmodel")  # fmt: skip
    (model,) = found.models
    assert (model.source, model.options["base_url"]) == (
        "openai:llama-3.3", "https://box.example/v1"
    )  # fmt: skip
    assert_absent(repr(found))


def test_settings_of_gpt4all(tmp_path: Path) -> None:
    text = (
        "[General]\nmodelPath=/models\n[model-a%20b.gguf]\ntemperature=0.4\ntopK=10\n"
        "maxLength=128\ncontextLength=2048\ngpuLayers=100\npromptBatchSize=128\n"
        'systemMessage="Be\\nbrief."\n[model-0a1b]\nname=Odd\ntopP=0.1\n'
        'systemMessage="Be {odd}."\n'
    )
    path = tmp_path / "GPT4All.ini"
    path.write_text(text)
    found = one(path)
    (model,) = found.models
    assert model.source == "file:/models/a b.gguf"
    assert model.params == {
        "temperature": 0.4, "top_k": 10, "max_tokens": 128, "system": "Be\nbrief."
    }  # fmt: skip
    assert model.options == {"context_size": 2048}
    assert codes(found) == ["no-model"]
    assert "top_p = 0.1" in found.warnings[0].message
    assert [one.messages for one in found.templates] == [(("system", "Be {{odd}}."),)]


@pytest.mark.parametrize(
    ("call", "source"),
    [
        ("G('tiny.Q4_0.gguf')", "file:~/.cache/gpt4all/tiny.Q4_0.gguf"),
        ("G(model_name='tiny', model_path='./models', n_ctx=512)", "file:./models/tiny.gguf"),
    ],
)  # fmt: skip
def test_code_that_uses_gpt4all(call: str, source: str) -> None:
    text = (
        f"from gpt4all import GPT4All as G\nm = {call}\nwith m.chat_session('Be brief.'):\n"
        "    print(m.generate('Hi', max_tokens=9, temp=0.5, streaming=False))\n"
    )
    (found,) = gpt4all.READER.of_code(Document(Path("a.py"), text.encode()))  # type: ignore[misc]
    (model,) = found.models
    assert (found.kind, model.source) == ("gpt4all", source)
    assert model.params == {"system": "Be brief.", "max_tokens": 9, "temperature": 0.5}


def test_what_gpt4all_offers_is_not_in_use() -> None:
    found = of_data(gpt4all, [{"filename": "x.gguf", "md5sum": "y"}], "models3.json")
    assert (found.kind, found.models, codes(found)) == ("gpt4all", (), ["no-model"])


# -- plain folders ---------------------------------------------------------------------------------


def test_a_folder_of_gguf_files_is_its_models(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    model_file(folder / "see-7b-Q4_0.gguf")
    model_file(folder / "mmproj-see-7b-f16.gguf")
    model_file(folder / "below" / "other.gguf")
    model_file(folder / "parts-00001-of-00002.gguf")
    (folder / "README.md").write_text("llama-server -m x.gguf")
    found, below = scan([tmp_path]).artefacts
    assert {found.kind, below.kind} == {"custom"}
    (model,) = found.models
    assert (model.name, model.source) == ("see-7b-Q4_0", "file:./models/see-7b-Q4_0.gguf")
    assert model.options == {"mmproj": "./models/mmproj-see-7b-f16.gguf"}
    assert codes(found) == ["incomplete"]
    assert [one.source for one in below.models] == ["file:./below/other.gguf"]
    model_file(tmp_path / "tests" / "data" / "t.gguf")
    (folder / "config.ini").write_text("")
    assert [one.path.name for one in scan([tmp_path]).artefacts] == ["below"]


def test_a_file_that_code_names_is_one_model(tmp_path: Path) -> None:
    model_file(tmp_path / "models" / "q.gguf")
    model_file(tmp_path / "models" / "r.gguf")
    (tmp_path / "app.py").write_text(
        "from llama_cpp import Llama\nm = Llama(model_path='./models/q.gguf', n_ctx=512)\n"
    )
    found = combined(scan([tmp_path]).artefacts, tmp_path)
    assert [(one.source, one.options) for one in found.models] == [
        ("file:./models/q.gguf", {"context_size": 512}), ("file:./models/r.gguf", {}),
    ]  # fmt: skip


# -- LM Studio as it is written ----------------------------------------------------------------


def test_what_lm_studio_states_of_every_model_is_no_warning() -> None:
    found = of_data(lm_studio, {"name": "p", "operation": {"fields": [
        field("llm.prediction.temperature", 0.3),
        field("llm.prediction.contextOverflowPolicy", "truncateMiddle"),
        field("llm.prediction.structured", {"type": "none"})]}, "load": {"fields": [
            field("llm.load.llama.acceleration.offloadRatio", 1),
            field("llm.load.offloadKVCacheToGpu", True),
            field("llm.load.numParallelSessions", 4),
            field("llm.load.llama.kCacheQuantizationType", {"checked": True, "value": "q8_0"}),
            field("llm.load.llama.vCacheQuantizationType", {"checked": True, "value": "q8_0"}),
        ]}}, "p.json")  # fmt: skip
    assert codes(found) == ["no-model"]
    said = found.warnings[0].message
    assert "gpu_layers = -1" in said
    assert 'kv_type = "q8_0"' in said


def test_parameters_of_an_inference_are_no_preset() -> None:
    shape = {"model_version": "1", "inference_params": {"scenario": "a"}}
    assert not list(lm_studio.of_data(Document(Path("x.json"), json.dumps(shape).encode())))
