"""Code that uses node-llama-cpp: what is loaded, how, and what it is asked with."""

from pathlib import Path

import pytest

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.documents import Document
from llmrr.migrate.readers.node_llama_cpp import READER

V3 = 'import { getLlama, LlamaChatSession, resolveModelFile } from "node-llama-cpp";\n'


def read(text: str, name: str = "src/chat.ts") -> Artefact:
    assert READER.of_code is not None
    (found,) = READER.of_code(Document(Path(name), text.encode()))
    return found


def codes(found: Artefact) -> set[str]:
    return {one.code for one in found.warnings}


def test_the_guides_example() -> None:
    found = read("""
        import { LlamaCpp } from 'node-llama-cpp';
        const llama = new LlamaCpp({
          modelPath: './models/llama-2-7b-chat.gguf',
          contextSize: 2048
        });
        const response = await llama.generate(prompt, { maxTokens: 512, temperature: 0.8 });
    """, "app.js")  # fmt: skip
    (model,) = found.models
    assert found.kind == "node-llama-cpp-code" and not found.warnings
    assert model.source == "file:./models/llama-2-7b-chat.gguf"
    assert model.params == {"max_tokens": 512, "temperature": 0.8}
    assert model.options == {"context_size": 2048} and model.call_sites == [7]


def test_version_3() -> None:
    found = read(V3 + """
        import path from "path";
        import { fileURLToPath } from "url";
        const here = path.dirname(fileURLToPath(import.meta.url));
        const llama = await getLlama({ gpu: false });
        const model = await llama.loadModel({
            modelPath: path.join(here, "..", "models", "Meta-Llama-3.1-8B.Q4_K_M.gguf"),
            gpuLayers: 33, useMlock: true, defaultContextFlashAttention: true,
        });
        const context = await model.createContext({
            contextSize: { max: 8096 }, threads: 8, batchSize: 512, lora: "a.gguf",
        });
        const session = new LlamaChatSession({
            contextSequence: context.getSequence(), systemPrompt: "You are brief.",
        });
        export async function ask(question: string) {
            return await session.prompt(`Answer: ${question}`, {
                maxTokens: 100, topK: 40, topP: 0.9, temperature: 0.8, seed: 7,
                repeatPenalty: { penalty: 1.1, frequencyPenalty: 0.2 }, customStopTriggers: ["END"],
                onTextChunk(text) { process.stdout.write(text); },
            });
        }
    """)
    (model,) = found.models
    assert model.source == "file:../models/Meta-Llama-3.1-8B.Q4_K_M.gguf"
    assert model.options == {
        "gpu_layers": 33, "mlock": True, "flash_attention": True, "context_size": 8096,
        "threads": 8, "lora": "a.gguf",
    }  # fmt: skip
    assert model.params == {
        "system": "You are brief.", "max_tokens": 100, "top_k": 40, "top_p": 0.9, "seed": 7,
        "temperature": 0.8, "repeat_penalty": 1.1, "frequency_penalty": 0.2, "stop": ["END"],
    }  # fmt: skip
    (template,) = found.templates
    assert template.template == "Answer: {question}" and template.model == model.name
    assert codes(found) == {"not-applied", "batch-size"}  # of the range


def test_version_2() -> None:
    (model,) = read("""
        import {LlamaModel, LlamaContext, LlamaChatSession} from "node-llama-cpp";
        const modelPath = path.join(__dirname, "m", "x.gguf");
        const model = new LlamaModel({modelPath, gpuLayers: 1});
        const context = new LlamaContext({model, contextSize: 4096, threads: 4, seed: 1});
        const session = new LlamaChatSession({context, systemPrompt: "Hi."});
        const answer = await session.prompt("Hello", {maxTokens: 8, temperature: 0});
    """).models
    assert model.source == "file:./m/x.gguf"
    assert model.options == {"gpu_layers": 1, "context_size": 4096, "threads": 4}
    assert model.params == {"seed": 1, "system": "Hi.", "max_tokens": 8, "temperature": 0}


def test_a_service_in_a_class() -> None:
    (model,) = read(V3 + """
        export class Service {
            private llama; private model; private context; private session;
            async init() {
                this.llama = await getLlama();
                this.model = await this.llama.loadModel({ modelPath: process.env.M ?? "m.gguf" });
                this.context = await this.model.createContext({ contextSize: 2048 });
                const contextSequence = this.context.getSequence();
                this.session = new LlamaChatSession({ contextSequence });
            }
            async ask(q) { return this.session.prompt(q, { temperature: 0.2 }); }
        }
    """).models
    assert (model.source, model.options) == ("file:m.gguf", {"context_size": 2048})
    assert model.params == {"temperature": 0.2}


