"""What clients are told of files of the server: that one is damaged or missing, never where."""

import logging

import pytest
from serving import ASKED, serving

from llmrr.errors import ConnectionFailed, EngineFailed, NotFound
from llmrr.router import Router
from llmrr.server import callers, hiding
from llmrr.server.keyring import hashed

MANAGER, GUEST = "the-key-of-the-manager-1", "the-key-of-a-guest-42"
ASKS = [
    ("/v1/chat/completions", {"messages": ASKED}),
    ("/v1/chat/completions", {"messages": ASKED, "stream": True}),
    ("/v1/completions", {"prompt": "Hello"}),
    ("/v1/responses", {"input": "Hello"}),
    ("/v1/embeddings", {"input": "Hello"}),
    ("/v1/messages", {"messages": ASKED, "max_tokens": 8}),
    ("/v1/messages/count_tokens", {"messages": ASKED}),
    ("/api/chat", {"messages": ASKED}),
    ("/api/generate", {"prompt": "Hello"}),
    ("/api/show", {}),
]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("my models")
    (folder / "cut off.gguf").write_bytes(b"GGUF\x03\x00\x00\x00\xff")
    models = [
        {"name": "cut", "source": f"file:{folder}/cut off.gguf"},
        {"name": "gone", "source": f"file:{folder}/gone.gguf"},
    ]
    with serving(Router(models=models, fallback_chain=False)) as served:
        yield served, str(folder)


@pytest.mark.parametrize("model, said", [("cut", "damaged"), ("gone", "missing")])
@pytest.mark.parametrize("path, body", ASKS)
def test_a_broken_file_is_told_by_the_models_name_and_logged_whole(
    broken, path, body, model, said, caplog, monkeypatch
):
    served, folder = broken
    monkeypatch.setattr(logging.getLogger("llmrr"), "propagate", True)
    found = served.ask(path, {**body, "model": model})
    text = found.body.decode()
    assert found.status == 500, text
    assert f'the model \\"{model}\\"' in text and said in text
    assert folder not in text and ".gguf" not in text
    (record,) = [one for one in caplog.records if one.name == "llmrr.server"]
    assert record.levelname == "ERROR" and f'"{model}"' in record.getMessage()
    assert folder in record.getMessage()


@pytest.mark.parametrize("model", ["auto", None])
def test_where_all_that_could_answer_are_broken_no_path_is_told(broken, model):
    served, folder = broken
    asked = {"messages": ASKED} | ({"model": model} if model else {})
    for path in ("/v1/chat/completions", "/route"):
        found = served.ask(path, asked)
        assert folder not in found.body.decode() and folder not in str(found.headers)
        text = found.body.decode()
        assert "route" in path or (found.status == 500 and "cut: its file is damaged" in text)


def test_a_failure_here_is_told_without_its_path_and_any_other_as_it_is():
    failed = hiding.told(EngineFailed("/srv/some model/x: no space left", "df -h"))
    assert str(failed) == "the model that was to answer cannot answer (EngineFailed)"
    away = ConnectionFailed("http://127.0.0.1:9/v1 is away", "llmrr doctor")
    assert hiding.told(away) is away
    named = NotFound('there is no model "/etc/passwd" here')
    assert hiding.told(named) is named


def test_a_key_that_may_not_manage_reads_no_path_in_the_history(tmp_path):
    (tmp_path / "cut.gguf").write_bytes(b"GGUF")
    keys = {"manager": {"hash": hashed(MANAGER), "may_manage": True},
            "guest": {"hash": hashed(GUEST)}}  # fmt: skip
    models = [{"name": "cut", "source": f"file:{tmp_path}/cut.gguf"}]
    with serving(Router(models=models, serve={"keys": keys})) as served:
        for key, shown in ((GUEST, False), (MANAGER, True)):
            headers = {"x-api-key": key}
            asked = {"model": "cut", "messages": ASKED}
            assert served.ask("/v1/chat/completions", asked, headers=headers).status == 500
            for path in ("/page/runs", "/page/runs/1"):
                said = served.ask(path, headers=headers).body.decode()
                assert "DamagedFile" in said and (str(tmp_path) in said) is shown


def test_the_reasons_of_both_sides_of_a_migration_name_no_file():
    other = {"side": "new", "rejected": [{"name": "/a/b", "why": "/srv/x.gguf is damaged"}]}
    migration = {"other": other, "why": "the new side failed (/srv/x)", "failed": {"new": "/srv/x"}}
    facts = {"candidates": [], "rejected": [], "asked": [], "migration": migration}
    said = str(callers.visible(facts))
    assert "/srv" not in said and "/a/b" in said
