"""The configuration: who wins, what is refused and how it is said, and safe changes to the file."""

import errno
import os
import re
import stat
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from terminal import Typed

from llmrr import config, environment, journal, parameters, settings, tomlfile, tomltext
from llmrr.choosing import values as calls
from llmrr.engines.base import Options
from llmrr.errors import BadConfig, LlmrrError, NotFound, Unsupported, UsageError, by_system, masked
from llmrr.router import Router
from llmrr.types import Endpoint, Message, Sampling

MODELS = "[[models]]\nname = 'm'\nsource = 'builtin:mini'\n"


def user(text: str) -> Path:
    path = config.user_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def project(text: str, folder: Path | None = None) -> Path:
    path = (folder or Path.cwd()) / "llmrr.toml"
    path.write_text(text)
    return path


def refused(text: str) -> BadConfig:
    project(text)
    with pytest.raises(BadConfig) as caught:
        config.load()
    return caught.value


# -- secrets ----------------------------------------------------------------------------------

SECRET = "sk-abcdefghijklmnop1234"
OF_A_MODEL = "[[models]]\nname = 'a'\nsource = 'openai:x'\noptions = "


@pytest.mark.parametrize(
    "text",
    [
        OF_A_MODEL + '{ base_url = "http://user:hunter2secret@h/v1" }',
        OF_A_MODEL + '{ base_url = "http://h/v1?key=hunter2secret" }',
        OF_A_MODEL + f'{{ base_url = "http://{SECRET}@h/v1" }}',
        OF_A_MODEL + f'{{ headers_env = {{ "X-Api-Key" = "{SECRET}" }} }}',
        OF_A_MODEL + '{ headers_env = { "X-Api-Key" = "hunter2secret-0" } }',
        f"[[models]]\nname = 'a'\nsource = 'openai:{SECRET}'\n",
        '[alerts]\nwebhook = "https://user:hunter2secret@h/hook"',
    ],
)
def test_no_error_of_a_file_repeats_a_secret(text: str) -> None:
    error = refused(text)
    assert "holds a key" in error.message
    assert "hunter2" not in error.message + error.hint
    assert SECRET not in error.message + error.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("base_url", "http://u:hunter2secret@h/v1"),
        ("api_key_env", SECRET),
        ("api_key_env", "gsk_hunter2hunter2hunter2"),
        ("headers_env", f"X={SECRET}"),
    ],
)
def test_nor_does_one_of_a_command_line_or_a_call(name: str, value: str) -> None:
    for refuse in (
        lambda: parameters.read_options([(name, value)]),
        lambda: calls.parsed(name, value, "options"),
    ):
        with pytest.raises(UsageError, match=f"{name} holds a key: it is not") as caught:
            refuse()
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        f"pull {SECRET}", f"pull openai:{SECRET}", f"rm {SECRET}", f"route -m {SECRET} hi",
        f"run --engine {SECRET} hi", f"run -t {SECRET} hi", f"run -o {SECRET} 1 hi",
        "run -m https://u:hunter2secret@h/x hi", "pull https://u:hunter2secret@h/x",
    ],
)  # fmt: skip
def test_no_error_of_a_command_repeats_one(line: str, typed: Typed) -> None:
    seen = typed(*line.split())
    assert seen.code != 0
    assert SECRET not in seen.out + seen.err
    assert "hunter2" not in seen.out + seen.err


def test_what_is_told_of_files_is_not_masked() -> None:
    for text in ("/a/hf_models_2024_v1/b.gguf", "sk-learn-pipelines", "owner/repo@v1", "a@b.org"):
        assert masked(text) == text


def test_a_key_in_place_of_a_models_name_is_not_recorded(typed: Typed) -> None:
    for model in (SECRET, f"openai:{SECRET}"):
        seen = typed("run", "-m", model, "hi")
        assert (seen.code, SECRET in seen.err) == (2, False)
    assert SECRET not in typed("logs", "list", "--json").out + typed("stats", "--json").out


def test_the_path_of_a_webhook_is_not_shown(typed: Typed) -> None:
    user('[alerts]\nwebhook = "https://hooks.example.org/hook/T1/hunter2"')
    for flags in ((), ("--json",)):
        shown = typed("config", "show", *flags).out
        assert "https://hooks.example.org/…" in shown
        assert "hunter2" not in shown


# -- who wins ----------------------------------------------------------------------------------


def test_with_nothing_there_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLMRR_KEEPALIVE")  # tests leave no process behind
    loaded = config.load()
    assert loaded.value("log_prompts") is True
    assert loaded.value("default_model") is None
    assert loaded.value("stats.retention") == 30 * 86400
    assert loaded.engine_options("llamacpp") == {}
    assert (loaded.models, loaded.templates, loaded.warnings, loaded.files) == ((), {}, (), ())
    assert {setting.source for setting in loaded.settings.values()} == {"default"}
    assert loaded.settings["stats.retention"].stated == "30d"


def test_the_strongest_wins_and_says_who_it_is() -> None:
    key, seen = "engines.llamacpp.threads", []
    environ: dict[str, str] = {}

    def look(overrides: dict[str, object] | None = None) -> None:
        setting = config.load(environ=environ, overrides=overrides).settings[key]
        seen.append((setting.value, setting.source, setting.where))

    look()
    own = user("[engines.llamacpp]\nthreads = 1\n")
    look()
    near = project("[engines.llamacpp]\nthreads = 2\n")
    look()
    environ["LLMRR_ENGINES__LLAMACPP__THREADS"] = "3"
    look()
    look({key: 4})
    assert seen == [
        (None, "default", None),
        (1, "user", str(own)),
        (2, "project", str(near)),
        (3, "environment", "LLMRR_ENGINES__LLAMACPP__THREADS"),
        (4, "command line", None),
    ]


def test_a_setting_that_the_project_leaves_open_is_the_users() -> None:
    user('default_model = "mine"\nlog_prompts = false\n')
    project('default_model = "ours"\n')
    loaded = config.load()
    assert (loaded.value("default_model"), loaded.value("log_prompts")) == ("ours", False)
    assert loaded.files == (Path.cwd() / "llmrr.toml", config.user_file())


