"""Signs of the system around the models: framework, deployment, scaling, monitoring. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from llmrr.migrate.assessing.dependencies import Dependency
from llmrr.migrate.documents import Document
from llmrr.migrate.terms.secrets import masked

ASPECTS: Final = ("framework", "deployment", "scaling", "monitoring")
_FRAMEWORKS: Final[Mapping[str, str]] = {
    "express": "Express", "fastify": "Fastify", "koa": "Koa", "hono": "Hono", "next": "Next.js",
    "nuxt": "Nuxt", "@nestjs/core": "NestJS", "@sveltejs/kit": "SvelteKit", "react": "React",
    "electron": "Electron", "fastapi": "FastAPI", "flask": "Flask", "django": "Django",
    "starlette": "Starlette", "aiohttp": "aiohttp", "tornado": "Tornado", "quart": "Quart",
    "streamlit": "Streamlit", "gradio": "Gradio", "chainlit": "Chainlit", "celery": "Celery",
    "langchain": "LangChain", "langchain-core": "LangChain", "@langchain/core": "LangChain",
    "langgraph": "LangGraph", "@langchain/langgraph": "LangGraph", "llama-index": "LlamaIndex",
    "llama-index-core": "LlamaIndex", "llamaindex": "LlamaIndex", "haystack-ai": "Haystack",
    "crewai": "CrewAI", "semantic-kernel": "Semantic Kernel", "dspy": "DSPy", "dspy-ai": "DSPy",
    "autogen": "AutoGen", "pyautogen": "AutoGen", "transformers": "Transformers",
    "node-llama-cpp": "node-llama-cpp", "ai": "Vercel AI SDK",
}  # fmt: skip
_MONITORING: Final[Mapping[str, str]] = {
    "prometheus-client": "Prometheus", "prom-client": "Prometheus",
    "prometheus-fastapi-instrumentator": "Prometheus", "sentry-sdk": "Sentry",
    "@sentry/node": "Sentry", "@sentry/nextjs": "Sentry", "ddtrace": "Datadog",
    "dd-trace": "Datadog", "newrelic": "New Relic", "langsmith": "LangSmith",
    "langfuse": "Langfuse", "helicone": "Helicone", "@helicone/helpers": "Helicone",
    "arize-phoenix": "Phoenix", "wandb": "Weights & Biases", "mlflow": "MLflow",
    "opentelemetry-sdk": "OpenTelemetry", "opentelemetry-api": "OpenTelemetry",
    "@opentelemetry/api": "OpenTelemetry", "@opentelemetry/sdk-node": "OpenTelemetry",
    "winston": "winston", "pino": "pino", "loguru": "loguru", "structlog": "structlog",
}  # fmt: skip
_PLACES: Final = (
    (r"dockerfile(\..*)?|.*\.dockerfile|containerfile", "Docker"), (r"procfile", "Procfile"),
    (r"fly\.toml", "Fly.io"), (r"vercel\.json", "Vercel"), (r"netlify\.toml", "Netlify"),
    (r"serverless\.ya?ml", "Serverless"), (r"render\.yaml", "Render"), (r".*\.tf", "Terraform"),
    (r"railway\.(json|toml)", "Railway"), (r"chart\.yaml", "Helm"), (r"app\.yaml", "App Engine"),
    (r"wrangler\.(toml|jsonc?)", "Cloudflare Workers"), (r"ecosystem\.config\.c?js", "PM2"),
)  # fmt: skip
_WORKERS: Final = (
    (r"\bgunicorn\b[^\n]{0,300}?(?:-w|--workers)[ =](\d+)", "gunicorn with {} workers"),
    (r"\buvicorn\b[^\n]{0,300}?--workers[ =](\d+)", "uvicorn with {} workers"),
    (r"\bpm2\b[^\n]{0,300}?-i (\w+)", "PM2 with {} processes"),
    (r"instances\s*:\s*['\"]?(\d+|max)", "PM2 with {} processes"),
)  # fmt: skip


class Sign(NamedTuple):
    """Something that tells of an aspect of the system, and where it stands."""

    aspect: str
    name: str
    file: Path


def of(document: Document) -> list[Sign]:
    """What a file tells of the system.

    >>> found = of(Document(Path("Dockerfile"), b"FROM python\\nCMD gunicorn -w 4 app:app\\n"))
    >>> [(one.aspect, one.name) for one in found]
    [('deployment', 'Docker'), ('scaling', 'gunicorn with 4 workers')]
    """
    found = list(_by_name(document))
    shape = document.shape if document.suffix in (".yaml", ".yml") else None
    for table in shape if isinstance(shape, list) else [shape]:
        if isinstance(table, dict):
            found += _of_table(table, document.path)
    return [one._replace(name=masked(one.name)) for one in dict.fromkeys(found)]


def by_packages(dependencies: Iterable[Dependency]) -> list[Sign]:
    """What the packages that manifests name tell of the system."""
    found = []
    for one in dependencies:
        plain = one.name.lower()
        for aspect, names in (("framework", _FRAMEWORKS), ("monitoring", _MONITORING)):
            if name := names.get(plain):
                found.append(Sign(aspect, name, one.file))
    return found


def as_json(signs: Iterable[Sign]) -> dict[str, list[dict[str, str]]]:
    """By aspect, each once: as ``migrate scan --json`` prints it."""
    found: dict[str, dict[str, str]] = {aspect: {} for aspect in ASPECTS}
    for one in signs:
        found[one.aspect].setdefault(one.name, str(one.file))
    return {
        aspect: [{"name": name, "where": where} for name, where in names.items()]
        for aspect, names in found.items()
    }


_ANY: Final = re.compile("|".join(pattern for pattern, _ in _PLACES))


def is_sign(name: str) -> bool:
    """Whether a file of this name tells of a deployment.

    >>> is_sign("Dockerfile.prod"), is_sign("main.tf"), is_sign("notes.md")
    (True, True, False)
    """
    return _ANY.fullmatch(name.lower()) is not None


def _by_name(document: Document) -> Iterator[Sign]:
    text = document.text or ""
    for pattern, name in _PLACES:
        if re.fullmatch(pattern, document.path.name.lower()):
            yield Sign("deployment", name, document.path)
            for workers, said in _WORKERS:
                if match := re.search(workers, text[:200_000]):
                    yield Sign("scaling", said.format(match[1]), document.path)


def _of_table(table: Mapping[str, Any], path: Path) -> Iterator[Sign]:
    if isinstance(table.get("services"), dict):
        yield Sign("deployment", "Docker Compose", path)
        yield from _of_services(table["services"], path)
    if isinstance(table.get("apiVersion"), str) and isinstance(table.get("kind"), str):
        yield Sign("deployment", "Kubernetes", path)
        yield from _of_kubernetes(table["kind"], table.get("spec"), path)
    if isinstance(table.get("scrape_configs"), list):
        yield Sign("monitoring", "Prometheus", path)


def _of_services(services: Mapping[str, Any], path: Path) -> Iterator[Sign]:
    for name, one in services.items():
        if not isinstance(one, dict):
            continue
        deploy = one.get("deploy")
        replicas = deploy.get("replicas") if isinstance(deploy, dict) else one.get("scale")
        if isinstance(replicas, int) and replicas > 1:
            yield Sign("scaling", f"{replicas} replicas of {name}", path)
        image = str(one.get("image") or "")
        for word, tool in (("prometheus", "Prometheus"), ("grafana", "Grafana"),
                           ("langfuse", "Langfuse"), ("otel", "OpenTelemetry"),
                           ("jaeger", "Jaeger"), ("loki", "Loki")):  # fmt: skip
            if word in image:
                yield Sign("monitoring", tool, path)


def _of_kubernetes(kind: str, spec: object, path: Path) -> Iterator[Sign]:
    if not isinstance(spec, dict):
        return
    if kind == "HorizontalPodAutoscaler":
        low, high = spec.get("minReplicas", 1), spec.get("maxReplicas")
        yield Sign("scaling", f"autoscaling, {low} to {high} replicas", path)
    elif kind in ("ServiceMonitor", "PodMonitor"):
        yield Sign("monitoring", "Prometheus", path)
    elif isinstance(spec.get("replicas"), int):
        yield Sign("scaling", f"{spec['replicas']} replicas", path)
