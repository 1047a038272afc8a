"""The classes of LangChain that are models, by the word for their provider, and those that are
something else."""

import re
from typing import Final

MODELS: Final = {
    **{name: "openai" for name in (
        "ChatOpenAI", "OpenAI", "OpenAIChat", "BaseChatOpenAI", "PromptLayerChatOpenAI",
        "PromptLayerOpenAI", "ChatOpenAIResponses", "ChatOpenAICompletions",
    )},
    **{name: "vllm" for name in ("VLLMOpenAI", "Llamafile", "ChatLlamafile", "ChatMaritalk")},
    **{name: "azure" for name in (
        "AzureChatOpenAI", "AzureOpenAI", "AzureChatOpenAIResponses",
    )},
    **{name: "anthropic" for name in (
        "ChatAnthropic", "Anthropic", "AnthropicLLM", "ChatAnthropicMessages",
    )},
    **{name: "ollama" for name in (
        "ChatOllama", "OllamaLLM", "Ollama", "OllamaFunctions", "ChatOllamaFunctions",
    )},
    **{name: "file" for name in ("LlamaCpp", "ChatLlamaCpp", "GPT4All")},
    "CTransformers": "ctransformers",
    **{name: "huggingface" for name in (
        "HuggingFacePipeline", "HuggingFaceEndpoint", "HuggingFaceHub", "HuggingFaceInference",
        "HuggingFaceTextGenInference", "MLXPipeline", "VLLM", "WeightOnlyQuantPipeline",
        "OpenVINOLLM", "HuggingFaceTransformers",
    )},
    **{name: "google" for name in (
        "ChatGoogleGenerativeAI", "GoogleGenerativeAI", "ChatGooglePalm", "GooglePalm",
        "GooglePaLM", "ChatGoogle",
    )},
    **{name: "vertex" for name in (
        "ChatVertexAI", "VertexAI", "ChatAnthropicVertex", "ChatGoogleVertexAI", "GoogleVertexAI",
        "ChatVertexAIWeb", "VertexAIWeb", "ChatVertexAIPreview",
    )},
    **{name: "bedrock" for name in (
        "ChatBedrock", "ChatBedrockConverse", "BedrockLLM", "Bedrock", "BedrockChat",
        "ChatAnthropicBedrock",
    )},
    **{name: "cohere" for name in ("ChatCohere", "Cohere", "CohereLLM")},
    **{name: "mistral" for name in ("ChatMistralAI", "MistralAI")},
    **{name: "groq" for name in ("ChatGroq", "Groq")},
    **{name: "together" for name in ("ChatTogether", "Together", "TogetherAI", "ChatTogetherAI")},
    **{name: "fireworks" for name in ("ChatFireworks", "Fireworks")},
    **{name: "perplexity" for name in ("ChatPerplexity",)},
    **{name: "deepseek" for name in ("ChatDeepSeek", "ChatDeepseek")},
    **{name: "xai" for name in ("ChatXAI", "ChatXAIResponses")},
    **{name: "openrouter" for name in ("ChatOpenRouter",)},
    **{name: "nvidia" for name in ("ChatNVIDIA", "NVIDIA", "ChatNVIDIADynamo")},
    **{name: "cerebras" for name in ("ChatCerebras",)},
    **{name: "deepinfra" for name in ("ChatDeepInfra", "DeepInfra", "DeepInfraLLM")},
    **{name: "novita" for name in ("ChatNovita", "ChatNovitaAI")},
    **{name: "qianfan" for name in (
        "QianfanChatEndpoint", "QianfanLLMEndpoint", "ChatBaiduQianfan", "ErnieBotChat",
        "ChatBaiduWenxin", "ChatQianfan",
    )},
    **{name: "litellm" for name in ("ChatLiteLLM", "ChatLiteLLMRouter", "LiteLLM")},
}  # fmt: skip
# What the flat files of ``llm.save`` call them.
TYPES: Final = {
    "openai": "OpenAI", "openai-chat": "ChatOpenAI", "azure": "AzureOpenAI",
    "azure-openai-chat": "AzureChatOpenAI", "anthropic": "Anthropic", "anthropic-llm": "Anthropic",
    "anthropic-chat": "ChatAnthropic", "chat-ollama": "ChatOllama", "ollama": "Ollama",
    "ollama-llm": "OllamaLLM", "llamacpp": "LlamaCpp", "gpt4all": "GPT4All",
    "ctransformers": "CTransformers", "llamafile": "Llamafile", "vllm": "VLLM",
    "vllm_openai": "VLLMOpenAI", "vllm-openai": "VLLMOpenAI",
    "huggingface_pipeline": "HuggingFacePipeline", "huggingface_hub": "HuggingFaceHub",
    "huggingface_endpoint": "HuggingFaceEndpoint", "mlx_pipeline": "MLXPipeline",
    "huggingface_textgen_inference": "HuggingFaceTextGenInference", "cohere": "Cohere",
    "together": "Together", "deepinfra": "DeepInfra", "fireworks": "Fireworks",
    "amazon_bedrock": "Bedrock", "amazon_bedrock_chat": "BedrockChat", "vertexai": "VertexAI",
    "google_palm": "GooglePalm", "qianfan": "QianfanLLMEndpoint",
    "qianfan_endpoint": "QianfanLLMEndpoint", "nvidia-trt-llm": "NVIDIA", "groq-chat": "ChatGroq",
    "mistralai-chat": "ChatMistralAI", "chat-google-generative-ai": "ChatGoogleGenerativeAI",
    "openai_like": "VLLMOpenAI", "litellm-chat": "ChatLiteLLM", "promptlayer": "OpenAI",
    "azureml_endpoint": "AzureMLOnlineEndpoint", "replicate": "Replicate",
}  # fmt: skip
# The words of ``init_chat_model``, of Python and of JavaScript, that ``naming`` has otherwise.
PROVIDERS: Final = {
    "google_genai": "google", "google_vertexai": "vertex", "google": "google",
    "google_anthropic_vertex": "vertex", "google_vertexai_web": "vertex", "aws": "bedrock",
    "bedrock": "bedrock", "bedrock_converse": "bedrock", "anthropic_bedrock": "bedrock",
    "azure_openai": "azure", "azure_ai": "azure_ai", "mistral": "mistral", "mistralai": "mistral",
    "litellm": "litellm",
    **{name: name for name in (
        "openai", "anthropic", "cohere", "deepseek", "fireworks", "groq", "huggingface", "ibm",
        "nvidia", "ollama", "openrouter", "perplexity", "together", "upstage", "xai", "cerebras",
        "baseten",
    )},
}  # fmt: skip
# How a name begins, where no provider is stated.
INFERRED: Final = (
    (r"gpt-|o[134]|chatgpt|text-davinci", "openai"), (r"claude", "anthropic"),
    (r"command", "cohere"), (r"accounts/fireworks", "fireworks"), (r"gemini", "vertex"),
    (r"amazon\.|anthropic\.|meta\.", "bedrock"), (r"mistral|mixtral", "mistral"),
    (r"deepseek", "deepseek"), (r"grok", "xai"), (r"sonar", "perplexity"),
    (r"solar", "upstage"),
)  # fmt: skip
# Models that a test or another class stands for.
NO_MODELS: Final = re.compile(
    r"(?:Generic)?Fake\w*|Base\w*|LLM|SimpleChatModel|Human(?:InputLLM|InputChatModel)|Parrot\w*"
)
PACKAGES: Final = re.compile(r"@?lang(?:chain|graph)(?:$|[\w/.-])")
EMBEDDINGS: Final = re.compile(r"\w*Embeddings?\w*")
LOGIC: Final = re.compile(
    r"\w*(?:Agent|Memory|Retriever|Retrieval|VectorStore|Toolkit|ToolNode|StructuredTool|Loader"
    r"|Splitter|StateGraph|MessageGraph|MessageHistory|RunnableLambda|RunnableBranch|Router"
    r"|Guardrail|HistoryAware)\w*"
    r"|(?:create|initialize|load)_\w*(?:agent|retriev|tool)\w*|(?:create|initialize)\w*Agent\w*"
    r"|Tool|tool|Chroma|FAISS|Pinecone\w*|Qdrant\w*|as_retriever|asRetriever"
)
# Of these, those that are asked as a model is.
ASKS: Final = re.compile(r"[Aa]gent|[Cc]hain|QA|Runnable|Graph")
_MODULES: Final = re.compile(r"chat_models|llms|chat")