@pytest.mark.parametrize(("text", "source", "options"), [
    ('await resolveModelFile("hf:user/model:Q4_K_M", dir)', "huggingface:user/model:Q4_K_M", {}),
    ('await resolveModelFile("hf:user/model/a/file.gguf#dev")', "huggingface:user/model",
     {"file": "a/file.gguf", "revision": "dev"}),
    ('"hf.co/user/model"', "huggingface:user/model", {}),
    ('"huggingface://user/model:Q8_0"', "huggingface:user/model:Q8_0", {}),
    ('await resolveModelFile("https://huggingface.co/u/m/resolve/main/f.gguf?download=true")',
     "huggingface:u/m", {"file": "f.gguf"}),
    ('await resolveModelFile("x.gguf", "./models")', "file:./models/x.gguf", {}),
    ('await resolveModelFile("x.gguf", { directory: "./m" })', "file:./m/x.gguf", {}),
    ('path.resolve(process.cwd(), "models/x.gguf")', "file:./models/x.gguf", {}),
    ('"C:\\\\models\\\\x.gguf"', "file:C:\\models\\x.gguf", {}),
])  # fmt: skip
def test_where_a_model_lies(text: str, source: str, options: dict[str, str]) -> None:
    loading = "const m = await (await getLlama()).loadModel"
    (model,) = read(f"{V3}{loading}({{modelPath: {text}}})").models
    assert (model.source, model.options) == (source, options)


@pytest.mark.parametrize("use", ["await downloader.download()", "downloader.entrypointFilePath"])
def test_a_downloader(use: str) -> None:
    (model,) = read(f"""
        import {{ createModelDownloader, getLlama }} from "node-llama-cpp";
        const downloader = await createModelDownloader({{
            modelUri: "hf:mradermacher/Meta-Llama-GGUF:Q8_0", dirPath: "./models",
        }});
        const modelPath = {use};
        const model = await llama.loadModel({{ modelPath }});
    """).models
    assert model.source == "huggingface:mradermacher/Meta-Llama-GGUF:Q8_0"


def test_what_is_only_fetched_is_a_model() -> None:
    text = 'export const where = await resolveModelFile("hf:u/m:Q4_0", "m");'
    (model,) = read(f"{V3}{text}").models
    assert model.source == "huggingface:u/m:Q4_0"


@pytest.mark.parametrize(("text", "code"), [
    ("process.argv[2]", "unresolved"), ("`${dir}/x.gguf`", "unresolved"),
    ("env.path", "unresolved"),
    ("process.env.MODEL_PATH", "unresolved"), ('"{{modelUriOrFilename|escape}}"', "placeholder"),
    ('"https://example.org/x.gguf"', "unsupported-source"), ("'m.pkl'", "unsupported-source"),
])  # fmt: skip
def test_what_names_no_model_is_told_with_its_line(text: str, code: str) -> None:
    found = read(f"{V3}const m = await llama.loadModel({{ modelPath: {text} }});")
    assert not found.models and codes(found) == {code}


def test_the_line_of_a_warning() -> None:
    found = read(f"{V3}\nconst m = await llama.loadModel({{ modelPath: process.argv[2] }});")
    assert found.warnings[0].where.startswith("src/chat.ts:3")


def test_another_call_and_another_session_that_differ_are_told() -> None:
    found = read(V3 + """
        const model = await llama.loadModel({ modelPath: "x.gguf" });
        const context = await model.createContext();
        const contextSequence = context.getSequence();
        const one = new LlamaChatSession({ contextSequence, systemPrompt: "A" });
        const two = new LlamaChatSession({ contextSequence, systemPrompt: "B" });
        await one.prompt("x", { temperature: 0.1 }); await two.prompt("y", { temperature: 0.2 });
        await two.prompt("z", { functions: { f }, grammar });
    """)
    assert found.models[0].params == {"system": "A", "temperature": 0.1}
    assert codes(found) == {"not-applied", "tools"}
    assert found.templates[0].messages == (("system", "B"),)


def test_a_model_for_embeddings_is_only_told() -> None:
    found = read(V3 + """
        const model = await llama.loadModel({ modelPath: "bge.gguf" });
        const context = await model.createEmbeddingContext();
    """)
    assert not found.models and codes(found) == {"embedding-model"}


@pytest.mark.parametrize("text", [
    'import { LlamaCpp } from "@langchain/community/llms/x"; new LlamaCpp({modelPath: "x"})',
    'import inquirer from "inquirer"; inquirer.prompt([])', "",
])  # fmt: skip
def test_other_code_is_not_its(text: str) -> None:
    assert READER.of_code is not None
    assert not list(READER.of_code(Document(Path("a.js"), text.encode())))
