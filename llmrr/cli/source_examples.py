"""An example of every source that ``llmrr migrate`` reads, for llmrr-migrate-sources(7): what it
gives is not written here, but found by migrating it."""

import json
from collections.abc import Mapping
from typing import Final, NamedTuple


class Example(NamedTuple):
    """``files`` by their paths, with their content; of those in ``hidden`` only the names are
    shown, where the layout of a folder is what tells."""

    title: str
    about: str
    files: Mapping[str, str]
    hidden: tuple[str, ...] = ()


def _json(value: object) -> str:
    return json.dumps(value, indent=1) + "\n"


def _weights(metadata: Mapping[str, str]) -> str:
    """A safetensors file without tensors: the length of its header, and that."""
    head = json.dumps({"__metadata__": metadata})
    return len(head).to_bytes(8, "little").decode("latin-1") + head


_CONFIG: Final = {"architectures": ["LlamaForCausalLM"], "model_type": "llama",
                  "max_position_embeddings": 2048}  # fmt: skip
_LAYER: Final = "application/vnd.ollama.image"

EXAMPLES: Final = (
    Example("LangChain, serialized", "What dumps() wrote; keys are names in it.", {
        "chain.json": _json({
            "lc": 1, "type": "constructor", "id": ["langchain", "chat_models", "openai",
                                                   "ChatOpenAI"],
            "kwargs": {"model_name": "gpt-4o", "temperature": 0.2,
                       "openai_api_key": {"lc": 1, "type": "secret", "id": ["OPENAI_API_KEY"]}},
        }),
    }),
    Example("LangChain, saved by older versions", "Files with a _type, in JSON or YAML.", {
        "llm.yaml": "_type: openai\nmodel_name: gpt-3.5-turbo-instruct\ntemperature: 0.7\n"
        "max_tokens: 256\nbest_of: 1\n",
    }),
    Example("LangChain, in code", "Python, notebooks, JavaScript and TypeScript. A chain of "
            "fallbacks and the prompts that are piped into a model come along.", {
        "app.py": "from langchain_openai import ChatOpenAI\n"
        "from langchain_anthropic import ChatAnthropic\n"
        "from langchain_core.prompts import ChatPromptTemplate\n\n"
        "small = ChatAnthropic(model='claude-3-5-haiku-latest', max_tokens=512)\n"
        "llm = ChatOpenAI(model='gpt-4o', temperature=0).with_fallbacks([small])\n"
        "prompt = ChatPromptTemplate.from_messages(\n"
        "    [('system', 'Answer in {language}.'), ('human', '{question}')])\n"
        "chain = prompt | llm\n",
    }),
    Example("langchain.config.js", "By the shape of what it exports, under any name.", {
        "langchain.config.js": "export default {\n  models: [\n"
        "    { modelName: 'gpt-3.5-turbo', provider: 'openai', temperature: 0.7 },\n  ],\n};\n",
    }),
    Example("LlamaIndex, written by to_dict()", "Such files hold keys in clear: they stay there.", {
        "llm.json": _json({"class_name": "openai_llm", "model": "gpt-4o-mini", "temperature": 0.1,
                           "max_tokens": 256, "api_base": "https://api.openai.com/v1"}),
    }),
    Example("LlamaIndex, in code", "Settings, the older ServiceContext, and TypeScript.", {
        "settings.py": "from llama_index.core import Settings\n"
        "from llama_index.llms.ollama import Ollama\n\n"
        "Settings.llm = Ollama(model='llama3.1', request_timeout=120.0, context_window=8000)\n",
    }),
    Example("OpenAI, in code", "The libraries of every generation, in Python, JavaScript and "
            "TypeScript; a text with plain holes becomes a template.", {
        "summary.py": "from openai import OpenAI\n\nclient = OpenAI()\n\n"
        "def summarize(text):\n    return client.chat.completions.create(\n"
        "        model='gpt-4o-mini', temperature=0.3, max_tokens=200,\n"
        "        messages=[{'role': 'user', 'content': f'Summarize: {text}'}],\n    )\n",
    }),
    Example("Azure OpenAI", "The name in the call is that of a deployment.", {
        "azure.ts": "import { AzureOpenAI } from 'openai';\n"
        "const client = new AzureOpenAI({\n  endpoint: 'https://example.openai.azure.com',\n"
        "  apiKey: process.env.AZURE_KEY, apiVersion: '2024-10-21' });\n"
        "await client.chat.completions.create({ model: 'chat-prod', messages });\n",
    }),
    Example("openai.config.js", "The shape of the guide, or one that exports a client.", {
        "openai.config.js": "module.exports = {\n  apiKey: process.env.OPENAI_API_KEY,\n"
        "  model: 'gpt-3.5-turbo',\n  temperature: 0.7,\n};\n",
    }),
    Example("Files of variables", "Keys stay where they are: env_file points there.", {
        ".env": "OPENAI_API_KEY=...\nOPENAI_MODEL=gpt-4o\n",
    }),
    Example("A folder of Transformers", "What save_pretrained() wrote, by its config.json.", {
        "model/config.json": _json(_CONFIG),
        "model/generation_config.json": _json({"do_sample": True, "temperature": 0.6}),
        "model/model.safetensors": _weights({"format": "pt"}),
    }, hidden=("model/model.safetensors",)),
    Example("The cache of Hugging Face", "Models are used where they lie.", {
        "hub/models--org--tiny/refs/main": "0123abc",
        "hub/models--org--tiny/snapshots/0123abc/config.json": _json(_CONFIG),
        "hub/models--org--tiny/snapshots/0123abc/model.safetensors": _weights({"format": "pt"}),
    }, hidden=("hub/models--org--tiny/refs/main",
               "hub/models--org--tiny/snapshots/0123abc/config.json",
               "hub/models--org--tiny/snapshots/0123abc/model.safetensors")),
    Example("Transformers, in code", "max_length counts the prompt too, which is told.", {
        "dialog.py": "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
        "tokenizer = AutoTokenizer.from_pretrained('microsoft/DialoGPT-medium')\n"
        "model = AutoModelForCausalLM.from_pretrained('microsoft/DialoGPT-medium')\n\n"
        "def answer(prompt):\n    ids = tokenizer.encode(prompt + tokenizer.eos_token)\n"
        "    return model.generate(ids, max_length=1000, pad_token_id=tokenizer.eos_token_id)\n",
    }),
    Example("node-llama-cpp", "Versions 2 and 3, and the guide's class.", {
        "chat.mjs": "import { getLlama, LlamaChatSession } from 'node-llama-cpp';\n"
        "import path from 'path';\n\nconst llama = await getLlama();\n"
        "const model = await llama.loadModel({\n"
        "  modelPath: path.join(import.meta.dirname, 'models', 'tiny.gguf'), gpuLayers: 20 });\n"
        "const context = await model.createContext({ contextSize: 4096 });\n"
        "const session = new LlamaChatSession({\n"
        "  contextSequence: context.getSequence(), systemPrompt: 'Be brief.' });\n"
        "await session.prompt(text, { temperature: 0.7, maxTokens: 256 });\n",
        "models/tiny.gguf": "GGUF",
    }, hidden=("models/tiny.gguf",)),
    Example("Ollama, a Modelfile", "Its template is in Go, and kept as a remark.", {
        "Modelfile.poet": "FROM llama3.2:3b\nPARAMETER temperature 1.1\nPARAMETER num_ctx 8192\n"
        'PARAMETER stop "###"\nSYSTEM """Answer in verse."""\n',
    }),
    Example("Ollama, its store", "Models run where they lie, without Ollama's server.", {
        "models/manifests/registry.ollama.ai/library/tiny/latest": _json({
            "schemaVersion": 2, "config": {"digest": "sha256:" + "1" * 64, "size": 2,
                                           "mediaType": "application/vnd.docker.container.image"},
            "layers": [
                {"mediaType": f"{_LAYER}.model", "digest": "sha256:" + "2" * 64, "size": 4},
                {"mediaType": f"{_LAYER}.params", "digest": "sha256:" + "3" * 64, "size": 20},
            ],
        }),
        "models/blobs/sha256-" + "1" * 64: "{}",
        "models/blobs/sha256-" + "2" * 64: "GGUF",
        "models/blobs/sha256-" + "3" * 64: '{"temperature": 0.5}',
    }, hidden=("models/manifests/registry.ollama.ai/library/tiny/latest",
               "models/blobs/sha256-" + "1" * 64, "models/blobs/sha256-" + "2" * 64,
               "models/blobs/sha256-" + "3" * 64)),
    Example("LocalAI", "A model per file, or a list. The name says nothing of the provider.", {
        "models/chat.yaml": "name: gpt-4\nbackend: llama-cpp\ncontext_size: 4096\nthreads: 4\n"
        "parameters:\n  model: mistral-7b.Q6_K.gguf\n  temperature: 0.2\n"
        "stopwords: ['<|im_end|>']\n",
        "models/mistral-7b.Q6_K.gguf": "GGUF",
    }, hidden=("models/mistral-7b.Q6_K.gguf",)),
    Example("LocalAI, a gallery", "An entry has its configuration as a text of YAML.", {
        "gallery.yaml": "name: phi-2\nfiles:\n- filename: phi-2.Q8_0.gguf\n"
        "  uri: huggingface://TheBloke/phi-2-GGUF/phi-2.Q8_0.gguf\nconfig_file: |\n"
        "  context_size: 2048\n  parameters:\n    model: phi-2.Q8_0.gguf\n    top_k: 40\n",
    }),
    Example("A folder of MLX", "By the header of its weights.", {
        "mlx/config.json": _json({**_CONFIG, "quantization": {"group_size": 64, "bits": 4}}),
        "mlx/model.safetensors": _weights({"format": "mlx"}),
    }, hidden=("mlx/model.safetensors",)),
    Example("MLX, in code", "mlx_lm.server in scripts too.", {
        "chat.py": "from mlx_lm import load, generate\n\n"
        "model, tokenizer = load('mlx-community/Llama-3.2-1B-Instruct-4bit')\n"
        "print(generate(model, tokenizer, prompt=text, max_tokens=256))\n",
    }),
    Example("llama-cpp-python", "Its class, and its server.", {
        "local.py": "from llama_cpp import Llama\n\n"
        "llm = Llama.from_pretrained(repo_id='Qwen/Qwen2-0.5B-Instruct-GGUF',\n"
        "                            filename='*q8_0.gguf', n_ctx=2048, n_gpu_layers=-1)\n"
        "llm.create_chat_completion(messages, temperature=0.2)\n",
    }),
    Example("LiteLLM", "Models of one name share the load; fallbacks come along.", {
        "litellm.yaml": "model_list:\n- model_name: chat\n  litellm_params:\n"
        "    model: openai/gpt-4o\n    api_key: os.environ/OPENAI_API_KEY\n    weight: 3\n"
        "- model_name: chat\n  litellm_params:\n    model: groq/llama-3.3-70b-versatile\n"
        "    api_key: os.environ/GROQ_API_KEY\n    weight: 1\n- model_name: backup\n"
        "  litellm_params: {model: ollama/llama3.1}\n"
        "litellm_settings:\n  fallbacks: [{chat: [backup]}]\n"
        "router_settings: {routing_strategy: simple-shuffle, num_retries: 2}\n",
    }),
    Example("llama-swap", "Macros are filled in, and the commands read.", {
        "llama-swap.yaml": "macros:\n  server: llama-server --port ${PORT}\nmodels:\n  qwen:\n"
        "    cmd: |\n      ${server}\n      -hf Qwen/Qwen2.5-7B-Instruct-GGUF:Q4_K_M\n"
        "      -c 16384 -ngl 99 --temp 0.6\n    ttl: 300\n",
    }),
    Example("llama-server", "Presets; start scripts, units and containers are read by their "
            "commands.", {
        "models.ini": "version = 1\n\n[*]\nc = 8192\n\n[ggml-org/gemma-3-4b-it-GGUF:Q4_K_M]\n"
        "temp = 0.7\nngl = 99\n",
        "start.sh": "#!/bin/sh\nexec llama-server -hf ggml-org/Qwen3-4B-GGUF -c 4096 --jinja\n",
    }),
    Example("LM Studio", "Its folder of models; presets name no model.", {
        ".lmstudio/models/org/tiny-GGUF/tiny-Q4_K_M.gguf": "GGUF",
        ".lmstudio/config-presets/calm.preset.json": _json({
            "name": "calm", "load_params": {"n_ctx": 4096, "n_gpu_layers": 20},
            "inference_params": {"temp": 0.3, "n_predict": 300},
        }),
    }, hidden=(".lmstudio/models/org/tiny-GGUF/tiny-Q4_K_M.gguf",)),
    Example("GPT4All", "Its models lie in one folder; the key of a remote one stays there.", {
        "gpt4all-remote.rmodel": _json({"apiKey": "...", "modelName": "mistral-small-latest",
                                        "baseUrl": "https://api.mistral.ai/v1/"}),
    }),
    Example("Continue", "config.yaml, agents, and the older config.json.", {
        "config.yaml": "name: mine\nversion: 1.0.0\nschema: v1\nmodels:\n- name: Sonnet\n"
        "  provider: anthropic\n  model: claude-3-5-sonnet-latest\n"
        "  apiKey: ${{ secrets.ANTHROPIC_API_KEY }}\n  roles: [chat, edit]\n"
        "  defaultCompletionOptions: {temperature: 0.2, maxTokens: 2048}\n",
    }),
    Example("aichat", "Clients with their models.", {
        "config.yaml": "model: deepseek:deepseek-chat\ntemperature: 0.4\nclients:\n"
        "- type: openai-compatible\n  name: deepseek\n  api_base: https://api.deepseek.com\n"
        "  models:\n  - name: deepseek-chat\n    max_input_tokens: 64000\n",
    }),
    Example("simonw/llm", "Further models; keys.json is never looked into.", {
        "extra-openai-models.yaml": "- model_id: local-qwen\n  model_name: qwen2.5-7b\n"
        "  api_base: http://localhost:8080/v1\n",
    }),
    Example("local.config.js", "The guide's own could not be migrated.", {
        "local.config.js": "const modelPath = './models/llama.gguf';\nmodule.exports = {\n"
        "  modelPath, contextSize: 2048, gpuLayers: 33 };\n",
        "models/llama.gguf": "GGUF",
    }, hidden=("models/llama.gguf",)),
    Example("Kept answers", "llmrr migrate cache takes them into the history.", {
        "cache.json": _json({"models": [{"name": "tiny", "path": "./tiny.gguf", "size": 4}],
                             "responses": [{"input": "hi", "output": "hello", "modelName": "tiny",
                                            "created": "2024-01-05T10:00:01Z"}]}),
    }),
    Example("Anything else", "By the names of fields, with a confidence; --from custom insists.", {
        "settings.json": _json({"llm": {"provider": "google", "model": "gemini-2.0-flash",
                                        "temperature": 0.5, "api_key": "${GEMINI_API_KEY}"}}),
    }),
)  # fmt: skip
