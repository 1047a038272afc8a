"""The assessment of a scan: packages, the system, usage, and needs held against what is known."""

import time
from contextlib import closing
from pathlib import Path

import pytest
from builders import tiny_llama
from hub_server import Hub
from terminal import Typed

from llmrr import Router, stats
from llmrr.database import open_database
from llmrr.migrate.artefact import Artefact, Model
from llmrr.migrate.assessing import dependencies, needs, report, system, usage
from llmrr.migrate.documents import Document

MANIFESTS = {
    "package.json": '{"dependencies": {"openai": "^4.0.0", "express": "4"}}',
    "package-lock.json": '{"packages": {"": {}, "node_modules/openai": {"version": "4.2.0"}}}',
    "yarn.lock": '# yarn\n\nopenai@^4.0.0:\n  version "4.2.0"\n  resolved "x"\n\n'
    '"@langchain/core@^0.1":\n  version "0.1.5"\n',
    "pnpm-lock.yaml": "packages:\n\n  openai@4.2.0:\n    resolution: {}\n  /@langchain/core@0.1:\n",
    "requirements.txt": "openai[datalib]>=1.0 ; python_version > '3'\n-r other.txt\n# openai\n",
    "requirements/dev-requirements.in": "openai==1.2 --hash=sha256:00\n",
    "pyproject.toml": '[project]\ndependencies = ["openai>=1"]\n'
    '[tool.poetry.group.x.dependencies]\nlitellm = {version = "^1"}\npython = "^3.11"\n',
    "poetry.lock": '[[package]]\nname = "openai"\nversion = "1.3"\n',
    "uv.lock": 'version = 1\n[[package]]\nname = "openai"\nversion = "1.3"\n',
    "Pipfile": '[packages]\nopenai = "*"\n',
    "Pipfile.lock": '{"default": {"openai": {"version": "==1.3"}}, "develop": {}}',
    "environment.yml": "name: x\nchannels: [a]\n"
    "dependencies:\n- python=3.10\n- pip:\n  - openai==1\n",
    "setup.cfg": "[options]\ninstall_requires =\n    openai>=1\n    flask\n",
}  # fmt: skip


@pytest.mark.parametrize("name", MANIFESTS)
def test_every_manifest_names_its_packages(name: str) -> None:
    found = dependencies.of(Document(Path(name), MANIFESTS[name].encode()))
    openai = [one for one in found if one.name == "openai"]
    assert len(openai) == 1
    assert openai[0].replaced_by
    assert openai[0].version is None or any(map(str.isdigit, openai[0].version))


@pytest.mark.parametrize("name", MANIFESTS)
@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "- a: [", "\x00", '{"packages": []}'])
def test_a_broken_manifest_names_nothing(name: str, text: str) -> None:
    found = dependencies.of(Document(Path(name), text.encode()))
    assert not [one for one in found if one.replaced_by]


def test_a_manifest_counts_before_its_lock_file() -> None:
    found = [
        one for name in ("package-lock.json", "package.json")
        for one in dependencies.of(Document(Path(name), MANIFESTS[name].encode()))
    ]  # fmt: skip
    kept = dependencies.merged(found)
    assert [(one.name, one.version) for one in kept] == [("openai", "^4.0.0")]


def test_each_manifest_that_names_a_package_is_told() -> None:
    given = {
        "Pipfile": b'[packages]\nopenai = "*"\n', "a/requirements.txt": b"openai\nopenai==1.0\n",
        "poetry.lock": b'[[package]]\nname = "openai"\nversion = "1.0.1"\n'
        b'[[package]]\nname = "litellm"\nversion = "1.1"\n',
        "uv.lock": b'[[package]]\nname = "litellm"\nversion = "1.2"\n',
    }  # fmt: skip
    found = [one for name, text in given.items()
             for one in dependencies.of(Document(Path(name), text))]  # fmt: skip
    assert [(one.name, str(one.file), one.version) for one in dependencies.merged(found)] == [
        ("litellm", "poetry.lock", "1.1"), ("openai", "Pipfile", None),
        ("openai", "a/requirements.txt", "==1.0"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "text", "signs"),
    [
        ("compose.yaml", "services:\n  web: {image: x, deploy: {replicas: 3}}\n"
         "  graf: {image: grafana/grafana}\n",
         {("deployment", "Docker Compose"), ("scaling", "3 replicas of web"),
          ("monitoring", "Grafana")}),
        ("k8s.yaml", "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 2}\n---\n"
         "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\n"
         "spec: {minReplicas: 2, maxReplicas: 9}\n",
         {("deployment", "Kubernetes"), ("scaling", "2 replicas"),
          ("scaling", "autoscaling, 2 to 9 replicas")}),
        ("prometheus.yml", "scrape_configs: []\n", {("monitoring", "Prometheus")}),
        ("Procfile", "web: uvicorn app:app --workers 4\n",
         {("deployment", "Procfile"), ("scaling", "uvicorn with 4 workers")}),
        ("notes.yaml", "a: 1\n", set()),
    ],
)  # fmt: skip
def test_the_system_is_seen(name: str, text: str, signs: set[tuple[str, str]]) -> None:
    found = system.of(Document(Path(name), text.encode()))
    assert {(one.aspect, one.name) for one in found} >= signs
    assert bool(found) == bool(signs)


def test_packages_tell_of_the_system() -> None:
    found = dependencies.of(
        Document(Path("package.json"), b'{"dependencies": {"express": "4", "prom-client": "15"}}')
    )
    said = system.as_json(system.by_packages(found))
    assert said["framework"] == [{"name": "Express", "where": "package.json"}]
    assert said["monitoring"] == [{"name": "Prometheus", "where": "package.json"}]
    assert said["scaling"] == []


