"""Modelfiles: the grammar of Ollama's parser, what becomes of each command, and the way back."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmrr import modelfile
from llmrr.errors import BadConfig, LlmrrError, Unsupported
from llmrr.modelfile import Modelfile, render
from llmrr.modelfile.commands import ROLES
from llmrr.modelfile.stated import read_params
from llmrr.types import Message, Recipe, Sampling

OUT = ", and is left out"
IT = ", and it is left out"


def parse(text: bytes | str, folder: Path = Path("/somewhere")) -> Modelfile:
    return modelfile.parse(text, folder, "Modelfile")


def refused(text: bytes | str) -> BadConfig:
    with pytest.raises(BadConfig) as caught:
        parse(text)
    return caught.value


def system(value: str) -> str | None:
    return parse(f"FROM m\nSYSTEM {value}").recipe.system


# -- the grammar -------------------------------------------------------------------------------


def test_what_a_modelfile_says() -> None:
    found = parse(
        """# a remark
        FROM llama3.2:1b
        parameter temperature 0.8
        PARAMETER num_ctx 4096
        PARAMETER stop "<|eot_id|>"
        PARAMETER stop AI:
        \tSystem You are terse.
        MESSAGE user hi
        MESSAGE assistant "yo"
        LICENSE MIT
        """
    )
    assert found == Modelfile(
        base="llama3.2:1b",
        recipe=Recipe(
            system="You are terse.",
            params=Sampling(temperature=0.8, stop=("<|eot_id|>", "AI:")),
            options={"context_size": 4096},
            messages=(Message("user", "hi"), Message("assistant", "yo")),
            license="MIT",
        ),
    )


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("plain text  ", "plain text"),
        ("a # is text", "a # is text"),
        ('say "hi" to', 'say "hi" to'),
        ('"quoted"', "quoted"),
        ('" kept "', " kept "),
        ('"two\nlines"', "two\nlines"),
        ('"""three\n\nlines"""', "three\n\nlines"),
        ('"""\nYou are\n"""', "\nYou are\n"),
        ('"""says "hi" twice"""', 'says "hi" twice'),
        ('""""hi""""', '"hi"'),
        ("'single'", "'single'"),
        (r'"no \" escape"', r"no \" escape"),
        ('"""a""" # goes on\nFROM other\nuntil"""', 'a""" # goes on\nFROM other\nuntil'),
        ('""', None),
        ("\t tabbed\t", "tabbed"),
    ],
)
def test_values(written: str, value: str | None) -> None:
    assert system(written) == value


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("", "Modelfile has no FROM line", "FROM"),
        ("# FROM llama3\n", "Modelfile has no FROM line", "FROM"),
        ("FROM  \n", "Modelfile has no FROM line", "FROM"),
        ("FORM m\n", "FORM is not a command of a Modelfile (Modelfile, line 1)", "mean FROM?"),
        ("FROM m\n\nPARAMETERS x 1", "PARAMETERS is not a command", "did you mean PARAMETER?"),
        ("FROM m\nSYSTEM", "SYSTEM needs a value (Modelfile, line 2)", "edit Modelfile, line 2"),
        ("FROM m\nPARAMETER temperature", "needs a name and a value (Modelfile, line 2)", "edit"),
        ("FROM m\nPARAMETER num-ctx 8", "PARAMETER needs a name and a value", "edit"),
        ("FROM m\nMESSAGE wizard hi", 'role "wizard" of MESSAGE is not one of system', "line 2"),
        ("FROM m\nMESSAGE user", "MESSAGE needs a value (Modelfile, line 2)", "edit"),
        ('FROM m\nSYSTEM """a\nb\n', "the quote of SYSTEM is never closed (Modelfile, line 2)", ""),
        ("API_KEY=sk-secret\n", "API_KEY is not a command", "the commands are FROM"),
    ],
)
def test_what_ollama_refuses_is_refused(text: str, said: str, hint: str) -> None:
    error = refused(text)
    assert said in error.message
    assert hint in error.hint
    assert "secret" not in error.message + error.hint


@pytest.mark.parametrize(
    "raw",
    [
        b'\xef\xbb\xbfFROM m\r\nSYSTEM "a\r\nb"\r\n',
        '\ufeffFROM m\rSYSTEM "a\rb"',
        'FROM m\nSYSTEM "a\nb"'.encode("utf-16"),
        b"\xfe\xff" + 'FROM m\nSYSTEM "a\nb"\n'.encode("utf-16-be"),
    ],
)
def test_byte_orders_and_line_ends(raw: bytes | str) -> None:
    found = parse(raw)
    assert (found.base, found.recipe.system, found.warnings) == ("m", "a\nb", ())