def test_the_nearest_project_file_above_counts(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    project('default_model = "outer"', tmp_path)
    assert config.load(cwd=inner).value("default_model") == "outer"
    project('default_model = "nearer"', tmp_path / "a")
    assert config.load(cwd=inner).value("default_model") == "nearer"
    assert config.project_file(inner) == tmp_path / "a" / "llmrr.toml"


def test_the_users_own_file_is_no_project() -> None:
    own = user("log_prompts = false")
    loaded = config.load(cwd=own.parent)
    assert loaded.settings["log_prompts"].source == "user"
    assert loaded.files == (own,)


def test_a_working_directory_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert config.load().files == ()
    assert typed("run", "--max-tokens", "1", "hi").code == 0
    assert typed("run", "-f", "a.txt", "hi").code == 3
    error = by_system(FileNotFoundError(errno.ENOENT, "No such file or directory"))
    assert error is not None
    assert "the working directory is gone" in error.message


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("LLMRR_LOG_PROMPTS", "0", "log_prompts", False),
        ("LLMRR_LOG_PROMPTS", "Yes", "log_prompts", True),
        ("LLMRR_DEFAULT_MODEL", "123", "default_model", "123"),
        ("LLMRR_DEFAULT_MODEL", "true", "default_model", "true"),
        ("LLMRR_PRELOAD", '["a", "b"]', "preload", ("a", "b")),
        ("LLMRR_PRELOAD", "a, b", "preload", ("a", "b")),
        ("LLMRR_PRELOAD", "[a", "preload", ("[a",)),
        ("LLMRR_STATS__RETENTION", "12h", "stats.retention", 43200.0),
        ("LLMRR_STATS__RETENTION", "60", "stats.retention", 60.0),
        ("LLMRR_STATS__RETENTION", "forever", "stats.retention", None),
        ("LLMRR_ENGINES__LLAMACPP__CONTEXT_SIZE", "auto", "engines.llamacpp.context_size", None),
        ("LLMRR_ENGINES__LLAMACPP__GPU_LAYERS", "12", "engines.llamacpp.gpu_layers", 12),
        ("LLMRR_ENGINES__LLAMACPP__FLASH_ATTENTION", "off", "engines.llamacpp.flash_attention",
         "off"),
        ("LLMRR_SERVE__ALIASES", '{ "gpt-4o" = "small" }', "serve.aliases", {"gpt-4o": "small"}),
        ("LLMRR_ENGINES__LLAMACPP__LORA", "/a.gguf", "engines.llamacpp.lora",
         ((Path("/a.gguf"), 1.0),)),
    ],
)  # fmt: skip
def test_the_environment_reads_as_the_setting_needs(
    name: str, text: str, key: str, value: object
) -> None:
    loaded = config.load(environ={name: text})
    assert loaded.value(key) == value
    assert loaded.settings[key].source == "environment"
    assert config.load(overrides={key: text}).value(key) == value


def test_every_plain_setting_but_the_version_has_a_variable() -> None:
    for key, spec in settings.plain_settings().items():
        warned = bool(config.load(environ={environment.variable(key): ""}).warnings)
        assert warned == (key == "version")
        assert spec.environment != warned


def test_variables_that_are_no_settings() -> None:
    environ = {"LLMRR_HOME": "/x", "LLMRR_DEBUG": "1", "LLMRR_CORPUS": "/y", "LLMRR_LOG_PROMPT": "",
               "LLMRR_XYZZY": "off", "OTHER": "1"}  # fmt: skip
    near, far = config.load(environ=environ).warnings
    assert near == (
        "the environment variable LLMRR_LOG_PROMPT sets nothing; did you mean LLMRR_LOG_PROMPTS?"
    )
    assert far == "the environment variable LLMRR_XYZZY sets nothing"


def test_an_empty_variable_counts_as_not_set() -> None:
    loaded = config.load(environ={"LLMRR_DEFAULT_MODEL": ""})
    assert loaded.settings["default_model"].source == "default"
    assert loaded.warnings == ()


def test_a_variable_that_cannot_be_read() -> None:
    with pytest.raises(BadConfig) as caught:
        config.load(environ={"LLMRR_LOG_PROMPTS": "maybe"})
    assert caught.value.message == (
        'LLMRR_LOG_PROMPTS = "maybe" is not true or false (environment)'
    )
    assert caught.value.hint == "for example: LLMRR_LOG_PROMPTS=false"


def test_overrides_are_checked_too() -> None:
    with pytest.raises(BadConfig, match=r"engines\.llamacpp\.threads = 0 is not a whole number"):
        config.load(overrides={"engines.llamacpp.threads": 0})
    with pytest.raises(BadConfig, match=r"unknown key log_prompt$") as caught:
        config.load(overrides={"log_prompt": True})
    assert caught.value.hint == "did you mean log_prompts?"


