"""What stands in the manual pages beside what the commands and tables say of themselves."""

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "llmrr": (
        ('llmrr run "What is the capital of France?"', "Ask the built-in model."),
        ("llmrr pull qwen3:4b", "Fetch a real one; from then on it answers."),
        ('llmrr run -m ./model.gguf "Tell me a story."', "Ask a model file of your own."),
    ),
    "keys": (
        ("llmrr keys set OPENAI_API_KEY", "Ask for the key, without showing it."),
        ("printenv OPENAI_API_KEY | llmrr keys set OPENAI_API_KEY", "Keep what a variable holds."),
        ("llmrr keys list", "The names, and where each key lies."),
    ),
    "pull": (
        ("llmrr pull qwen3:4b", "A short name; the repository is told."),
        ("llmrr pull bartowski/Llama-3.2-3B-Instruct-GGUF", "The best quantization that fits."),
        ("llmrr pull owner/repo:Q4_K_M@v1.0", "A quantization, at a revision."),
        ("llmrr pull hf:owner/repo/model-q4.gguf", "One file (all parts of a split one)."),
        ("llmrr pull owner/repo --dry-run", "Files and bytes, and nothing else."),
    ),
    "search": (("llmrr search qwen coder", "The most downloaded first."),),
    "list": (
        ("llmrr list --all --sort size", "With what other tools hold, the largest first."),
        ("llmrr list 'qwen*' --json", "Those of that name, as JSON."),
    ),
    "show": (
        ("llmrr show ./model.gguf", "A file that is not installed."),
        ("llmrr show ./pytorch_model.bin", "What loading that pickle would import."),
        ("llmrr show qwen3:4b --modelfile > Modelfile", "To make it anew."),
    ),
    "fit": (
        ("llmrr fit owner/repo", "Every quantization, before any is fetched."),
        ("llmrr fit qwen3:4b --ctx-size 32768 --kv-type q8_0", "With these settings."),
    ),
    "rm": (("llmrr rm -y qwen3:4b", "Without being asked."),),
    "cp": (("llmrr cp qwen3:4b assistant", "Both names stand for the same file."),),
    "create": (
        ("llmrr create brief --from qwen3:4b -s 'Be brief.' -o temperature 0.2", "By options."),
        ("llmrr create pirate -f Modelfile", "By an Ollama Modelfile."),
    ),
    "import": (
        ("llmrr import ./model.gguf --name mine", "Where it lies."),
        ("llmrr import --from ollama", "All that Ollama holds, where it lies."),
        ("llmrr import --from folder ~/models --dry-run", "Only list what is there."),
        ("llmrr import qwen3--4b.tar", "What llmrr export wrote."),
    ),
    "export": (("llmrr export qwen3:4b -O /media/stick/qwen3.tar", "To carry it."),),
    "convert": (
        ("llmrr convert ./folder --to gguf -O model.gguf", "From Hugging Face's layout."),
        ("llmrr convert model.gguf --to gguf --quant Q4_K_M -O small.gguf", "To fewer bits."),
        ("llmrr convert legacy-model.pkl --config ./folder --to onnx --dry-run", "What it takes."),
    ),
    "ps": (("llmrr ps --json", "As JSON, with the times as seconds since 1970."),),
    "stop": (
        ("llmrr stop qwen3:4b", "This model, wherever it is loaded."),
        ("llmrr stop", "All that runs have left loaded."),
    ),
    "prune": (("llmrr prune --dry-run", "What would be removed."),),
    "run": (
        ("llmrr run ./model.gguf why is the sky blue", "The model may stand before the prompt."),
        ('journalctl -b | llmrr run "what broke?" > report.md', "Text on stdin joins the prompt."),
        ('llmrr run -f a.py -f b.py "What differs?"', "Files are fenced with their names."),
        ('llmrr run -m openai:gpt-4o-mini -a photo.jpg "What is this?"', "An image."),
        (
            "llmrr run --schema 'name, age int, tags[]' --json \"Invent someone.\"",
            "The answer is JSON of that shape.",
        ),
        ('llmrr run -x "A shell line that counts files" | sh', "Only the code of the answer."),
        ('llmrr run -c "And in Spain?"', "Go on with the last conversation."),
        ("llmrr run --strategy quality-first --fallback builtin:mini hi", "Choose, and fall back."),
        ("llmrr run -- -5 plus 3", "A prompt that begins with a dash."),
        ('llmrr run -m anthropic:claude-sonnet-4-5 "Hello"', "Ask a provider; ANTHROPIC_API_KEY."),
        (
            "llmrr run -m openai:x -o base_url http://127.0.0.1:8080/v1 Hello",
            "A server of your own that speaks OpenAI's protocol.",
        ),
    ),
    "chat": (("llmrr chat ./model.gguf -s 'Answer in one sentence.'", "Begin a conversation."),),
    "optimize": (
        ("llmrr optimize", "What the runs of the last week say, and what they propose."),
        ("llmrr optimize --since 30d --write", "Look further back, and change the file."),
        ("llmrr config rollback", "Undo that."),
    ),
    "route": (
        ('llmrr route "Write a function that sorts"', "The models, and why this one."),
        ("llmrr route --strategy speed-priority --need code < prompt.txt", "As run would choose."),
        ("llmrr route -m chat --json hello | jq .rejected", "Within the group chat, as JSON."),
    ),
    "embed": (("llmrr embed -m ./model.gguf -f lines.txt > vectors.jsonl", "One vector a line."),),
    "batch": (
        ("llmrr batch in.jsonl out.jsonl -m ./model.gguf", "Again, it goes on where it stopped."),
        (
            "llmrr batch in.jsonl out.jsonl --url http://box:8313/v1 --parallel 32",
            "A server answers.",
        ),
        ("llmrr batch in.jsonl out.jsonl --errors failed.jsonl", "What fails, apart."),
        ("llmrr batch in.jsonl out.jsonl --ray --replicas 1:4", "On a Ray cluster."),
    ),
    "logs": (("llmrr logs -q France --last 5", "The last five runs that mention France."),),
    "stats": (
        ("llmrr stats --since 7d --json", "The figures of a week."),
        ("llmrr stats --diagnose", "What keeps models from answering, too."),
    ),
    "completion": (
        ('eval "$(llmrr completion bash)"', "In ~/.bashrc; with zsh in ~/.zshrc."),
        ("llmrr completion fish > ~/.config/fish/completions/llmrr.fish", "For fish."),
    ),
    "doctor": (("llmrr doctor || echo broken", "Ends with 9 when something is broken."),),
}
OTHER_CODES = {
    0: "Done; also when the reader of a pipe has had enough.",
    70: "A bug in llmrr; a traceback is printed.",
    130: "Interrupted.",
}
ENVIRONMENT = {
    "LLMRR_HOME": "One folder for configuration, data and caches, in place of the usual ones.",
    "XDG_RUNTIME_DIR": "Where runs find the process that keeps models loaded, unless LLMRR_HOME is "
    "set.",
    "LLMRR_DEBUG": "When set, every error is printed with its traceback.",
    "HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME": "Where fetched models are kept, shared with "
    "all Hugging Face tools.",
    "HF_ENDPOINT": "The address of the hub, or of a mirror.",
    "HF_TOKEN": "For gated and private models.",
    "HF_HUB_OFFLINE": "With 1, on, yes or true, nobody is asked.",
    "OLLAMA_MODELS": "Where Ollama keeps its models.",
    "OLLAMA_HOST": "Where Ollama's server is asked for what is not on this disk.",
    "OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY, AZURE_OPENAI_API_KEY, CO_API_KEY, ...":
    "The keys of the providers, each under the name that the provider's own client has for it. "
    "They come before those of env_file and of llmrr keys set.",
    "OPENAI_BASE_URL, ANTHROPIC_BASE_URL, AZURE_OPENAI_ENDPOINT": "Other addresses of these "
    "providers. Their keys go there too.",
    "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY": "Proxies on the way to providers.",
    "SSL_CERT_FILE": "The certificates that are trusted.",
    "FF_NEW_ROUTING": "With true, the strategy is quality-first where the call names none.",
    "FF_NEW_CACHING": "With true, answers are kept in the cache for an hour.",
    "FF_NEW_MODELS": "With true, one of the [[models]] llama-2-13b and mixtral-8x7b is chosen. A "
    "flag with one of these variables replaces what it does: see [flags] in llmrr.toml(5).",
    "LOCALAI_MODELS_PATH, MODELS_PATH": "Where LocalAI keeps its models.",
    "NO_COLOR": "When set, nothing is coloured and no progress is shown.",
    "VISUAL, EDITOR": "The program that llmrr config edit starts.",
}

EXAMPLE_TOML = """version = 1

strategy = "balanced"
fallback_chain = ["assistant", "small"]

[[models]]
name = "assistant"
source = "file:./models/assistant.gguf"
priority = 1
tags = ["chat", "code"]
params = { temperature = 0.7, max_tokens = 1000 }
options = { context_size = 8192 }

[[models]]
name = "small"
source = "builtin:mini"
priority = 2

[templates.qa]
template = "Context: {context}\\nQuestion: {input}"
"""
