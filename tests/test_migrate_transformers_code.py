"""Code that uses Transformers, vLLM, MLX and the hub's inference client."""

import json
import sys
from pathlib import Path

import pytest
from planted import KEYS, assert_absent

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers import mlx, transformers_code

AUTO = "from transformers import AutoModelForCausalLM, AutoTokenizer, pipeline\n"
LOAD = AUTO + "m = AutoModelForCausalLM.from_pretrained('org/model')\n"
# The example of the guide.
DIALOGUE = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("microsoft/DialoGPT-medium")
model = AutoModelForCausalLM.from_pretrained("microsoft/DialoGPT-medium")

def chat(prompt):
    inputs = tokenizer.encode(prompt + tokenizer.eos_token, return_tensors="pt")
    outputs = model.generate(inputs, max_length=1000, pad_token_id=tokenizer.eos_token_id)
    return tokenizer.decode(outputs[0], skip_special_tokens=True)
"""


def read(text: str, name: str = "app.py", folder: Path = Path("/nowhere")) -> Artefact:
    document = Document(Path("src") / name, text.encode(), folder / name)
    found = [*transformers_code.of_code(document), *mlx.of_code(document)]
    assert len(found) == 1, document.problem
    return found[0]


def codes(artefact: Artefact) -> list[str]:
    return [one.code for one in artefact.warnings if one.code != "mlx-elsewhere"]


def test_the_example_of_the_guide() -> None:
    found = read(DIALOGUE)
    (model,) = found.models
    assert model.source == "huggingface:microsoft/DialoGPT-medium"
    assert model.params == {"max_tokens": 1000, "stop": ["<|endoftext|>"]}
    assert (model.line, model.call_sites) == (4, [8])
    assert codes(found) == ["max-length-is-total"]


def test_settings_of_an_object_count_with_what_is_set_on_it() -> None:
    found = read(
        "from transformers import GenerationConfig\n" + LOAD
        + "g = GenerationConfig.from_pretrained('org/model')\ng.max_new_tokens = 9\ng.top_p = 0.5\n"
        "m.generation_config.temperature = 0.25\nm.generate(x, generation_config=g)\n"
    )
    assert found.models[0].params == {"max_tokens": 9, "top_p": 0.5, "temperature": 0.25}


def test_max_length_gives_way_to_max_new_tokens() -> None:
    found = read(LOAD + "m.generate(x, max_length=1000, max_new_tokens=20)")
    assert found.models[0].params == {"max_tokens": 20}
    assert not found.warnings


def test_the_token_that_ends_a_text_is_that_of_the_models_folder(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    added = {"7": {"content": "<7>"}}
    settings = {"eos_token": {"content": "<end>"}, "added_tokens_decoder": added}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    code = AUTO + (
        "t = AutoTokenizer.from_pretrained('./own')\n"
        "m = AutoModelForCausalLM.from_pretrained('./own')\n"
        "m.generate(x, eos_token_id=[t.eos_token_id, 7])"
    )
    (model,) = read(code, folder=tmp_path).models
    assert (model.source, model.params) == ("file:./own", {"stop": ["<end>", "<7>"]})


def test_a_token_that_is_not_known_is_told() -> None:
    found = read(LOAD + "m.generate(x, eos_token_id=tok.eos_token_id)")
    assert found.models[0].params == {}
    assert codes(found) == ["unresolved"]


@pytest.mark.parametrize(
    ("code", "sources", "warned"),
    [
        (AUTO + "pipeline('text-generation', model='o/r')", ["huggingface:o/r"], []),
        (AUTO + "pipeline('text-generation', 'o/r')", ["huggingface:o/r"], []),
        (AUTO + "pipeline(model='gpt2', task='text-generation')", ["huggingface:gpt2"], []),
        (AUTO + "pipeline('text-generation')", [], ["no-model"]),
        (AUTO + "pipeline('summarization', model='o/r')", [], ["other-role"]),
        (AUTO + "pipeline('feature-extraction', model='o/r')", [], ["embedding-model"]),
        (AUTO + "AutoTokenizer.from_pretrained('o/r')\npipeline('text-generation', 'o/r')",
         ["huggingface:o/r"], []),
        (LOAD + "pipeline('text-generation', model=m)", ["huggingface:org/model"], []),
        (AUTO + "def f(name):\n  AutoModelForCausalLM.from_pretrained(name)", [], ["unresolved"]),
        (AUTO + "AutoModelForCausalLM.from_pretrained('<your model>')", [], ["placeholder"]),
        ("from transformers import WhisperForConditionalGeneration as W\n"
         "W.from_pretrained('openai/whisper-tiny')", [], ["other-role"]),
        ("from transformers import AutoModel\nAutoModel.from_pretrained('o/bert')", [],
         ["embedding-model"]),
        ("from transformers import AutoModel\nm = AutoModel.from_pretrained('o/chat')\n"
         "m.chat(tok, 'hi')", ["huggingface:o/chat"], []),
        ("import transformers\ntransformers.LlamaForCausalLM.from_pretrained('o/r')",
         ["huggingface:o/r"], []),
        ("from sentence_transformers import SentenceTransformer as S\nS('o/e')", [],
         ["embedding-model"]),
        ("from diffusers import StableDiffusionPipeline as S\n" + AUTO +
         "S.from_pretrained('o/sd')", [], ["other-role"]),
        ("from diffusers import ControlNetModel as C\n" + AUTO + "C.from_pretrained('o/c')", [],
         ["other-role"]),
        ("from transformers import BertModel as B\nB.from_pretrained('o/b')", [],
         ["embedding-model"]),
        ("from mine import MyModel\n" + AUTO + "MyModel.from_pretrained('o/b')\n"
         "pipeline('text-generation', 'o/r')", ["huggingface:o/r"], []),
        (AUTO + "M = 'o/r'\nAutoModelForCausalLM.from_pretrained(M, revision='v1')",
         ["huggingface:o/r"], []),
        (AUTO + "import os\nAutoModelForCausalLM.from_pretrained(os.getenv('M', 'o/r'))",
         ["huggingface:o/r"], ["env-default"]),
        (AUTO + "AutoModelForCausalLM.from_pretrained('/data/x')", ["file:/data/x"],
         ["foreign-path"]),
        ("from peft import PeftModel\n" + LOAD + "p = PeftModel.from_pretrained(m, './lora')",
         ["huggingface:org/model"], []),
    ],
)  # fmt: skip
def test_which_models_are_loaded(code: str, sources: list[str], warned: list[str]) -> None:
    found = read(code)
    assert [one.source for one in found.models] == sources
    assert codes(found) == warned


def test_how_a_model_is_loaded() -> None:
    found = read(
        AUTO + "from transformers import BitsAndBytesConfig\n"
        "AutoModelForCausalLM.from_pretrained('o/r-GGUF', gguf_file='r.gguf', device_map='auto',\n"
        "    torch_dtype='auto', quantization_config=BitsAndBytesConfig(load_in_4bit=True),\n"
        f"    trust_remote_code=True, token='{KEYS['huggingface']}')"
    )
    (model,) = found.models
    assert (model.options, model.format) == ({"file": "r.gguf"}, "gguf")
    assert codes(found) == ["gpu-split", "not-applied", "remote-code", "secret-in-clear"]
    assert_absent(repr(found))


def test_keys_of_the_hub_never_come_out() -> None:
    found = read(f"from huggingface_hub import login\nlogin('{KEYS['plain']}')")
    assert codes(found) == ["secret-in-clear"]
    assert_absent(repr(found))


def test_how_a_model_is_asked() -> None:
    found = read(
        AUTO + "p = pipeline('text-generation', model='o/r', max_new_tokens=64)\n"
        "def ask(name):\n"
        "    return p(f'Hello {name}', do_sample=True, temperature=0.4, top_k=50, num_beams=1,\n"
        "             repetition_penalty=1.1, return_full_text=False, num_return_sequences=1)\n"
    )
    (model,) = found.models
    assert model.params == {
        "max_tokens": 64, "temperature": 0.4, "top_k": 50, "repeat_penalty": 1.1
    }  # fmt: skip
    assert [(one.template, one.model) for one in found.templates] == [("Hello {name}", "r")]
    assert not found.warnings


def test_greedy_and_configurations_of_generation() -> None:
    found = read(
        LOAD + "from transformers import GenerationConfig\n"
        "c = GenerationConfig(max_new_tokens=9, do_sample=False, temperature=0.9)\n"
        "m.generate(x, generation_config=c)"
    )
    assert found.models[0].params == {"max_tokens": 9, "temperature": 0}
    assert codes(found) == ["greedy"]


def test_calls_that_say_otherwise_are_told() -> None:
    found = read(LOAD + "m.generate(x, max_new_tokens=1)\nm.generate(x, max_new_tokens=2)")
    assert found.models[0].params == {"max_tokens": 1}
    assert codes(found) == ["not-applied"]
    assert found.models[0].call_sites == [3, 4]


def test_a_model_in_an_attribute_and_in_a_parameter() -> None:
    found = read(
        AUTO + "class Bot:\n  def __init__(self):\n"
        "    self.m = AutoModelForCausalLM.from_pretrained('o/r').to('cuda').eval()\n"
        "  def go(self, x):\n    return self.m.generate(x, max_new_tokens=5)\n"
    )
    assert found.models[0].params == {"max_tokens": 5}
    found = read(LOAD + "def ask(model, x):\n    return model.generate(x, max_new_tokens=6)\n")
    assert found.models[0].params == {"max_tokens": 6}


def test_a_thread_that_streams() -> None:
    found = read(
        "from threading import Thread\n" + LOAD +
        "kw = dict(inputs, streamer=s, max_new_tokens=12, temperature=0.2)\n"
        "Thread(target=m.generate, kwargs=kw).start()"
    )
    assert found.models[0].params == {"max_tokens": 12, "temperature": 0.2}
    assert found.models[0].call_sites == [5]


def test_messages() -> None:
    found = read(
        AUTO + "p = pipeline('text-generation', model='o/r')\n"
        "p([{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': q}])"
    )
    assert found.models[0].params == {"system": "Be brief."}


def test_ctransformers() -> None:
    found = read(
        "from ctransformers import AutoModelForCausalLM as A\n"
        "llm = A.from_pretrained('o/r-GGUF', model_file='r.gguf', gpu_layers=50,\n"
        "                        model_type='llama', context_length=2048)\n"
        "llm('Hi', temperature=0.3, max_new_tokens=9)"
    )
    (model,) = found.models
    assert model.options == {"file": "r.gguf", "gpu_layers": 50, "context_size": 2048}
    assert model.params == {"temperature": 0.3, "max_tokens": 9}
    assert not found.warnings


def test_vllm() -> None:
    found = read(
        "from vllm import LLM, SamplingParams\n"
        "llm = LLM(model='o/r', max_model_len=4096, tensor_parallel_size=2, dtype='auto')\n"
        "s = SamplingParams(temperature=0.8, top_p=0.95, max_tokens=10, stop=['x'], top_k=-1)\n"
        "llm.generate(['a'], s)"
    )
    (model,) = found.models
    assert model.params == {"temperature": 0.8, "top_p": 0.95, "max_tokens": 10, "stop": ["x"]}
    assert model.options == {"context_size": 4096}
    assert codes(found) == ["gpu-split"]


JS = "import { pipeline } from '@huggingface/transformers';\n"


def test_transformers_js() -> None:
    found = read(
        JS + "const g = await pipeline('text-generation', 'onnx-community/r', {dtype: 'q4'});\n"
        "const out = await g('Hi', {max_new_tokens: 20, temperature: 0.5, do_sample: true});\n",
        "app.mjs",
    )
    (model,) = found.models
    assert model.source == "huggingface:onnx-community/r"
    assert model.params == {"max_tokens": 20, "temperature": 0.5}
    found = read(JS + "await pipeline('feature-extraction', 'Xenova/all-MiniLM')", "app.ts")
    assert codes(found) == ["embedding-model"]


def test_the_usual_class_around_a_pipeline() -> None:
    found = read(
        JS + "class G {\n  static task = 'text-generation'; static model = 'Xenova/r';\n"
        "  static async get() { return this.i ??= pipeline(this.task, this.model); }\n}\n"
        "const g = await G.get();\nawait g('Hi', {max_new_tokens: 5});\n",
        "worker.js",
    )
    (model,) = found.models
    assert (model.source, model.params) == ("huggingface:Xenova/r", {"max_tokens": 5})
    assert model.call_sites == [7]


def test_the_inference_client() -> None:
    found = read(
        "import os\nfrom huggingface_hub import InferenceClient\n"
        "c = InferenceClient('o/r', token=os.environ['MY_HF'], provider='together')\n"
        "c.chat_completion([{'role': 'system', 'content': 'S'}], max_tokens=5, temperature=0.1)\n"
    )
    (model,) = found.models
    assert model.source == "openai:o/r:together"
    assert model.options == {
        "base_url": "https://router.huggingface.co/v1", "api_key_env": "MY_HF"
    }  # fmt: skip
    assert model.params == {"max_tokens": 5, "temperature": 0.1, "system": "S"}


def test_the_inference_client_with_a_key_in_clear() -> None:
    found = read(
        "from huggingface_hub import InferenceClient\n"
        f"c = InferenceClient(token='{KEYS['huggingface']}')\n"
        "c.chat.completions.create(model='o/r', messages=[], max_tokens=7)\n"
        "c.text_to_image('x')\n"
    )
    (model,) = found.models
    assert model.options["api_key_env"] == "HF_TOKEN"
    assert "secret-in-clear" in codes(found)
    assert "other-role" in codes(found)
    assert_absent(repr(found))


def test_the_inference_client_of_javascript() -> None:
    found = read(
        "import { InferenceClient } from '@huggingface/inference';\n"
        "const c = new InferenceClient(process.env.HF_TOKEN);\n"
        "await c.textGeneration({model: 'o/r', inputs: 'x', parameters: {max_new_tokens: 3}});\n",
        "app.mjs",
    )
    (model,) = found.models
    assert (model.source, model.params) == ("openai:o/r", {"max_tokens": 3})


def test_mlx() -> None:
    found = read(
        "from mlx_lm import load, generate\nfrom mlx_lm.sample_utils import make_sampler\n"
        "model, tokenizer = load('mlx-community/r', adapter_path='./lora')\n"
        "s = make_sampler(0.3, top_p=0.9)\n"
        "def ask(q):\n  return generate(model, tokenizer, prompt=f'Q: {q}', max_tokens=50,\n"
        "                  sampler=s, verbose=True)\n"
    )
    assert found.kind == "mlx-code"
    (model,) = found.models
    assert (model.source, model.format, model.engine) == (
        "huggingface:mlx-community/r", "mlx", "mlx"
    )  # fmt: skip
    assert model.params == {"temperature": 0.3, "top_p": 0.9, "max_tokens": 50}
    assert model.options == {"lora": "./lora"}
    assert [one.template for one in found.templates] == ["Q: {q}"]


def test_mlx_for_speech() -> None:
    found = read("import mlx_whisper\nmlx_whisper.transcribe('a.mp3')")
    assert (found.models, codes(found)) == ((), ["other-role"])


def test_arguments_of_mlxs_server() -> None:
    script = (
        "#!/bin/sh\n# mlx_lm.server --model o/not\npip install mlx_lm\n"
        "exec python3 -m mlx_lm.server --model mlx-community/r --adapter-path ./lora \\\n"
        "  --temp 0.2 --top-p 0.9 --max-tokens 64 --host 0.0.0.0 --port 8080 --draft-model o/d\n"
        "mlx_lm.convert --hf-path o/r\nmlx_lm.generate --model ./own --prompt hi\n"
    )
    (found,) = mlx.of_data(Document(Path("serve.sh"), script.encode()))
    model, own = found.models
    assert (model.source, model.line) == ("huggingface:mlx-community/r", 4)
    assert model.params == {"temperature": 0.2, "top_p": 0.9, "max_tokens": 64}
    assert model.options == {"lora": "./lora"}
    assert own.source == "file:./own"
    assert "mlx-elsewhere" in repr(found.warnings) or sys.platform == "darwin"
    found = read("import subprocess as s\ns.run(['mlx_lm.server', '--model', 'mlx-community/r'])")
    assert [one.source for one in found.models] == ["huggingface:mlx-community/r"]


def test_a_training_of_mlx() -> None:
    text = "model: mlx-community/r\ntrain: true\niters: 10\nnum_layers: 4\nadapter_path: out\n"
    (found,) = mlx.of_data(Document(Path("lora.yaml"), text.encode()))
    assert [one.source for one in found.models] == ["huggingface:mlx-community/r"]
    assert codes(found) == ["not-applied", "framework-logic"]
    assert not list(mlx.of_data(Document(Path("x.yaml"), b"model: a\ntrain: true\n")))


def test_code_without_models_is_none() -> None:
    for text in (AUTO + "t = AutoTokenizer.from_pretrained('o/r')\n", "import os\n"):
        document = Document(Path("x.py"), text.encode())
        assert not [*transformers_code.of_code(document), *mlx.of_code(document)]


@pytest.mark.parametrize(
    ("code", "params"),
    [
        ("g = generation_config = m.generation_config\ngeneration_config.max_new_tokens = 200\n"
         "generation_config.temperature = 0.7\n"
         "m.generate(**tokenizer('x'), generation_config=generation_config)",
         {"max_tokens": 200, "temperature": 0.7}),
        ("m.generation_config.top_p = None\nm.generation_config.max_new_tokens = 200\n"
         "m.generate(x, max_new_tokens=20)", {"max_tokens": 20}),
        ("m.generation_config.do_sample = False\nm.generation_config.temperature = None",
         {"temperature": 0}),
    ],
)  # fmt: skip
def test_what_is_set_on_a_generation_config(code: str, params: dict[str, object]) -> None:
    found = read(LOAD + code)
    assert found.models[0].params == params
    assert set(codes(found)) <= {"greedy"}