# -- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message", "line", "hint"),
    [
        ("log_prompt = true", "unknown key log_prompt", 1, "did you mean log_prompts?"),
        ("\n[engines.llamacpp]\nthread = 1", "unknown key engines.llamacpp.thread", 3, "threads?"),
        ("[engine.llamacpp]\nthreads = 1", "unknown key engine", 1, "did you mean engines?"),
        ("[engines.llamacp]\nthreads = 1", "unknown key engines.llamacp", 1, "llamacpp?"),
        ("threads = 1", "unknown key threads", 1, "engines.llamacpp.threads"),
        ('colour = 3', "unknown key colour", 1, "known here: alerts"),
        ('strategy = "qualty-first"', 'no strategy "qualty-first"; did you mean quality-first?', 1,
         'strategy = "quality-first"'),
        ('strategy = "best"', 'no strategy "best"; there are balanced, quality-first', 1, ""),
        ("strategy = 3", 'strategy = 3 is not the name of a strategy', 1, ""),
        ("fallback_chain = true", "fallback_chain = true is not a list of names, or false", 1, ""),
        ("fallback_chain = ['a', 'a']", '"a" stands there twice', 1, ""),
        ("fallback_chain = ['b']\n[[models]]\nname = 'a'\nsource = 'builtin:mini'",
         "fallback_chain names 'b', and no [[models]] is called so", 1, "the models are a"),
        ("[[models]]\nname = 'a'\nsource = 'builtin:mini'\nfallback = ['b']\n"
         "[[models]]\nname = 'b'\nsource = 'builtin:mini'\nfallback = ['a']",
         "the fallback goes round in a circle: a -> b -> a", 4, ""),
        ("[weights]\nquality = 0\ncost = 0\nspeed = 0.0", "[weights] are all zero", 1, "above 0"),
        ("[weights]\nspeed = -1", "weights.speed = -1 is not a number of at least 0", 2, ""),
        ("[retry]\nattempts = 0", "retry.attempts = 0 is not a whole number from 1", 2, ""),
        ("[retry]\nbackoff = 'none'", 'is not one of "exponential", "linear"', 2, ""),
        ("[breaker]\nwindow = 0", "breaker.window = 0 is not a number above 0", 2, ""),
        ("[served]\nport = 1", "unknown key served", 1, "did you mean serve"),
        ('"stats.retention" = "3d"', 'unknown key "stats.retention"', 1, "known here"),
        ("version = 2", "version: 2 is the format of a newer llmrr", 1, "version = 1"),
        ("version = true", "version = true is not a whole number", 1, ""),
        ('log_prompts = "yes"', 'log_prompts = "yes" is not true or false', 1, ""),
        ("default_model = 3", "default_model = 3 is not a text", 1, ""),
        ('default_model = " "', 'default_model = " " is not a text with something in it', 1, ""),
        ("stats = 3", "stats = 3 is not a table", 1, "write [stats]"),
        ('[stats]\nretention = "30 days"', 'stats.retention = "30 days" is not a time', 2, "90d"),
        ("stats.retention = -1", "stats.retention = -1 is not a time", 1, ""),
        ("stats.retention = nan", "stats.retention = nan is not a time", 1, ""),
        ('engines.llamacpp.kv_type = "q2"', 'kv_type = "q2" is not one of "f32", "f16"', 1, ""),
        ("engines.llamacpp.gpu_layers = -2", "gpu_layers = -2 is not a whole number", 1, "20"),
        ('engines.llamacpp.context_size = "big"', '"big" is not a whole number', 1, "8192"),
        ("engines.llamacpp.flash_attention = 1", 'not true, false or "auto"', 1, ""),
        ("engines.llamacpp.lora = [{ scale = 1 }]", "lora = [{ scale = 1 }] is not", 1, ""),
        ('engines.llamacpp.chat_template = "file:no"', "no cannot be read", 1, ""),
        ('engines.llamacpp.chat_template = "file:/dev/zero"', "not a regular file", 1, ""),
        ('engines.llamacpp.chat_template = "file:/"', "/ is not a regular file", 1, ""),
        ("models = 3", "models is not a list of tables", 1, "write [[models]]"),
        ("[models]\nname = 'a'", "models is not a list of tables", 1, "write [[models]]"),
        ("[[models]]\nname = 'a'", "models[0] has no source", 1, "source = "),
        ("[[models]]\nsource = 'builtin:mini'", "models[0] has no name", 1, "name = "),
        ("[[models]]\nname = 'a b'\nsource = 'x.gguf'", "name = \"a b\" is not a name",
         2, ""),
        ("[[models]]\nname = '-m'\nsource = 'x.gguf'", "does not begin with -", 2, ""),
        ("templates = 1", "templates is not a table", 1, "[templates.NAME]"),
        ("[templates]\nqa = 1", "templates.qa = 1 is not a table", 2, ""),
        ("[templates.qa]\nmodel = 'x'", "'qa' needs either a template or messages", 1, ""),
        ("[templates.qa]\ntemplate='x'\nmessages=[{role='user',content=''}]", "needs either", 1,
         ""),
        ("[templates.qa]\nmessages=[{role='bot',content=''}]", "'bot' is not system, user", 2, ""),
        ("[templates.qa]\nmessages=[{role='user'}]", "is not a list of {role, content}", 2, ""),
        ("[templates.qa]\ntemplte = 'x'", "unknown key templates.qa.templte", 2, "template?"),
        ("[templates.qa]\ntemplate='{a}'\ndefaults={a=1}", "{ a = 1 } is not a table of", 3, ""),
    ],
)  # fmt: skip
def test_what_is_refused_names_value_place_and_cure(
    text: str, message: str, line: int, hint: str
) -> None:
    error = refused(text)
    assert message in error.message
    assert error.message.endswith(f"({Path.cwd() / 'llmrr.toml'}, line {line})")
    assert hint in error.hint
    assert error.exit_code == 8


MODEL = "[[models]]\nname = 'a'\nsource = 'builtin:mini'\n"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("params = { temperature = -0.1 }", "models[0].params.temperature = -0.1 is not a number"),
        ("params = { temperature = inf }", "temperature = inf is not"),
        ("params = { max_tokens = 0 }", "max_tokens = 0 is not a whole number of at least 1"),
        ("params = { top_p = 1.5 }", "top_p = 1.5 is not a number from 0 to 1"),
        ("params = { repeat_penalty = 0 }", "repeat_penalty = 0 is not a number above 0"),
        ("params = { presence_penalty = 3 }", "presence_penalty = 3 is not a number from -2 to 2"),
        ("params = { stop = [1] }", "stop = [1] is not a text or a list of texts"),
        ("params = { stop = '' }", 'stop = "" is not'),
        ("params = { seed = -1 }", "seed = -1 is not a whole number from 0 to 4294967295"),
        ("params = { top_k = 2.0 }", "top_k = 2.0 is not a whole number"),
        ("params = { maxTokens = 3 }", "unknown key models[0].params.maxTokens"),
        ("params = 3", "models[0].params = 3 is not a table"),
        ("options = { threads = 0 }", "models[0].options.threads = 0 is not"),
        ("options = { temperature = 0 }", "unknown key models[0].options.temperature"),
        ("temperature = 0", "unknown key models[0].temperature"),
        ("priority = -1", "models[0].priority = -1 is not a whole number of at least 0"),
        ("weight = 0", "models[0].weight = 0 is not a number above 0"),
        ("weight = -0.5", "models[0].weight = -0.5 is not a number above 0"),
        ("quality = 1.1", "models[0].quality = 1.1 is not a number from 0 to 1"),
        ("cost = { input = 1 }", "models[0].cost = { input = 1 } is not { input, output }"),
        ("cost = { input = -1, output = 0 }", "is not { input, output } in dollars per million"),
        ("tags = 'code'", 'models[0].tags = "code" is not a list of words'),
        ("fallback = ['b']", "fallback of 'a' names 'b', and no [[models]] is called so"),
        ("fallback = ['a']", "the fallback goes round in a circle: a -> a"),
        ("group = 'a'", "the group 'a' has the name of a model"),
    ],
)
def test_a_model_is_checked_to_the_last_field(line: str, message: str) -> None:
    error = refused(MODEL + line)
    assert message in error.message
    assert "line 4)" in error.message