def test_what_cannot_be_printed_is_left_out_and_said() -> None:
    found = parse("FROM m\nSYSTEM a\u200bb\x07c\n")
    assert found.recipe.system == "abc"
    assert found.warnings == (
        "characters that cannot be printed are left out, as Ollama does, of SYSTEM "
        "(Modelfile, line 2)",
    )


def test_bytes_that_are_no_text_do_not_matter() -> None:
    assert parse(b"FROM m\nSYSTEM a\xffb").recipe.system == "a\ufffdb"


def test_the_last_of_a_kind_counts() -> None:
    found = parse("FROM m\nSYSTEM a\nSYSTEM b\nPARAMETER top_k 1\nPARAMETER top_k 2\n")
    assert (found.recipe.system, found.recipe.params.top_k) == ("b", 2)
    assert parse('FROM m\nSYSTEM a\nSYSTEM " "\n').recipe.system is None


# -- FROM and ADAPTER --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("base", "source"),
    [
        ("llama3.2", "ollama:llama3.2"),
        ("mistral:7b", "ollama:mistral:7b"),
        ("someone/model:q4", "ollama:someone/model:q4"),
        ("hf.co/owner/repo:Q4_K_M", "huggingface:owner/repo:Q4_K_M"),
        ("huggingface.co/owner/repo", "huggingface:owner/repo"),
        ("hf.co/o/r:sub.Q4_K_M.gguf", "huggingface:o/r/sub.Q4_K_M.gguf"),
        ("huggingface:o/r:Q8_0", "huggingface:o/r:Q8_0"),
        ("builtin:mini", "builtin:mini"),
        ("x.gguf", "file:/somewhere/x.gguf"),
        ("./x y.bin", "file:/somewhere/x y.bin"),
        ("../up", "file:/somewhere/../up"),
        ("/abs/model", "file:/abs/model"),
        ("file:./x", "file:/somewhere/x"),
        (r"C:\models\x", r"file:/somewhere/C:\models\x"),
        ("~nobody-at-all/x.gguf", "file:/somewhere/~nobody-at-all/x.gguf"),
        ("<modelname>", "ollama:<modelname>"),
    ],
)
def test_what_from_names(base: str, source: str) -> None:
    found = parse(f"FROM {base}\n")
    assert (found.base, found.source) == (base, source)
    assert (found.base_path is not None) == source.startswith("file:")