def _artefact(path: str, *models: Model, error: str | None = None) -> Artefact:
    return Artefact(Path(path), "openai-code", models, error=error)


def _model(source: str, sites: int = 0, **more: object) -> Model:
    lines = list(range(1, sites + 1))
    return Model(source.partition(":")[2], source, call_sites=lines, **more)  # type: ignore[arg-type]


def test_usage_is_summed_over_the_artefacts_that_name_a_model(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"x" * 500)
    found = [
        _artefact("a.py", _model("openai:gpt-4o", 2), _model("file:a.gguf")),
        _artefact("b.py", _model("openai:gpt-4o", 8)),
        _artefact("c.py", error="no"),
    ]
    with Router(warn=lambda _: None) as router:
        seen = report.assess(router, found, [], [], needs.Needs(cost=0.01), [])
    used, local = seen.models
    assert (used.level, used.call_sites, used.files) == ("high", 10, ("a.py", "b.py"))
    assert (used.cost, used.latency_s, used.is_local) == (None, None, False)
    assert (local.level, local.cost, local.is_local) == (None, 0.0, True)
    assert [(one.model, one.met) for one in seen.held] == [("gpt-4o", None), ("a.gguf", True)]
    assert (seen.maps, seen.warned, seen.cannot) == (2, 0, 1)
    assert [one.quality for one in seen.candidates] == [None] * len(seen.candidates)


def test_what_history_knows_is_held_against_the_requirements() -> None:
    with closing(open_database()) as database:
        for seconds, error in ((0.5, None), (1.5, None), (1.0, "EngineFailed: it broke")):
            stats.record(database, stats.Run(
                None, time.time(), "m", "openai:gpt-4o", "openai", total_s=seconds, error=error,
                finish_reason=None if error else "stop",
            ))  # fmt: skip
    required = needs.Needs(latency_ms=900, availability=0.9, throughput=30)
    with Router(warn=lambda _: None) as router:
        found = [_artefact("a.py", _model("openai:gpt-4o", 1))]
        seen = report.assess(router, found, [], [], required, [])
    assert [(one.need, one.known, one.met) for one in seen.held] == [
        ("latency_ms", 1000.0, False), ("availability", pytest.approx(2 / 3), False),
        ("throughput", 60.0, True),
    ]  # fmt: skip


def test_what_would_tell_is_said_once_for_each_requirement(typed: Typed) -> None:
    Path("a.py").write_text("from openai import OpenAI\nc = OpenAI()\n" + "".join(
        f"c.responses.create(model='m{at}')\n" for at in range(3)))
    seen = typed("migrate", "scan", "a.py", "--max-latency", "9", "--max-cost", "1",
                 "--min-availability", "99%", "--throughput", "10")  # fmt: skip
    assert [line for line in seen.out.splitlines() if "is not known" in line] == [
        'latency_ms is not known: llmrr run -m MODEL "…" records it',
        "cost is not known: cost = { input = …, output = … } of the model in llmrr.toml",
        'availability is not known: llmrr run -m MODEL "…" records it',
        "throughput is not known: that is one after another; llmrr bench --concurrency measures"
        " several at once",
    ]
    assert typed("migrate", "scan", "a.py", "--min-availability", "990%").code == 2


def test_a_model_at_another_machine_is_not_local() -> None:
    far, near = _model("ollama:llama3", 1), _model("ollama:qwen3", 1)
    far.options["base_url"] = "http://gpu.example.org:11434"
    near.options["base_url"] = "http://localhost:11434"
    found = usage.of([_artefact("a.py", far, near)], {}, {}, lambda model, path: None)
    assert [(one.is_local, one.cost) for one in found] == [(False, None), (True, 0.0)]


def test_the_report_names_everything() -> None:
    packages = dependencies.of(Document(Path("requirements.txt"), b"openai==1.2\n"))
    signs = system.of(Document(Path("Dockerfile"), b"FROM x\n"))
    cost = {"input": 1.0, "output": 3.0}
    found = [_artefact("a.py", _model("openai:gpt-4o", 3, cost=cost))]
    with Router(warn=lambda _: None) as router:
        seen = report.assess(router, found, packages, signs, needs.Needs(cost=0.001), ["no/repo"])
    page = report.markdown(seen)
    for part in ("gpt-4o", "medium", "openai | ==1.2", "Docker (Dockerfile)", "0.002", "no/repo"):
        assert part in page
    assert seen.candidates[-1].problem


def test_a_repository_that_could_be_used_is_sized_by_its_headers(
    typed: Typed, server: Hub, tmp_path: Path
) -> None:
    tiny_llama(tmp_path / "big.gguf", width=512, layers=4)
    weights = (tmp_path / "big.gguf").read_bytes()
    server.add("owner/big-GGUF", {"big-F16.gguf": weights})
    (tmp_path / "app.py").write_text(
        "import openai\nopenai.OpenAI().chat.completions.create(model='gpt-4o', messages=[])\n"
    )
    shown = typed("migrate", "scan", str(tmp_path / "app.py"), "--json",
                  "--candidates", "owner/big-GGUF").json  # fmt: skip
    found = {one["name"]: one for one in shown["assessment"]["candidates"]}
    assert "builtin:mini" in found
    [big] = [one for name, one in found.items() if name.startswith("owner/big-GGUF")]
    assert big["problem"] is None and big["quality"] is None
    assert 0.9 * len(weights) < big["bytes"] <= len(weights)
    assert big["memory_bytes"] > big["bytes"] / 2
    assert 0 < server.sent < len(weights) / 2  # its head, not the weights