def test_the_hint_knows_where_a_key_belongs() -> None:
    assert "models[].params.temperature" in refused(MODEL + "temperature = 0").hint
    assert refused(MODEL + "params = { maxTokens = 3 }").hint == "did you mean max_tokens?"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("opnai:gpt", "'opnai' is not a known provider; did you mean openai:?"),
        ("mock:x", "there is no mock model"),
        ("llama", "has no provider"),
        ("builtin:", "names no model after builtin:"),
        ("https://example.org/x.gguf", "is not one that a model can be had from"),
    ],
)
def test_sources_that_name_nothing(source: str, message: str) -> None:
    assert message in refused(f"[[models]]\nname = 'a'\nsource = {source!r}").message


@pytest.mark.parametrize(
    ("source", "provider"),
    [
        ("openai:gpt-4o", "openai"),
        ("owner/repo", "huggingface"),
        ("hf:owner/repo:Q4_K_M", "huggingface"),
        ("https://huggingface.co/owner/repo", "huggingface"),
        ("gemini:flash", "google"),
        ("builtin:mini", "builtin"),
        ("./x", "file"),
        ("x.gguf", "file"),
        ("local:x", "file"),
    ],
)
def test_sources_are_known_whether_or_not_they_can_run(source: str, provider: str) -> None:
    project(f"[[models]]\nname = 'a'\nsource = {source!r}")
    model = config.load().model("a")
    assert model is not None
    assert (model.source, model.provider) == (source, provider)


@pytest.mark.parametrize(("table", "hint"), [
    ('[serve.keys.t]\nenv = "{}"', 'env = "NAME" names'),
    ('[serve.keys.t]\nkey = "{}"', 'env = "NAME" names'),
    ('[[models]]\nname = "a"\nsource = "openai:a"\noptions = {{ api_key_env = "{}" }}',
     'api_key_env = "NAME" names'),
    ('[[models]]\nname = "a"\nsource = "openai:a"\noptions = {{ headers_env = {{ X = "{}" }} }}',
     'headers_env = { HEADER = "NAME" } names'),
])  # fmt: skip
def test_the_cure_for_a_key_is_what_may_stand_there(table: str, hint: str) -> None:
    key = "sk-0123456789abcdefghij"
    Path("llmrr.toml").write_text(table.format(key))
    (problem,) = config.check(Path("llmrr.toml"))
    assert problem.hint.startswith(hint) and key not in problem.message + problem.hint


@pytest.mark.parametrize("name", ["auto", "*"])
@pytest.mark.parametrize("key", ["name", "group"])
def test_no_model_is_called_as_what_means_more_than_one(name: str, key: str) -> None:
    own = "" if key == "name" else 'name = "a"\n'
    Path("llmrr.toml").write_text(
        f'[[models]]\n{own}{key} = "{name}"\nsource = "builtin:mini"\n'
    )
    with pytest.raises(BadConfig, match=rf"{key}: {re.escape(name)} .*, and is no model's name"):
        config.load()


def test_a_name_that_stands_twice() -> None:
    error = refused(MODEL + "\n" + MODEL)
    assert "the model name 'a' stands here twice" in error.message
    assert "line 6)" in error.message


@pytest.mark.parametrize(
    ("text", "where"),
    [("a = \n", "line 1, column 5"), ("x = 1\ny = [1,\n", "llmrr.toml"), ("a=1\na=2", "line 2")],
)
def test_a_syntax_error_names_the_place(text: str, where: str) -> None:
    error = refused(text)
    assert "not valid TOML: " in error.message
    assert where in error.message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "llmrr.toml"
    path.write_bytes(b"default_model = '\xff'")
    with pytest.raises(BadConfig, match="is not UTF-8"):
        config.load()
    path.write_text("a = " + "[" * 5000)
    with pytest.raises(BadConfig, match=r"nested too deeply|not valid TOML"):
        config.load()
    path.write_bytes("\ufefflog_prompts = false\r\n".encode())
    assert config.load().value("log_prompts") is False


@pytest.mark.parametrize(
    "line",
    [
        "api_key = 'swordfish-1234'",
        "apiKey = 'swordfish-1234'",
        "default_model = 'sk-swordfish-1234'",
        "[engines.llamacpp]\ntoken = 'swordfish-1234'",
        MODEL + "options = { api_key = 'swordfish-1234' }",
        MODEL + "options = { chat_template = 'hf_swordfish_1234' }",
    ],
)
def test_a_key_is_refused_and_never_repeated(line: str) -> None:
    error = refused(line)
    assert "holds a key" in error.message
    assert "swordfish" not in error.message + error.hint
    problems = config.check(Path.cwd() / "llmrr.toml")
    assert "swordfish" not in str(problems)
    assert len(problems) == 1


def test_check_finds_everything_at_once(tmp_path: Path) -> None:
    path = project(
        "log_prompt = true\n[stats]\nretention = 'x'\n"
        "[[models]]\nname = 'a'\nsource = 'file:./none.gguf'\n"
    )
    first, second, third = config.check(path)
    assert (first.line, second.line) == (1, 3)
    assert "none.gguf" in third.message
    error = refused(path.read_text())
    assert "1 more: llmrr config check" in error.hint
    project("log_prompts = true")
    assert config.check(path) == []
    with pytest.raises(NotFound, match="there is no file"):
        config.check(tmp_path / "nothing.toml")


def test_a_template_that_never_begins_or_ends_holds_nothing_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "long").write_text("x" * 400_001)
    for name, problem in (("pipe", "not a regular file"), ("long", "more than 400,000 bytes")):
        path = project(f"engines.llamacpp.chat_template = 'file:{name}'")
        assert problem in str(config.check(path)[0])


def test_every_problem_has_a_hint(tmp_path: Path) -> None:
    for text in ("a = [", "[templates]\nqa = 1", "models = [{name = 'a', source = 'file:no'}]"):
        problems = config.check(project(text))
        assert problems
        assert all(f"edit {tmp_path / 'llmrr.toml'}" in problem.hint for problem in problems)


@pytest.mark.parametrize(
    ("users", "projects", "environment", "warned"),
    [
        (f"default_model = 'a'\n{MODELS}", None, {}, True),
        (MODELS, "default_model = 'a'", {}, True),
        (MODELS, None, {"LLMRR_DEFAULT_MODEL": "a"}, True),
        ("default_model = 'a'", MODELS, {}, False),
        ("default_model = 'a'", None, {}, False),
        (MODELS, None, {}, False),
    ],
)
def test_a_default_model_beside_models_warns_unless_it_is_overruled(
    users: str, projects: str | None, environment: dict[str, str], warned: bool
) -> None:
    user(users)
    if projects:
        project(projects)
    warnings = config.load(environ=environment).warnings
    assert [("default_model" in text, "no effect" in text) for text in warnings] == (
        [(True, True)] if warned else []
    )


