"""A migration as it is lived through: both sides asked, compared, promoted, demoted, undone."""

import json
from pathlib import Path

import pytest
from builders import tiny_llama
from migrating import snapshot
from openai_servers import OpenAIServer
from provider_servers import KEY, Said
from terminal import Typed


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mein Projekt"
    (folder / "models").mkdir(parents=True)
    tiny_llama(folder / "models/new.gguf")
    (folder / ".env").write_text(f"OPENAI_API_KEY={KEY}\n")
    (folder / ".env").chmod(0o600)
    monkeypatch.chdir(folder)
    return folder


def test_from_code_through_hybrid_mode_and_back(work: Path, typed: Typed) -> None:
    with OpenAIServer() as server:
        server.replies.extend(Said(("It is ", "Paris.")) for _ in range(20))
        Path("app.py").write_text(
            "from openai import OpenAI\n"
            f"client = OpenAI(base_url='{server.address}/v1')\n"
            "def ask(question):\n"
            "    return client.chat.completions.create(model='tiny-1', max_tokens=4,\n"
            "        messages=[{'role': 'user', 'content': question}], temperature=0.2)\n"
        )
        before = snapshot(work)
        options = ("--mode", "hybrid", "--replace", "openai:tiny-1=file:models/new.gguf")
        assert typed("migrate", "apply", ".", *options).code == 0
        assert typed("config", "check").code == 0
        assert typed("run", "Where is it?").code == 0
        assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"
        proof = ("--shadow", "--no-similarity", "--max-latency-ratio", "1e9", "--json")
        shown = json.loads(typed("migrate", "validate", *proof).out)
        assert (shown["samples"], shown["passed"], shown["reliability"]["errors"]) == (1, True, [])
        assert typed("migrate", "promote").code == 0
        assert 'mode = "new-primary"' in Path("llmrr.toml").read_text()
        for mode in ("hybrid", "legacy-primary"):
            assert typed("migrate", "demote").code == 0
            assert f'mode = "{mode}"' in Path("llmrr.toml").read_text()
        answered = typed("run", "And now?")
        assert (answered.code, answered.out.strip()) == (0, "It is Paris.")
        assert typed("migrate", "rollback").code == 0
    assert snapshot(work) == before
