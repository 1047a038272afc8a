"""How LiteLLM names models: a provider, a slash, and the provider's own name."""

import re
from typing import Final, NamedTuple

from llmrr.kinds import guessed_provider
from llmrr.migrate.terms import naming

# ``LlmProviders`` of litellm 1.109.1 (``litellm/types/utils.py``).
_NAMES: Final = """
    refuseless openai chatgpt openai_like jina_ai xai zai bigmodel custom_openai
    text-completion-openai cohere cohere_chat clarifai anthropic anthropic_text bytez replicate
    reducto aws_textract runwayml aws_polly transcribe huggingface together_ai openrouter
    datarobot vertex_ai vertex_ai_beta gemini abliteration ai21 baseten black_forest_labs azure
    azure_text azure_ai sagemaker sagemaker_chat sagemaker_nova bedrock vllm nlp_cloud petals
    oobabooga ollama ollama_chat deepinfra clf_ai_gateway perplexity typesafe nace
    strands_decider laya bespoke eu_jev mistral milvus groq a2a gigachat nvidia_nim nvidia_riva
    soniox cerebras nadir ai21_chat volcengine codestral text-completion-codestral dashscope
    qwencloud qwen_ai_platform modelscope moonshot publicai v0 morph opencode_go lambda_ai
    inception text-completion-inception deepseek sambanova maritalk voyage cloudflare xinference
    fireworks_ai friendliai featherless_ai watsonx scaledown watsonx_text triton predibase
    databricks databricks_agent empower github ragflow compactifai docker_model_runner custom
    litellm_proxy hosted_vllm tencent llamafile lm_studio galadriel nebius infinity deepgram
    elevenlabs novita aiohttp_openai langfuse humanloop topaz sap assemblyai azure_speech
    charity_engine github_copilot snowflake gradient_ai meta_llama nscale pg_vector s3_vectors
    valkey mongodb opensearch helicone hyperbolic recraft fal_ai stability heroku aiml cometapi
    oci auto_router vercel_ai_gateway edenai dotprompt manus wandb ovhcloud scaleway lemonade
    amazon_nova a2a_agent langgraph langflow microsoft_365_copilot minimax synthetic apertis
    nano-gpt poe chutes neosantara aiand parasail xiaomi_mimo tensormesh libertai pinstripes
    cognition coralbricks cortecs scx-ai prism openinfer inferenceapis hostinger_router zerogpu
    darkbloom meta sail reka streamlake litellm_agent cursor bedrock_mantle gdc kyma
"""
PROVIDERS: Final = frozenset(_NAMES.split())
# A path behind the provider that says how it is asked, not which model.
_ROUTES: Final = {
    "bedrock": ("converse/", "invoke/", "converse_like/"), "openai": ("responses/", "chat/"),
    "azure": ("responses/",), "vertex_ai": ("gemini/",), "azure_ai": ("responses/",),
}  # fmt: skip
# Where a provider of LiteLLM's listens that is not named: its own default.
_DEFAULTS: Final = {"llamafile": "http://127.0.0.1:8080/v1"}
UNSTATED: Final = "http://unstated.invalid"  # an address that is there, but not known


# How Amazon names models, which LiteLLM knows without a prefix.
_BEDROCK: Final = re.compile(
    r"(?:(?:us|eu|apac|jp|au|global)\.)?(?:anthropic\.claude|amazon\.(?:titan|nova)|meta\.llama"
    r"|cohere\.command|ai21\.j|mistral\.mi)"
)


class Named(NamedTuple):
    """A provider in LiteLLM's word, or None, and its model."""

    provider: str | None
    model: str


def named(model: str, provider: str | None = None) -> Named:
    """What a ``model`` of LiteLLM names: only its first segment may be a provider, and only one
    that LiteLLM knows; ``provider`` (``custom_llm_provider``) comes first.

    >>> named("openrouter/meta-llama/x:free"), named("m/x", "groq")
    (Named(provider='openrouter', model='meta-llama/x:free'), Named(provider='groq', model='m/x'))
    >>> named("org/model"), named("bedrock/converse/us.amazon.nova").model
    (Named(provider=None, model='org/model'), 'us.amazon.nova')
    """
    prefix, slash, rest = model.partition("/")
    if slash and rest and prefix in PROVIDERS and provider in (None, "", prefix):
        return Named(prefix, _routed(prefix, rest))
    return Named(provider, model) if provider else Named(None, model)


def placed(model: str, provider: str | None = None, base_url: str | None = None) -> naming.Place:
    """The source of a model under LiteLLM's name.

    >>> placed("together_ai/openai/gpt-oss-20b").source, placed("gpt-4o").source
    ('together:openai/gpt-oss-20b', 'openai:gpt-4o')
    >>> placed("anthropic.claude-3-sonnet-20240229-v1:0").source
    'bedrock:anthropic.claude-3-sonnet-20240229-v1:0'
    >>> placed("huggingface/org/x", None, "http://box:8080")
    Place(source='openai:org/x', base_url='http://box:8080', why='')
    """
    theirs, name = named(model, provider)
    if theirs == "huggingface":
        if base_url is not None:
            return naming.place("openai", name, base_url)
        parts = name.split("/")  # an inference provider may stand before the repository
        return naming.place(theirs, "/".join(parts[-2:]))
    if base_url is None and theirs in _DEFAULTS:
        base_url = _DEFAULTS[theirs]
    if theirs is None and _BEDROCK.match(name):
        theirs = "bedrock"
    if theirs is None and base_url is not None and (known := guessed_provider(name)):
        theirs = known
    return naming.place(theirs, name, base_url)


def _routed(provider: str, model: str) -> str:
    for route in _ROUTES.get(provider, ()):
        if model.startswith(route) and len(model) > len(route):
            model = model.removeprefix(route)
    return model
