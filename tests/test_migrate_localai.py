"""LocalAI's models and galleries, as ``migrate scan`` reads them."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import KEYS, assert_absent

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import localai
from llmrr.migrate.readers.localai_gallery import merged
from llmrr.migrate.scanning import scan

GGUF = "name: gpt-4\nbackend: llama-cpp\nparameters:\n  model: x.gguf\n"


def read(text: str, folder: Path = Path("/nowhere"), name: str = "chat.yaml") -> Artefact:
    found = list(localai.of_data(Document(folder / name, text.encode())))
    assert len(found) == 1
    return found[0]


def codes(artefact: Artefact) -> list[str]:
    return [one.code for one in artefact.warnings]


def test_a_model_and_what_is_set_of_it() -> None:
    found = read(
        GGUF + "  temperature: 0.2\n  top_k: 40\n  max_tokens: 100\n  seed: -1\n"
        "context_size: 4096\nthreads: 4\ngpu_layers: 90\nf16: true\nmmlock: true\nmmap: false\n"
        "stopwords: [a, b]\nsystem_prompt: Be brief.\nmmproj: mm.gguf\nlora_adapter: l.gguf\n"
        "cache_type_k: q8_0\nflash_attention: on\ndescription: x\nusage: y\nknown_usecases: [chat]"
    )
    (model,) = found.models
    assert (model.name, model.source) == ("gpt-4", "file:x.gguf")
    assert model.params == {
        "temperature": 0.2, "top_k": 40, "max_tokens": 100, "seed": -1, "stop": ["a", "b"],
        "system": "Be brief.",
    }  # fmt: skip
    assert model.options == {
        "context_size": 4096, "threads": 4, "gpu_layers": 90, "mlock": True, "mmap": False,
        "mmproj": "mm.gguf", "lora": "l.gguf", "kv_type": "q8_0", "flash_attention": True,
    }  # fmt: skip
    assert not found.warnings


def test_files_that_localai_passes_over_are_said() -> None:
    found = read(GGUF, name=".hidden.yaml")
    assert not found.models and codes(found) == ["not-used-by-original"]


def test_a_list_of_models_in_one_file() -> None:
    found = read("".join(f"- name: {a}\n  parameters: {{model: {a}.gguf}}\n" for a in "ab"))
    assert [one.source for one in found.models] == ["file:a.gguf", "file:b.gguf"]


@pytest.mark.parametrize(
    ("backend", "model", "source", "options"),
    [
        ("llama-cpp", "huggingface://o/r/f.gguf@dev", "huggingface:o/r",
         {"file": "f.gguf", "revision": "dev"}),
        ("llama-cpp", "https://huggingface.co/o/r/resolve/main/f.gguf", "huggingface:o/r",
         {"file": "f.gguf"}),
        ("", "ollama://gemma:2b", "ollama:gemma:2b", {}),
        ("vllm", "o/r", "huggingface:o/r", {}),
        ("transformers", "o/r", "huggingface:o/r", {}),
        ("mlx", "mlx-community/r", "huggingface:mlx-community/r", {}),
        ("llama-cpp", "sub/r.gguf", "file:sub/r.gguf", {}),
    ],
)  # fmt: skip
def test_where_a_model_is(
    backend: str, model: str, source: str, options: dict[str, str]
) -> None:
    found = read(f"name: m\nbackend: '{backend}'\nparameters: {{model: '{model}'}}\nthreads: 2")
    (one,) = found.models
    assert one.source == source
    assert {k: v for k, v in one.options.items() if k != "threads"} == options


@pytest.mark.parametrize("model", ["oci://x/y", "github:o/r/x.gguf", "https://example.org/x.gguf"])
def test_addresses_that_have_no_source(model: str) -> None:
    found = read(f"name: m\nbackend: llama-cpp\nparameters: {{model: '{model}'}}")
    assert not found.models
    assert codes(found) == ["unsupported-source"]


def test_a_download_tells_where_a_file_is_from_unless_it_is_here(tmp_path: Path) -> None:
    text = GGUF + "download_files:\n- filename: x.gguf\n  uri: huggingface://o/r/y.gguf\n"
    (model,) = read(text, tmp_path).models
    assert (model.source, model.options, model.format) == (
        "huggingface:o/r", {"file": "y.gguf"}, "gguf"
    )  # fmt: skip
    (tmp_path / "x.gguf").write_bytes(b"GGUF")
    assert read(text, tmp_path).models[0].source == "file:x.gguf"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("backend: whisper", "other-role"), ("backend: stablediffusion-ggml", "other-role"),
        ("backend: bert-embeddings", "embedding-model"), ("embeddings: true", "embedding-model"),
        ("reranking: true", "other-role"), ("known_usecases: [image]", "other-role"),
        ("backend: piper", "other-role"), ("backend: diffusers", "other-role"),
    ],
)  # fmt: skip
def test_models_for_other_tasks(text: str, code: str) -> None:
    found = read(f"name: text-embedding-ada-002\nparameters: {{model: x.bin}}\nf16: true\n{text}")
    assert not found.models
    assert codes(found) == [code]


def test_templates_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "chatml.tmpl").write_text("<|im_start|>{{.Input}}")
    (tmp_path.parent / "out.tmpl").write_text("not yours")
    found = read(
        GGUF + "template:\n  chat: chatml\n  completion: absent\n  edit: ../out\n", tmp_path
    )
    assert [one.template for one in found.templates] == ["<|im_start|>{{.Input}}", "../out"]
    assert {one.format for one in found.templates} == {"go"}
    assert codes(found) == ["go-template", "go-template"]


def test_the_tokenizers_own_template_is_no_loss() -> None:
    assert not read(GGUF + "template: {use_tokenizer_template: true}").warnings


def test_a_proxy_is_a_remote_model() -> None:
    found = read(
        "name: far\nbackend: proxy\nproxy:\n  upstream_url: https://box.example/v1\n"
        "  provider: openai\n  upstream_model: big\n  api_key_env: BOX_KEY\n"
    )
    (model,) = found.models
    assert model.source == "openai:big"
    assert model.options == {"base_url": "https://box.example/v1", "api_key_env": "BOX_KEY"}
    planted = read(
        "name: far\nbackend: proxy\nproxy:\n  upstream_url: https://box.example/v1\n"
        f"  upstream_model: big\n  api_key: {KEYS['openai']}\n"
    )
    assert codes(planted) == ["secret-in-clear"]
    assert_absent(str(planted))


def test_a_key_of_the_server_is_none_of_a_local_model() -> None:
    found = read(GGUF + f"api_keys: [{KEYS['plain']}]\n")
    assert found.models[0].options == {}
    assert codes(found) == ["secret-in-clear"]
    assert_absent(repr(found))


def test_what_stays() -> None:
    found = read(
        GGUF + "  mirostat: 2\nroles: {user: 'U:'}\ntrimsuffix: ['\\n']\nfunction: {grammar: x}\n"
        "tensor_parallel_size: 2\nrope_freq_base: 0\n"
    )
    assert sorted(codes(found)) == [
        "chat-template", "gpu-split", "tools", "unmapped-parameter", "unmapped-parameter"
    ]  # fmt: skip


def test_yaml_of_others_is_not_localais() -> None:
    for text in (
        "apiVersion: v1\nkind: Pod\nbackend: x\nparameters: {model: y}\nname: z",
        "services: {a: {image: b}}", "model_list: []", "parameters: {size: 3}\nname: x",
        "backend: redis\nport: 1", "- a\n- b", "name: x",
    ):  # fmt: skip
        assert not list(localai.of_data(Document(Path("x.yaml"), text.encode())))


# -- galleries ---------------------------------------------------------------------------------


def test_an_entry_with_yaml_inside() -> None:
    found = read(
        "name: m\nlicense: x\nconfig_file: |\n  backend: llama\n  context_size: 1024\n"
        "  parameters: {model: f.gguf, temperature: 0.2}\n  template: {chat: own}\n"
        "prompt_templates:\n- {name: own, content: 'Say {{.Input}}'}\n"
        "files:\n- {filename: f.gguf, uri: 'huggingface://o/r/f.gguf'}\n"
    )
    assert found.kind == "localai-gallery"
    (model,) = found.models
    assert (model.name, model.source) == ("m", "huggingface:o/r")
    assert model.options == {"file": "f.gguf", "context_size": 1024}
    assert [one.template for one in found.templates] == ["Say {{.Input}}"]


def test_overrides_go_over_what_is_inside() -> None:
    found = read(
        "name: m\nurl: github:o/r/base.yaml@master\nconfig_file: {context_size: 1, f16: true}\n"
        "overrides: {context_size: 2, parameters: {model: o/f.gguf}}\n"
    )
    assert found.models[0].options == {"context_size": 2}
    assert codes(found) == ["hub-reference"]
    assert merged({"a": {"b": 1}}, {"a": 2}) == {"a": 2}


def test_damaged_yaml_inside_is_told() -> None:
    found = read('name: m\nconfig_file: |\n  stop: "\\\'"\n')
    assert not found.models
    assert codes(found) == ["syntax"]


@pytest.mark.parametrize(
    "text", ["name: v\ndescription: d\nlicense: l", "name: c\nconfig_file: 'backend: llama-cpp'"]
)
def test_a_template_of_models_is_none(text: str) -> None:
    found = read(text)
    assert not found.models
    assert codes(found) == ["no-model"]


def test_an_index_with_anchors_and_merges(tmp_path: Path) -> None:
    head = "- &b\n  name: m0\n  url: 'github:x/y.yaml@z'\n  license: l\n  urls: [u]\n" + entry(0)
    rest = "".join(f"- !!merge <<: *b\n  name: m{n}\n{entry(n)}" for n in range(1, 1700))
    path = tmp_path / "index.yaml"
    path.write_text(head + rest)
    (found,) = scan([path]).artefacts
    assert len(found.models) == 1700
    assert found.models[7].source == "huggingface:o/r7"
    assert codes(found) == ["hub-reference"]


def entry(number: int) -> str:
    return (
        f"  overrides: {{parameters: {{model: f{number}.gguf}}}}\n"
        f"  files: [{{filename: f{number}.gguf, uri: 'huggingface://o/r{number}/f.gguf'}}]\n"
    )


NAMES = st.text(max_size=6) | st.integers() | st.none() | st.booleans()
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner),
    max_leaves=8,
)
KEYS_OF_MODELS = st.sampled_from([
    "name", "backend", "parameters", "template", "proxy", "files", "config_file", "overrides",
    "roles", "lora_adapters", "known_usecases", "mmproj", "prompt_templates", "download_files",
    "url", "alias", "context_size", "stopwords",
])  # fmt: skip


@settings(max_examples=150)
@given(st.dictionaries(KEYS_OF_MODELS, VALUES, max_size=8))
def test_whatever_the_values_are_it_goes_on(table: dict[str, object]) -> None:
    document = Document(Path("x.yaml"), b"")
    for shape in (table, [table], {**table, "name": "m", "parameters": {"model": "x"}}):
        document.__dict__["shape"] = shape
        list(localai.of_data(document))


def test_a_base_that_lies_beside_is_read(tmp_path: Path) -> None:
    (tmp_path / "chatml.yaml").write_text(
        "name: chatml\nconfig_file: |\n  stopwords: [x]\n  context_size: 4096\n"
    )
    entry = "name: a\nlicense: mit\nurls: [u]\nurl: github:mudler/LocalAI/gallery/%s@master\n" \
        "overrides: {parameters: {model: a.gguf}, context_size: 8192}\n" \
        "files: [{filename: a.gguf, uri: 'huggingface://o/r/a.gguf'}]\n"  # fmt: skip
    (model,) = read(entry % "chatml.yaml", tmp_path, "a.yaml").models
    assert (model.name, model.params) == ("a", {"stop": ["x"]})
    assert model.options == {"file": "a.gguf", "context_size": 8192}
    assert codes(read(entry % "chatml.yaml", tmp_path, "a.yaml")) == []
    assert codes(read(entry % "other.yaml", tmp_path, "a.yaml")) == ["hub-reference"]


def test_a_model_outside_of_parameters_is_taken_and_told() -> None:
    found = read("name: m\nbackend: llama-cpp\nmodel: m.gguf\ncontext_size: 4096\n")
    assert found.models[0].source == "file:m.gguf"
    assert codes(found) == ["not-used-by-original"]


def test_what_llama_cpp_keeps_of_prompts_is_no_loss() -> None:
    found = read(GGUF + "  cache_prompt: true\n  keep: -1\nprompt_cache_path: c\n"
                 "prompt_cache_all: true\ncache_type_k: q8_0\ncache_type_v: q8_0\n"
                 "options: ['use_jinja:true']\n")  # fmt: skip
    assert not found.warnings
    assert found.models[0].options == {"kv_type": "q8_0"}


def test_a_backend_of_hugging_face_writes_text() -> None:
    found = read("name: gpt-3.5-turbo\nbackend: langchain-huggingface\n"
                 "parameters: {model: gpt2, temperature: 0.2, batch: 512}\n"
                 "template: {chat: a, completion: b}\n")  # fmt: skip
    (model,) = found.models
    assert (model.source, model.params) == ("huggingface:gpt2", {"temperature": 0.2})
    assert codes(found) == ["not-applied", "go-template"]
    assert "a.tmpl (chat), b.tmpl (completion)" in found.warnings[1].message
    assert codes(read("name: x\nbackend: insightface\nparameters: {model: f}\n")) == ["other-role"]