# -- models, engines, templates ----------------------------------------------------------------


def test_a_model_with_everything(tmp_path: Path) -> None:
    (tmp_path / "t.jinja").write_text("{{ messages }}")
    path = project(
        """
[[models]]
name = "full"
source = "file:./models/x.gguf"
params = { temperature = 0, max_tokens = 5, stop = "END", seed = 1, system = "Be brief." }
options = { context_size = 2048, gpu_layers = "auto", flash_attention = false, kv_type = "q8_0" }
[[models]]
name = "other"
source = "/abs/y.gguf"
[models.params]
top_p = 0.5
[models.options]
lora = ["a.gguf", { path = "/b.gguf", scale = 0.5 }]
chat_template = "file:t.jinja"
context_size = "auto"
"""
    )
    full, other = config.load().models
    assert full == config.ConfiguredModel(
        name="full",
        source="file:./models/x.gguf",
        provider="file",
        path=tmp_path / "models" / "x.gguf",
        params=Sampling(temperature=0.0, max_tokens=5, stop=("END",), seed=1),
        system="Be brief.",
        options={
            "context_size": 2048, "gpu_layers": "auto", "flash_attention": "off",
            "kv_type": "q8_0",
        },
        file=path,
    )  # fmt: skip
    assert (other.path, other.params, other.system) == (
        Path("/abs/y.gguf"), Sampling(top_p=0.5), None,
    )  # fmt: skip
    assert other.options == {
        "lora": ((tmp_path / "a.gguf", 1.0), (Path("/b.gguf"), 0.5)),
        "chat_template": "{{ messages }}",
        "context_size": None,
    }
    for model in (full, other):
        Options(**model.options)  # type: ignore[arg-type]