def is_ours(callee: str) -> bool:
    """Whether a dotted name is one of LangChain's packages.

    >>> is_ours("langchain_openai.ChatOpenAI"), is_ours("@langchain/openai.ChatOpenAI")
    (True, True)
    >>> is_ours("openai.OpenAI"), is_ours("langchainhub")
    (False, True)
    """
    return bool(PACKAGES.match(callee))


def unknown_model(callee: str) -> bool:
    """Whether a class of LangChain is a model of a provider that is not known here.

    >>> unknown_model("langchain_community.chat_models.ChatTongyi")
    True
    >>> unknown_model("langchain_core.prompts.chat.ChatPromptTemplate")
    False
    """
    parts = [one for one in re.split(r"[./]", callee) if one]
    name, modules = parts[-1] if parts else "", parts[:-1]
    return (
        any(_MODULES.fullmatch(one) for one in modules) and "prompts" not in modules
        and "schema" not in modules and "messages" not in modules
        and name[:1].isupper() and not NO_MODELS.fullmatch(name) and not name.startswith("ChatP")
        and not re.search(r"Message|Generation|Result|Output|Input|Parser|Cache|Error", name)
    )  # fmt: skip


def inferred(model: str) -> str | None:
    """The provider that ``init_chat_model`` takes for a name, or None.

    >>> inferred("gemini-2.0-flash"), inferred("llama3:8b")
    ('vertex', None)
    """
    found = (name for pattern, name in INFERRED if re.match(pattern, model.lower()))
    return next(found, None)