def test_a_name_that_exists_beside_the_file_is_a_path(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert parse("FROM model\n", tmp_path).base_path == tmp_path / "model"


def test_two_files_are_a_model_and_its_image_encoder() -> None:
    for lines in ("FROM ./m.gguf\nFROM ./mmproj.gguf", "FROM ./mmproj.gguf\nFROM ./m.gguf"):
        found = parse(lines)
        assert found.base_path == Path("/somewhere/m.gguf")
        assert found.projector == Path("/somewhere/mmproj.gguf")
        assert found.warnings == ()


def test_of_several_names_the_last_counts() -> None:
    found = parse("FROM a\nFROM b\n")
    assert found.base == "b"
    assert found.warnings == ("of several FROM lines b counts (Modelfile, line 2)",)


def test_a_blob_of_another_machine_is_named_by_the_remark() -> None:
    blob = f"/usr/share/ollama/.ollama/models/blobs/sha256-{'ab' * 32}"
    text = f"# replace FROM with:\n# FROM mistral-nemo:latest\n\nFROM {blob}\n"
    found = parse(text)
    assert (found.base, found.base_path) == ("mistral-nemo:latest", None)
    assert "its remark names mistral-nemo:latest (Modelfile, line 4)" in found.warnings[0]
    assert parse(f"FROM {blob}\n").base_path == Path(blob)


def test_adapters_are_loading_options() -> None:
    found = parse("FROM m\nADAPTER ./a.gguf\nADAPTER /b.gguf\n")
    adapters = (Path("/somewhere/a.gguf"), Path("/b.gguf"))
    assert found.recipe.options["lora"] == tuple((path, 1.0) for path in adapters)


# -- PARAMETER ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "params", "options"),
    [
        ("num_predict 800", {"max_tokens": 800}, {}),
        ("num_predict -1", {}, {}),
        ("num_predict -2", {}, {}),
        ("seed -1", {}, {}),
        ("seed 0", {"seed": 0}, {}),
        ("min_p 0.05", {"min_p": 0.05}, {}),
        ("num_gpu 99", {}, {"gpu_layers": 99}),
        ("num_gpu -1", {}, {}),
        ("num_thread 8", {}, {"threads": 8}),
        ("num_thread 0", {}, {}),
        ("use_mmap false", {}, {"mmap": False}),
        ("use_mlock true", {}, {"mlock": True}),
        ("kv_type q8_0", {}, {"kv_type": "q8_0"}),
        ('stop "a # b"', {"stop": ("a # b",)}, {}),
    ],
)
def test_parameters(line: str, params: dict[str, object], options: dict[str, object]) -> None:
    found = parse(f"FROM m\nPARAMETER {line}\n")
    assert found.recipe == Recipe(None, Sampling(**params), options)  # type: ignore[arg-type]
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("line", "warning", "params"),
    [
        ("num_keep 24", "num_keep has no effect here", {}),
        ("mirostat 2", "mirostat has no effect here", {}),
        ("main_gpu 0", "main_gpu has no effect here", {}),
        ("topp 0.7", f'there is no parameter "topp"{IT}; did you mean top_p?', {}),
        ("lora ./a", f'there is no parameter "lora"{IT}', {}),
        ("system hi", f'there is no parameter "system"{IT}', {}),
        ("top_p 0.7 # hot", "what follows # is not part of top_p", {"top_p": 0.7}),
        ("top_k many", f'top_k "many" is not a whole number of at least 0{OUT}', {}),
        ("temperature hot # x", f'temperature "hot # x" is not a number of at least 0{OUT}', {}),
        ("top_k 1.5", f'top_k "1.5" is not a whole number of at least 0{OUT}', {}),
        ('stop ""', f'stop "" is not a text or a list of texts, none empty{OUT}', {}),
    ],
)
def test_what_has_no_effect_is_said_with_its_line(
    line: str, warning: str, params: dict[str, float]
) -> None:
    found = parse(f"FROM m\nPARAMETER {line}\n")
    assert found.recipe.params == Sampling(**params)  # type: ignore[arg-type]
    assert found.warnings == (f"{warning} (Modelfile, line 2)",)


def test_a_value_that_cannot_be_used_leaves_the_one_before() -> None:
    found = parse("FROM m\nPARAMETER top_k 7\nPARAMETER top_k x\n")
    assert found.recipe.params.top_k == 7
    assert len(found.warnings) == 1


def test_templates_are_kept_and_not_used() -> None:
    found = parse('FROM m\nTEMPLATE """{{ .System }}\n{{ .Prompt }}"""\nREQUIRES 0.14.0\n')
    assert found.recipe.template == "{{ .System }}\n{{ .Prompt }}"
    assert [warning[:8] for warning in found.warnings] == ["TEMPLATE", "REQUIRES"]
    assert "line 2" in found.warnings[0]
    assert "line 4" in found.warnings[1]


def test_system_messages_stay_where_they_stand() -> None:
    found = parse("FROM m\nMESSAGE user a\nMESSAGE system b\n")
    assert found.recipe.messages == (Message("user", "a"), Message("system", "b"))
    assert found.recipe.system is None


# -- the params blob of the store --------------------------------------------------------------


def test_the_parameters_of_the_store() -> None:
    table = {"stop": ["a", "b"], "temperature": 0.3, "num_ctx": 8192.0, "use_mmap": True}
    params, options, warnings = read_params(json.dumps(table).encode(), "m")
    assert params == Sampling(stop=("a", "b"), temperature=0.3)
    assert options == {"context_size": 8192, "mmap": True}
    assert warnings == ()


@pytest.mark.parametrize(
    ("raw", "warning"),
    [
        (b"\x80\x81", "the parameters are not a JSON object (m)"),
        (b"[1]", "the parameters are not a JSON object (m)"),
        (b"[" * 100_000, "the parameters are not a JSON object (m)"),
        (b'{"stop": "\\ud800"}', "the parameters are not a JSON object (m)"),
        (b'{"top_p": {"a": 1}}', f"top_p \"{{'a': 1}}\" is not a number from 0 to 1{OUT} (m)"),
        (b'{"top_k": 1e400}', f'top_k "inf" is not a whole number of at least 0{OUT} (m)'),
        (b'{"temperature": NaN}', f'temperature "nan" is not a number of at least 0{OUT} (m)'),
        (b'{"chat_template": "file:/x"}', f'there is no parameter "chat_template"{IT} (m)'),
        (b'{"adapter": "/etc/passwd"}', f'there is no parameter "adapter"{IT} (m)'),
    ],
)
def test_parameters_that_cannot_be_read_are_warnings(raw: bytes, warning: str) -> None:
    assert read_params(raw, "m") == (Sampling(), {}, (warning,))