def test_relative_paths_start_at_the_file_that_names_them(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    project("[[models]]\nname = 'a'\nsource = 'x.gguf'\n[engines.llamacpp]\nlora = 'y.gguf'")
    loaded = config.load(cwd=inner)
    assert loaded.models[0].path == tmp_path / "x.gguf"
    assert loaded.engine_options("llamacpp") == {"lora": ((tmp_path / "y.gguf", 1.0),)}


def test_a_home_folder_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    project("[[models]]\nname = 'a'\nsource = 'file:~/x.gguf'")
    assert config.load().models[0].path == Path("/somewhere/x.gguf")


def test_engine_options_are_those_of_the_engine() -> None:
    project(
        "[engines.llamacpp]\nthreads = 4\nflash_attention = true\ncontext_size = 'auto'\n"
        "mmap = false\nmlock = true\nkv_type = 'iq4_nl'\ngpu_layers = 0\n"
    )
    options = config.load().engine_options("llamacpp")
    assert options == {
        "threads": 4, "flash_attention": "on", "context_size": None, "mmap": False, "mlock": True,
        "kv_type": "iq4_nl", "gpu_layers": 0,
    }  # fmt: skip
    Options(**options)  # type: ignore[arg-type]
    assert config.load().engine_options("onnx") == {}


def test_every_loading_option_is_one_of_the_engines() -> None:
    known = {*Options.__dataclass_fields__, *settings.REMOTE_OPTIONS, *settings.PLACING}
    assert set(settings.REMOTE_OPTIONS) < set(Endpoint.__dataclass_fields__)
    for prefix in ("engines.llamacpp", "models[].options"):
        assert {spec.leaf for spec in config.SETTINGS if spec.table == prefix} <= known


def test_every_param_is_a_field_of_sampling_or_the_system_prompt() -> None:
    known = {*Sampling.__dataclass_fields__, "system"}
    assert {spec.leaf for spec in config.SETTINGS if spec.table == "models[].params"} <= known


def test_a_project_with_models_decides_alone() -> None:
    user(MODEL.replace("'a'", "'mine'"))
    assert [model.name for model in config.load().models] == ["mine"]
    project("log_prompts = true")
    assert [model.name for model in config.load().models] == ["mine"]
    project(MODEL)
    assert [model.name for model in config.load().models] == ["a"]
    assert config.load().model("mine") is None


def test_templates_of_both_files() -> None:
    user("[templates.a]\ntemplate = 'user'\n[templates.b]\ntemplate = 'user'")
    path = project("[templates.a]\ntemplate = 'project'")
    templates = config.load().templates
    assert {name: t.template for name, t in templates.items()} == {"a": "project", "b": "user"}
    assert (templates["a"].file, templates["b"].file) == (path, config.user_file())


def template(text: str) -> config.Template:
    project(f"[templates.t]\n{text}")
    return config.load().templates["t"]


def test_rendering_fills_holes_and_nothing_else() -> None:
    made = template(
        """template = '{"a": {"b": 1}} {input} {{input}} {} {0} {x y} {extra}'
        defaults = { extra = "dear" }"""
    )
    assert made.holes == ("input", "extra")
    assert config.render(made, {"input": "{extra} $& \\1"}) == (
        '{"a": {"b": 1}} {extra} $& \\1 {input} {} {0} {x y} dear'
    )
    assert config.render(made, {"input": "", "extra": "x"}).endswith("x")  # type: ignore[union-attr]


def test_rendering_messages() -> None:
    made = template(
        """messages = [
            { role = "system", content = "Speak {language}." },
            { role = "user", content = "{input}" },
        ]
        model = "small" """
    )
    assert made.model == "small"
    assert config.render(made, {"language": "Latin", "input": "Salve"}) == (
        Message("system", "Speak Latin."),
        Message("user", "Salve"),
    )


def test_rendering_says_which_value_is_missing_or_too_much() -> None:
    made = template("template = '{context}: {input}'")
    with pytest.raises(UsageError, match=r"'t' needs a value for \{context\}") as caught:
        config.render(made, {"input": "x"})
    assert caught.value.hint == "add: -P context VALUE"
    with pytest.raises(UsageError, match=r"'t' has no hole \{contxt\}") as caught:
        config.render(made, {"input": "x", "contxt": "y"})
    assert caught.value.hint == "did you mean -P context?"


def test_other_template_formats_are_kept_but_not_rendered() -> None:
    made = template("template = '{{ input }}'\nformat = 'jinja'")
    assert made.template == "{{ input }}"
    with pytest.raises(Unsupported, match="'jinja'"):
        config.render(made, {})


# -- the table itself --------------------------------------------------------------------------


def test_every_default_and_example_is_valid() -> None:
    keys = [spec.key for spec in config.SETTINGS]
    assert len(keys) == len(set(keys))
    for spec in config.SETTINGS:
        if spec.default is not None:
            spec.kind.parse(spec.default, Path())
        value = tomllib.loads(f"x = {spec.example}")["x"]
        if "file:" not in spec.example or spec.leaf == "source":
            spec.kind.parse(value, Path())
        assert spec.doc.endswith("."), spec.key


def test_the_starter_file_is_valid_as_it_is_and_with_everything_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LLMRR_KEEPALIVE")  # tests leave no process behind
    path = project(config.template_text())
    assert config.check(path) == []
    assert max(map(len, config.template_text().splitlines())) <= 100
    loaded = config.load()
    assert {s.source for key, s in loaded.settings.items() if key != "version"} == {"default"}
    # Its model is a file on this machine; the server and its checks have timeouts of their own.
    remote = tuple(f"#{name} =" for name in (*settings.REMOTE_OPTIONS, "revision"))
    lines = [
        line.removeprefix("#") if line.startswith("#") and not line.startswith("# ") else line
        for line in config.template_text().splitlines()
        if not line.startswith(("#messages", "#schedule", *remote))
    ]
    lines += ["[[models]]", "name = 'local'", "source = 'builtin:mini'"]
    (tmp_path / "template.jinja").write_text("x")
    project("\n".join(lines))
    loaded = config.load()
    left = {key for key, one in loaded.settings.items() if one.source != "project"}
    assert left == {"serve.timeout", "health.timeout"}
    assert (len(loaded.models), len(loaded.templates)) == (2, 1)


# -- how a model is chosen ---------------------------------------------------------------------


def test_what_a_model_states_of_how_it_is_chosen() -> None:
    project(
        "strategy = 'random'\nfallback_chain = ['b', 'a']\n" + MODEL + "priority = 2\n"
        "weight = 0.5\ntags = ['code', 'code']\ngroup = 'g'\nfallback = 'b'\nresume = true\n"
        "quality = 0.8\ncost = { input = 1, output = 2.5 }\n" + MODEL.replace("'a'", "'b'")
    )  # fmt: skip
    loaded = config.load()
    first, second = loaded.models
    assert (first.priority, first.weight, first.tags, first.group) == (2, 0.5, ("code",), "g")
    assert (first.fallback, first.resume, first.quality) == (("b",), True, 0.8)
    assert first.cost == (1, 2.5)
    assert (second.priority, second.weight, second.resume, second.cost) == (None, 1.0, False, None)
    assert (loaded.value("strategy"), loaded.value("fallback_chain")) == ("random", ("b", "a"))


@pytest.mark.parametrize(
    ("text", "chain"), [("false", False), ("a", ("a",)), ("a, b", ("a", "b")), ("", None)]
)
def test_the_chain_from_the_environment(text: str, chain: object) -> None:
    project(MODEL + MODEL.replace("'a'", "'b'"))
    assert config.load(environ={"LLMRR_FALLBACK_CHAIN": text}).value("fallback_chain") == chain
    with pytest.raises(BadConfig, match="names 'c'") as caught:
        config.load(environ={"LLMRR_FALLBACK_CHAIN": "a,c"})
    assert "LLMRR_FALLBACK_CHAIN" in caught.value.message


def test_a_users_chain_loses_what_the_models_of_a_project_replace() -> None:
    config.user_file().parent.mkdir(parents=True)
    mine = MODEL.replace("'a'", "'mine'")
    config.user_file().write_text(f"fallback_chain = ['mine', 'a']\n{mine}{MODEL}")
    project(MODEL)
    loaded = config.load()
    assert loaded.value("fallback_chain") == ("a",)
    assert "fallback_chain names 'mine'" in loaded.warnings[0]


@pytest.mark.parametrize(
    ("stray", "meant"),
    [
        ("quality-optimized", "quality-first"),
        ("load-balanced", "least-loaded"),
        ("least-connections", "least-loaded"),
        ("context-aware", "capability-match"),
        ("semantic", "capability-match"),
        ("fallback", "reliability-first"),
        ("fallback-chain", "reliability-first"),
        ("hybrid", "balanced"),
        ("custom", "balanced"),
    ],
)
def test_stray_names_of_strategies_are_taken_with_a_warning(stray: str, meant: str) -> None:
    project(f"strategy = '{stray}'")
    loaded = config.load()
    assert loaded.value("strategy") == meant
    assert loaded.warnings == (
        f'the strategy "{stray}" is taken as {meant} ({Path.cwd() / "llmrr.toml"})',
    )


def test_weights_that_are_zero_together_over_several_files() -> None:
    project("[weights]\nquality = 0\ncost = 0")
    assert config.load().value("weights.speed") == 0.3
    with pytest.raises(BadConfig, match="are all zero"):
        config.load(environ={"LLMRR_WEIGHTS__SPEED": "0"})


# -- any text at all ---------------------------------------------------------------------------

quick = hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
scalars = st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts | st.floats(allow_nan=False)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
known_words = st.sampled_from(
    [part.strip("[]") for spec in config.SETTINGS for part in spec.key.split(".")]
)


@quick
@given(values)
def test_a_value_written_reads_back(value: object) -> None:
    assert tomllib.loads(f"x = {tomltext.toml_text(value)}") == {"x": value}


@quick
@given(st.dictionaries(known_words, st.dictionaries(known_words, values) | values, max_size=4))
def test_no_file_breaks_the_reader(table: dict[str, object]) -> None:
    content = "\n".join(
        f"{tomltext.key_text(key)} = {tomltext.toml_text(value)}" for key, value in table.items()
    )
    file = tomlfile.read(Path("/x/llmrr.toml"), content.encode())
    for problem in file.problems:
        assert problem.message
    tops = {spec.key.partition(".")[0].removesuffix("[]") for spec in config.SETTINGS}
    assert file.problems or set(table) <= tops


@quick
@given(st.binary(max_size=60) | st.text("[]=.\"'#ab1\n ", max_size=40).map(str.encode))
def test_no_bytes_break_the_reader(content: bytes) -> None:
    tomlfile.read(Path("/x/llmrr.toml"), content)


# -- changing the file -------------------------------------------------------------------------


def typing(text: str) -> Callable[[Path], None]:
    return lambda copy: copy.write_text(text)  # type: ignore[return-value]


def test_editing_a_file_that_is_not_there_starts_from_the_template() -> None:
    seen = []

    def editor(copy: Path) -> None:
        seen.append(copy.read_text())
        copy.write_text(seen[0] + "\n[stats]\nretention = '5d'\n")

    path = config.edit(editor)
    assert path == config.user_file()
    assert seen == [config.template_text()]
    assert config.load().value("stats.retention") == 5 * 86400
    config.rollback()
    assert not path.exists()


def test_editing_keeps_the_mode_and_can_be_undone() -> None:
    path = user("# mine\nlog_prompts = true\n")
    path.chmod(0o640)
    assert config.edit(typing("log_prompts = false\n")) == path
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert config.load().value("log_prompts") is False
    assert config.rollback().what == "config edit"
    assert path.read_text() == "# mine\nlog_prompts = true\n"
    with pytest.raises(LlmrrError, match="no config change to undo"):
        config.rollback()


def test_an_edit_that_changes_nothing_says_so() -> None:
    path = user("log_prompts = true\n")
    with pytest.raises(LlmrrError, match="nothing was changed") as caught:
        config.edit(lambda copy: None)
    assert caught.value.exit_code == 1
    assert journal.entries() == []
    assert path.read_text() == "log_prompts = true\n"


def test_an_invalid_edit_leaves_the_file_and_keeps_the_text() -> None:
    path = user("log_prompts = true\n")
    problems: list[config.Problem] = []
    with pytest.raises(BadConfig, match="is as it was") as caught:
        config.edit(
            typing("log_prompt = true\n"),
            again=lambda found: problems.extend(found),  # type: ignore[func-returns-value]
        )
    assert problems[0].message.startswith("unknown key log_prompt ")
    assert path.read_text() == "log_prompts = true\n"
    kept = Path(caught.value.hint.rpartition("your text is kept in ")[2])
    assert kept.read_text() == "log_prompt = true\n"
    assert stat.S_IMODE(kept.parent.stat().st_mode) == 0o700


def test_an_invalid_edit_may_go_on() -> None:
    texts = iter(["nonsense", "log_prompts = false\n"])
    asked = []

    def again(problems: list[config.Problem]) -> bool:
        asked.append(problems[0].line)
        return True

    path = config.edit(lambda copy: typing(next(texts))(copy), again=again)
    assert asked == [1]
    assert path.read_text() == "log_prompts = false\n"


def test_an_edit_does_not_overwrite_what_others_wrote_meanwhile() -> None:
    path = user("log_prompts = true\n")

    def editor(copy: Path) -> None:
        copy.write_text("log_prompts = false\n")
        path.write_text("# theirs\n")

    with pytest.raises(LlmrrError, match="changed by someone else") as caught:
        config.edit(editor)
    assert path.read_text() == "# theirs\n"
    assert "your text is kept in" in caught.value.hint


def test_relative_paths_of_an_edited_copy_start_at_the_real_file(tmp_path: Path) -> None:
    path = project("", tmp_path)
    (tmp_path / "t.jinja").write_text("x")
    config.edit(typing("engines.llamacpp.chat_template = 'file:t.jinja'"), path)
    assert config.load().value("engines.llamacpp.chat_template") == "x"


@pytest.mark.parametrize(
    ("before", "key", "value", "after"),
    [
        (None, "log_prompts", False, "version = 1\nlog_prompts = false\n"),
        ("# a\nlog_prompts = true  # why\n", "log_prompts", False,
         "# a\nlog_prompts = false  # why\n"),
        ("log_prompts=true", "log_prompts", None, ""),
        ("stats = { retention = '3d' }\n", "stats.retention", "9d",
         'stats = { retention = "9d" }\n'),
        ("# a\n\n[stats]\n# b\n", "log_prompts", False,
         "# a\n\nlog_prompts = false\n[stats]\n# b\n"),
        ("[stats]\n# b\n", "stats.retention", "9d", '[stats]\nretention = "9d"\n# b\n'),
        ("stats.retention = '3d'\n", "stats.retention", "9d", 'stats.retention = "9d"\n'),
        ("# a\n", "stats.retention", "9d", '# a\n\n[stats]\nretention = "9d"\n'),
        ("[engines.llamacpp]\nthreads = 1\nmmap = true\n", "engines.llamacpp.threads", 8,
         "[engines.llamacpp]\nthreads = 8\nmmap = true\n"),
        ("[engines]\n", "engines.llamacpp.threads", 8,
         "[engines]\n\n[engines.llamacpp]\nthreads = 8\n"),
        ("log_prompts = true\r\n# b\r\n", "log_prompts", False, "log_prompts = false\r\n# b\r\n"),
    ],
)  # fmt: skip
def test_setting_one_value_keeps_the_rest(
    before: str | None, key: str, value: object, after: str
) -> None:
    path = config.user_file()
    if before is not None:
        user(before)
    assert config.set_value(key, value) == path
    assert path.read_bytes().decode() == after
    config.rollback()
    assert (path.read_bytes().decode() if path.exists() else None) == before


@pytest.mark.parametrize(
    "text",
    [
        "stats = 3\n",
        "x = '''\n[stats]\n'''\n",
        "not toml",
        "log_prompt = 1\n",
    ],
)
def test_setting_never_spoils_a_file(text: str) -> None:
    path = user(text)
    with pytest.raises(BadConfig):
        config.set_value("stats.retention", "9d")
    assert path.read_text() == text
    assert journal.entries() == []


def test_setting_refuses_what_is_not_a_value() -> None:
    with pytest.raises(BadConfig, match="is not true or false"):
        config.set_value("log_prompts", 3)
    with pytest.raises(BadConfig, match="unknown key"):
        config.set_value("models", 3)
    assert not config.user_file().exists()


def test_rollback_leaves_the_files_of_other_projects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: Typed
) -> None:
    places = [tmp_path / name for name in ("one", "two")]
    for place in places:
        place.mkdir()
    one, two = (project("version = 1\n", place) for place in places)
    monkeypatch.chdir(places[0])
    config.set_value("strategy", "random", one)
    monkeypatch.chdir(places[1])
    seen = typed("config", "rollback")
    assert (seen.code, one.read_text().count("random")) == (1, 1)
    assert f"nothing to undo here: the last change was to {one}" in seen.err
    config.set_value("strategy", "random", two)
    monkeypatch.chdir(places[0])
    seen = typed("config", "rollback", "--force")
    assert (seen.code, seen.err) == (0, f"llmrr: undone: config set ({one})\n")
    assert (one.read_text(), two.read_text().count("random")) == ("version = 1\n", 1)
    assert typed("config", "rollback").code == 1
    assert typed("config", "rollback", "--force").code == 0
    assert two.read_text() == "version = 1\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[budgets.x]\ndaily = 1\n", "[budgets.x] is of no model"),
        ("[migration]\nmode = 'hybrid'\nnew = ['a']\nlegacy = ['b']\n", "migration.new names 'a'"),
        ("fallback_chain = ['x']\n", "fallback_chain names 'x'"),
        ("[memory]\nthreshold = 0.9\nhigh = 0.5\n", "threshold = 0.9 is above memory.high = 0.5"),
        ("[[models]]\nname = 'a'\nsource = 'file:./a.gguf'\n", "llmrr.toml, line 3)"),
        ("\nenv_file = 'gone.env'\n", "llmrr.toml, line 2)"),
        ("[serve]\norigins = ['localhost:3000']\n", "'localhost:3000' is no site such as http://"),
    ],
)
def test_check_never_says_that_nothing_is_wrong_where_something_is(
    text: str, message: str, typed: Typed
) -> None:
    project(text)
    seen = typed("config", "check")
    assert (seen.code, message in seen.out, "nothing is wrong" in seen.out) == (8, True, False)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("LLMRR_STRATEGY", "zz", 'there is no strategy "zz"'),
        ("LLMRR_FALLBACK_CHAIN", "nn", "hint: add [[models]] of that name\n"),
    ],
)
def test_nor_where_it_is_in_the_environment(
    name: str, value: str, message: str, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    seen = typed("config", "check")
    assert (seen.code, message in seen.out, "nothing is wrong" in seen.out) == (8, True, False)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ('preload = ["zz"]\n', "preload = zz: there is no model"),
        ('[cache]\nsemantic = { model = "zz" }\n', "cache.semantic.model = zz: there is no model"),
        ("[cache]\nsemantic = { threshold = 0.9 }\n", "has no effect without cache.semantic.model"),
        ("[serve.keys.team]\nenv = 'TEAM'\n", "lets others into the server, and nobody agreed"),
        ("[serve]\norigins = 'https://a.example'\n", "lets pages of other sites ask, and nobody"),
        ("[serve]\nhost = '0.0.0.0'\n", "there is no key that lets them in"),
        ("[serve]\naliases = { a = 'zz' }\n", 'the alias a stands for "zz"'),
        ("[serve]\naliases = { auto = 'builtin:mini' }\n", "auto leaves the choice"),
    ],
)
def test_check_tells_what_will_not_work(text: str, note: str, typed: Typed) -> None:
    project(text)
    for words in (("config", "check"), ("config", "check", "llmrr.toml")):
        seen = typed(*words)
        assert (seen.code, note in seen.out, seen.err) == (0, True, "")
        assert seen.out.endswith("\n1 warning\n") and "nothing is wrong" not in seen.out
        [told] = typed(*words, "--json").json
        assert (note in told["message"], told["warning"]) == (True, True)