def test_null_is_not_stated() -> None:
    assert read_params(b'{"seed": null, "stop": []}', "m") == (Sampling(), {}, ())


# -- the way back ------------------------------------------------------------------------------

PRINTABLE = st.characters(codec="utf-8").filter(lambda c: c.isprintable() or c in "\n\t")
TEXTS = st.text(st.one_of(PRINTABLE, st.sampled_from('\n"# ')), min_size=1, max_size=30)
SHARES = st.floats(0, 1)
PARAMS = st.builds(
    Sampling,
    temperature=st.none() | st.floats(0, 100),
    top_k=st.none() | st.integers(0, 10**9),
    top_p=st.none() | SHARES,
    repeat_penalty=st.none() | st.floats(0.01, 10),
    presence_penalty=st.none() | st.floats(-2, 2),
    seed=st.none() | st.integers(0, 2**32 - 1),
    stop=st.none() | st.lists(TEXTS, min_size=1, max_size=3).map(tuple),
    max_tokens=st.none() | st.integers(1, 10**9),
    ignore_eos=st.none() | st.booleans(),
    think=st.none() | st.sampled_from(["off", "low", "high"]),
)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "context_size": st.integers(1, 10**7),
        "gpu_layers": st.integers(-1, 200) | st.just("auto"),
        "threads": st.integers(1, 1024),
        "kv_type": st.sampled_from(["f16", "q8_0"]),
        "flash_attention": st.sampled_from(["on", "off", "auto"]),
        "mmap": st.booleans(),
        "chat_template": TEXTS.filter(lambda text: text.strip() and not text.startswith("file:")),
        "lora": st.just(((Path("/a b/x.gguf"), 1.0), (Path('/"q"'), 1.0))),
    },
)
RECIPES = st.builds(
    Recipe,
    system=st.none() | TEXTS.filter(str.strip),
    params=PARAMS,
    options=OPTIONS,
    messages=st.lists(
        st.builds(Message, st.sampled_from(ROLES), st.just("") | TEXTS), max_size=3
    ).map(tuple),
)
BASES = st.sampled_from(["llama3.2:1b", "hf.co/o/r:Q4_K_M", "./x y.gguf", '/"odd".gguf'])


@given(BASES, RECIPES, st.none() | st.just(Path("/mmproj.gguf")))
def test_what_is_written_is_read_as_the_same(
    base: str, recipe: Recipe, projector: Path | None
) -> None:
    try:
        text = render(base, recipe, projector)
    except Unsupported:
        # Nothing is escaped in a Modelfile: a line that ends with quotes ends the value.
        assert '"' in repr(recipe)
        return
    found = parse(text)
    assert (found.base, found.recipe, found.projector, found.warnings) == (
        base, recipe, projector, (),
    )  # fmt: skip


def test_what_is_written_looks_like_ollamas() -> None:
    recipe = Recipe(
        "You are terse.\nAlways.",
        Sampling(temperature=0.5, max_tokens=9, stop=("a", "b")),
        {"context_size": 4096, "gpu_layers": 20, "mmap": False},
        (Message("user", "hi"),),
    )
    assert render("llama3.2:1b", recipe) == (
        "FROM llama3.2:1b\n"
        "PARAMETER temperature 0.5\n"
        "PARAMETER num_predict 9\n"
        "PARAMETER stop a\n"
        "PARAMETER stop b\n"
        "PARAMETER num_ctx 4096\n"
        "PARAMETER num_gpu 20\n"
        "PARAMETER use_mmap false\n"
        'SYSTEM """You are terse.\nAlways."""\n'
        "MESSAGE user hi\n"
    )


def test_a_text_that_no_quotes_hold_is_refused() -> None:
    with pytest.raises(Unsupported, match="a line of it ends with quotation marks"):
        render("m", Recipe('a"""\nb"\nc'))


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_refused_in_words(text: str | bytes) -> None:
    try:
        parse(text if isinstance(text, bytes) else f"FROM m\nSYSTEM {text}")
    except LlmrrError as error:
        assert error.message


def test_a_long_text_is_read_in_time() -> None:
    text = 'FROM m\nSYSTEM """' + "line of a long licence\n" * 200_000 + '"""\n'
    assert len(parse(text).recipe.system or "") > 4_000_000