def test_a_variable_that_sets_nothing_is_a_warning_of_what_is_in_use_alone(
    typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    project("")
    monkeypatch.setenv("LLMRR_SERVE__PROT", "1")
    seen = typed("config", "check")
    assert (seen.code, "LLMRR_SERVE__PROT" in seen.out, "1 warning" in seen.out) == (0, True, True)
    assert typed("config", "check", "llmrr.toml").out == "nothing is wrong\n"


def test_a_file_is_checked_as_it_would_be_used(typed: Typed) -> None:
    Path("other.toml").write_text("version = 1\nfallback_chain = ['x']\n")
    seen = typed("config", "check", "other.toml")
    assert (seen.code, "no [[models]] is called so" in seen.out) == (8, True)
    config.user_file().parent.mkdir(parents=True, exist_ok=True)
    config.user_file().write_text("[[models]]\nname = 'x'\nsource = 'builtin:mini'\n")
    assert typed("config", "check", "other.toml").out == "nothing is wrong\n"


@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_what_is_called_llmrr_toml_and_is_no_file_is_told(kind: str, typed: Typed) -> None:
    path = Path("llmrr.toml")
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("nowhere")
    for words in (("config", "check"), ("run", "hi")):
        seen = typed(*words)
        assert (seen.code, f"cannot read {path.absolute()}: " in seen.out + seen.err) == (8, True)


def test_a_model_that_cannot_be_preloaded_is_told_with_its_setting() -> None:
    path = project('preload = ["zz"]\nmemory = { loading = "preload" }\n')
    with Router() as router, pytest.raises(NotFound, match=f"preload, {path}"):
        router.initialize()


@pytest.mark.parametrize(
    ("name", "meant"),
    [("LLMRR_NIX", None), ("LLMRR_VERSION", None), ("LLMRR_STRATEGI", "LLMRR_STRATEGY"),
     ("LLMRR_LOGPROMPTS", "LLMRR_LOG_PROMPTS"), ("LLMRR_HOMES", "LLMRR_HOME")],
)  # fmt: skip
def test_only_a_near_name_is_proposed(name: str, meant: str | None) -> None:
    [said] = config.load(environ={name: "1"}).warnings
    tail = f"; did you mean {meant}?" if meant else ""
    assert said == f"the environment variable {name} sets nothing{tail}"


def test_a_problem_of_a_model_has_its_name() -> None:
    error = refused(f"{MODELS}options = {{ context_size = 0 }}\n")
    assert error.message.startswith("the model 'm': models[0].options.context_size = 0 is not")


def test_a_model_that_is_not_there_is_told_before_the_missing_prompt(typed: Typed) -> None:
    seen = typed("run", "./nix.gguf")
    assert (seen.code, "nix.gguf does not exist" in seen.err) == (3, True)
    assert "no prompt was given" in typed("run", "-m", "builtin:mini").err


def test_an_address_that_is_no_file_is_not_looked_for_as_one(typed: Typed) -> None:
    attached = typed("run", "-a", "ftp://x/y.png", "hi")
    assert (attached.code, "is no address of an image" in attached.err) == (2, True)
    assert "hint: curl ftp://x/y.txt | llmrr run -f - …" in typed("run", "-f", "ftp://x/y.txt").err
