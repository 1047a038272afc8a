"""To ONNX: what is said before any work, the environment of its own, and the process in it."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import pytest
from layouts import hf_folder, llama_tensors, onnx_file, onnx_graph, safetensors_file, write_json
from terminal import Typed

from llmrr import doctor, paths
from llmrr.convert import Step, Wish, open_source, plan
from llmrr.convert.onnx import environment, note, process, staging, tasks
from llmrr.convert.onnx.checks import checks
from llmrr.convert.onnx.environment import ONNX_EXPORT, Place, Recipe
from llmrr.errors import (
    DamagedFile,
    DoesNotFit,
    EngineFailed,
    FeatureMissing,
    Unsupported,
    UsageError,
)
from llmrr.formats import FolderFiles, inspect
from llmrr.formats.protobuf import Reader
from llmrr.formats.source import FileSource
from llmrr.store.processes import is_alive
from llmrr.types import Format

PYTHON = Path(sys.executable)


def quiet(what: str, done: int, total: int) -> None:
    pass


def planned(folder: Path, quant: str = "auto", **options: Any) -> Step:
    [step] = plan(open_source(folder), Wish(Format.ONNX, quant, options=options))
    return step


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment without optimum, wherever the tests run."""
    monkeypatch.setattr(environment, "lacking", lambda: ["optimum-onnx is not there"])


# -- what it is exported for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "name", "task"),
    [
        ("llama", "LlamaForCausalLM", "text-generation-with-past"),
        ("gpt2", "GPT2LMHeadModel", "text-generation-with-past"),
        ("xlm", "XLMWithLMHeadModel", "fill-mask"),
        ("t5", "T5ForConditionalGeneration", "text2text-generation-with-past"),
        ("marian", "MarianMTModel", "text2text-generation-with-past"),
        ("gemma3", "Gemma3ForConditionalGeneration", "text-generation-with-past"),
        ("bert", "BertModel", "feature-extraction"),
        ("bert", "BertForMaskedLM", "fill-mask"),
        ("bert", "BertForPreTraining", "fill-mask"),
        ("xlm-roberta", "XLMRobertaForSequenceClassification", "text-classification"),
        ("distilbert", "DistilBertForTokenClassification", "token-classification"),
        ("roberta", "RobertaForQuestionAnswering", "question-answering"),
        ("llama", "LlamaForSequenceClassification", "text-classification"),
        ("qwen2", "", "text-generation-with-past"),
        ("bert", "", "feature-extraction"),
        ("t5", "", "text2text-generation-with-past"),
    ],
)
def test_the_task_is_found_by_the_class(family: str, name: str, task: str) -> None:
    assert tasks.choose(family, [name] if name else [], None) == task


def test_the_task_may_be_stated() -> None:
    classes = ["LlamaForCausalLM"]
    assert tasks.choose("llama", classes, "feature-extraction") == "feature-extraction"
    assert tasks.choose("qwen3", ["Qwen3ForCausalLM"], None, embeds=True) == "feature-extraction"
    with pytest.raises(UsageError, match='no task "text-generaton"'):
        tasks.choose("llama", classes, "text-generaton")
    with pytest.raises(Unsupported, match="bert cannot be exported for text-generation"):
        tasks.choose("bert", ["BertModel"], "text-generation")


def test_every_type_has_a_task_without_a_class() -> None:
    for family, has in tasks.table().items():
        if family != "splinter":  # only answers questions, or gives vectors
            assert tasks.choose(family, (), None) in has


# -- what is refused before any work -------------------------------------------------------------


@pytest.mark.usefixtures("bare")
def test_a_plan(tmp_path: Path) -> None:
    step = planned(hf_folder(tmp_path / "m", shards=2))
    assert (step.title, step.quant) == (
        "safetensors to ONNX (text-generation-with-past), fp32", "fp32",
    )  # fmt: skip
    assert step.asks is not None and str(environment.root()) in step.asks
    floats = sum(a * b for _, (a, b) in matrices(llama_tensors()))
    assert step.bytes is not None and 4 * floats < step.bytes < 8 * floats + 200_000
    smaller = planned(tmp_path / "m", "q4").bytes
    assert smaller is not None and smaller < step.bytes
    assert not environment.root().exists()  # nothing was made


def matrices(tensors: Any) -> list[tuple[str, Any]]:
    return [(name, shape) for name, (_, shape) in tensors.items() if len(shape) == 2]


def test_where_optimum_is_nothing_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "lacking", list)
    assert environment.place() == Place(PYTHON, own=False)
    assert planned(hf_folder(tmp_path / "m")).asks is None


@pytest.mark.parametrize(
    ("config", "quant", "options", "error", "said"),
    [
        ({"model_type": "lama"}, "auto", {}, Unsupported, 'the type "lama"'),
        ({"model_type": "mamba2"}, "auto", {}, Unsupported, 'the type "mamba2"'),
        ({}, "Q4_K_M", {}, Unsupported, "written as Q4_K_M"),
        ({}, "q4", {"group_size": 48}, UsageError, "--group-size 48"),
        ({}, "int8", {"group_size": 32}, UsageError, "is for 4 bits"),
        ({}, "auto", {"task": "fill-mask"}, Unsupported, "llama cannot be exported for fill-mask"),
        ({"architectures": ["LlamaForQuestionAnswering"]}, "auto", {}, Unsupported,
         "LlamaForQuestionAnswering .llama. is not exported for question-answering"),
        ({"quantization_config": {"quant_method": "gptq"}}, "auto", {}, Unsupported,
         "quantized by gptq"),
    ],
)  # fmt: skip
def test_refused(
    tmp_path: Path, config: dict[str, Any], quant: str, options: dict[str, Any],
    error: type[Exception], said: str,
) -> None:  # fmt: skip
    folder = hf_folder(tmp_path / "m", config=config)
    with pytest.raises(error, match=said):
        planned(folder, quant, **options)


# -- what optimum sees ---------------------------------------------------------------------------


def test_code_and_pickles_stay_outside(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "m", config={"auto_map": {"AutoModel": "evil.Model"}}, shards=2)
    for name in ("evil.py", "pytorch_model.bin", "notes.txt"):
        (folder / name).write_text("raise SystemExit")
    with staging.staged(folder, folder, tmp_path) as staged:
        assert {path.name for path in staged.iterdir()} == {
            "config.json", "tokenizer.json", "tokenizer_config.json",
            "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            "model.safetensors.index.json",
        }  # fmt: skip
        assert "auto_map" not in json.loads((staged / "config.json").read_text())
        index = json.loads((staged / "model.safetensors.index.json").read_text())["weight_map"]
        assert index.keys() == llama_tensors().keys()
        for name, file in index.items():
            assert name.encode() in (staged / file).read_bytes()
    assert not staged.exists()


def test_weights_of_any_name_and_settings_from_elsewhere(tmp_path: Path) -> None:
    hf_folder(tmp_path / "settings", tensors={})
    file = safetensors_file(tmp_path / "w" / "mine.safetensors", llama_tensors())
    with staging.staged(file, tmp_path / "settings", tmp_path) as staged:
        assert (staged / "model.safetensors").resolve() == file
        assert (staged / "config.json").is_file()


def test_a_truncated_shard_is_said_before_anything_runs(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "m", shards=2)
    shard = folder / "model-00002-of-00002.safetensors"
    shard.write_bytes(shard.read_bytes()[:-8])
    damaged = pytest.raises(DamagedFile, match=r"model-00002-of-00002\.safetensors")
    with damaged, staging.staged(folder, folder, tmp_path):
        pass


def test_what_is_noted_is_metadata_of_the_graph(tmp_path: Path) -> None:
    graph = onnx_file(tmp_path / "a.onnx", onnx_graph())
    before = inspect(graph).metadata
    note(graph, {"llmrr.verified": "true"})
    source = FileSource.of(graph)
    reader = Reader(source)
    found = [
        [reader.text(part) for part in reader.fields(one.offset, one.offset + one.length)]
        for one in reader.fields(0, source.size) if one.number == 14
    ]  # fmt: skip
    assert found == [["llmrr.verified", "true"]]
    same = set(before) - {"onnx.graphs"}
    assert {key: inspect(graph).metadata[key] for key in same} == {key: before[key] for key in same}


# -- checks --------------------------------------------------------------------------------------

GOOD: dict[str, Any] = {
    "tensors": {"matched": 2, "tensors": 2, "bytes": 10, "all_bytes": 10, "unused": [],
                "unknown": [], "wrong": []},
    "tokens": {"texts": 3, "differs": None},
    "outputs": {"largest": 1e-4, "scale": 8.0, "finite": True, "steps": 0.0, "positions": 9,
                "same": 8, "ties": 1, "kl_mean": 0.01, "kl_max": 0.1, "kl_other": 1.0, "was": 10.0,
                "perplexity": 11.0, "cosine": None, "compared": 9},
}  # fmt: skip


def failed(quant: str, part: str = "", **changes: Any) -> list[str]:
    found = {key: dict(value) for key, value in GOOD.items()}
    if part:
        found[part] |= changes
    return [check.name for check in checks(found, quant) if not check.passed]


def test_what_passes_and_what_does_not() -> None:
    assert failed("fp32") == failed("fp16") == failed("int8") == failed("q4") == []
    assert failed("fp32", "tensors", wrong=["a.weight"]) == ["tensors"]
    assert failed("fp32", "tensors", matched=0) == ["tensors"]
    assert failed("fp32", "tokens", differs="x", ids=[1], were=[2]) == ["tokens"]
    assert failed("fp32", "outputs", largest=0.02) == ["logits"]
    assert failed("fp32", "outputs", largest=0.02, scale=100.0) == []
    assert failed("fp32", "outputs", steps=0.02) == ["logits"]
    assert failed("fp32", "outputs", same=7) == ["logits"]
    assert failed("fp16", "outputs", kl_mean=0.1) == ["logits"]
    assert failed("q4", "outputs", kl_mean=0.1) == []
    assert failed("q4", "outputs", kl_mean=0.6) == ["logits"]
    assert failed("q4", "outputs", finite=False) == ["logits"]
    assert failed("q4", "outputs", compared=0) == ["logits"]
    vectors = {"kl_mean": None, "kl_max": None, "positions": None, "was": None, "perplexity": None}
    assert failed("int8", "outputs", cosine=0.9, **vectors) == []
    assert failed("int8", "outputs", cosine=0.4, **vectors) == ["logits"]


def test_the_table_of_a_quantization() -> None:
    [*_, quality] = checks(GOOD, "q4")
    assert quality.table[1] == {
        "model": "q4", "KL mean": 0.01, "KL max": 0.1, "same top": 0.8889, "perplexity": 11.0,
        "change": "+10.00%",
    }  # fmt: skip


# -- the process ---------------------------------------------------------------------------------


@pytest.fixture
def sleeper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that takes a minute to load; the file that it writes its process into, and that of
    one that it starts."""
    told = tmp_path / "pids"
    (tmp_path / "sleeper.py").write_text(
        "import os, pathlib, subprocess, sys, time\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(told)!r}).write_text(f'{{os.getpid()}} {{other.pid}}')\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ['PYTHONPATH']}")
    return told


def pids(told: Path) -> list[int]:
    for _ in range(500):
        if told.is_file() and (text := told.read_text()):
            return [int(one) for one in text.split()]
        time.sleep(0.02)
    raise AssertionError("it did not start")


def gone(numbers: list[int]) -> bool:
    for _ in range(500):
        if not any(is_alive(one) and not is_zombie(one) for one in numbers):
            return True
        time.sleep(0.02)
    return False


def is_zombie(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def test_progress_and_errors_come_over() -> None:
    seen: list[tuple[str, int, int]] = []
    told = lambda *given: seen.append(given)  # noqa: E731
    assert process.run(PYTHON, "imports", told, modules=["json", "csv"]) is None
    assert seen == [("loading json", 0, 2), ("loading csv", 1, 2)]
    with pytest.raises(EngineFailed, match="nowhere_at_all was installed and cannot be loaded"):
        process.run(PYTHON, "imports", quiet, modules=["nowhere_at_all"])


def test_a_process_that_dies_says_why(sleeper: Path) -> None:
    def kill(number: int) -> Any:
        def told(what: str, done: int, total: int) -> None:
            sleeper.unlink(missing_ok=True)
            os.kill(pids(sleeper)[0], number)

        return told

    for number, error, said in (
        (signal.SIGKILL, DoesNotFit, "memory runs out"), (signal.SIGSEGV, EngineFailed, "signal 11")
    ):  # fmt: skip
        with pytest.raises(error, match=said):
            process.run(PYTHON, "imports", kill(number), isolated=False, modules=["sleeper"])
    silent = sleeper.parent / "silent.py"
    silent.write_text(
        "import os, sys\nprint('that is why', file=sys.stderr, flush=True)\nos._exit(3)"
    )
    with pytest.raises(EngineFailed, match="that is why"):
        process.run(PYTHON, "imports", quiet, isolated=False, modules=["silent"])


def test_an_interruption_ends_all_of_it(sleeper: Path) -> None:
    started: list[int] = []

    def told(what: str, done: int, total: int) -> None:
        started.extend(pids(sleeper))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process.run(PYTHON, "imports", told, isolated=False, modules=["sleeper"])
    assert len(started) == 2 and gone(started)


def test_it_does_not_outlive_whoever_asked(sleeper: Path) -> None:
    asking = subprocess.Popen([
        sys.executable, "-c",
        "from pathlib import Path\nfrom llmrr.convert.onnx import process\nimport sys\n"
        "process.run(Path(sys.executable), 'imports', print, isolated=False, modules=['sleeper'])",
    ], stdout=subprocess.DEVNULL)  # fmt: skip
    started = pids(sleeper)
    asking.kill()
    asking.wait()
    assert gone(started)


# -- the environment -----------------------------------------------------------------------------


def recipe(folder: Path, *, module: str = "trivial", wanted: str = "trivial==1.0") -> Recipe:
    """An environment with one package, which lies in ``folder``."""
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "trivial-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("trivial.py", "answer = 42\n")
        about = "trivial-1.0.dist-info"
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: trivial\nVersion: 1.0\n")
        wheel.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}/RECORD", "")
    listed = folder / "requirements.txt"
    listed.write_text(f"--no-index\n--find-links {folder}\n{wanted}\n")
    return Recipe("tiny", listed, (module,), 1000, 1000)


@pytest.mark.usefixtures("bare")
def test_an_environment_is_made_once(tmp_path: Path) -> None:
    tiny = recipe(tmp_path / "wheels")
    with pytest.raises(FeatureMissing, match="tiny is not installed") as missing:
        environment.required(tiny)
    assert missing.value.hint == "llmrr doctor --install onnx-export"
    left = environment.root() / ".tiny-0123abcd"  # by a build that was killed
    (left / "bin").mkdir(parents=True)
    seen: list[str] = []
    python = environment.build(lambda what, done, total: seen.append(what), tiny)
    assert environment.required(tiny) == Place(python, own=True)
    assert "fetching trivial-1.0" in seen and seen[-1] == "loading trivial"
    out = subprocess.run([python, "-Ic", "import trivial; print(trivial.answer)"], stdout=-1)
    assert out.stdout == b"42\n"
    assert sorted(path.name for path in environment.root().iterdir()) == ["lock", tiny.folder.name]
    began = python.stat().st_ctime_ns
    assert environment.build(quiet, tiny) == python
    assert python.stat().st_ctime_ns == began


def test_another_list_is_another_environment(tmp_path: Path) -> None:
    first = recipe(tmp_path / "a").folder
    assert recipe(tmp_path / "b", wanted="trivial==2.0").folder != first
    assert first.parent == paths.data_dir() / "environments"


def test_a_disk_that_is_too_small_is_said_first(tmp_path: Path) -> None:
    tiny = recipe(tmp_path / "wheels")
    huge = Recipe("tiny", tiny.requirements, (), 1, 10**18)
    with pytest.raises(DoesNotFit, match="needs 1000000000"):
        environment.build(quiet, huge)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"wanted": "trivial==9.9"}, "pip: No matching distribution found for trivial==9.9"),
        ({"module": "absent"}, "absent was installed and cannot be loaded"),
    ],
)
def test_of_one_that_fails_nothing_is_left(
    tmp_path: Path, changes: dict[str, str], said: str
) -> None:
    tiny = recipe(tmp_path / "wheels", **changes)
    with pytest.raises(EngineFailed, match=said):
        environment.build(quiet, tiny)
    assert [path.name for path in environment.root().iterdir()] == ["lock"]


@pytest.mark.slow
def test_builds_that_are_killed_leave_nothing_behind(tmp_path: Path) -> None:
    tiny = recipe(tmp_path / "wheels")
    code = (
        "import sys\nfrom pathlib import Path\nfrom llmrr.convert.onnx import environment\n"
        "tiny = environment.Recipe('tiny', Path(sys.argv[1]), ('trivial',), 1, 1)\n"
        "environment.build(lambda *given: None, tiny)"
    )
    for seconds in (0.6, 1.5, 3.0):
        building = subprocess.Popen([sys.executable, "-c", code, str(tiny.requirements)])
        time.sleep(seconds)
        building.kill()
        building.wait()
        assert not tiny.is_ready or (tiny.folder / "bin" / "pip").is_file()
    environment.build(quiet, tiny)
    assert sorted(path.name for path in environment.root().iterdir()) == ["lock", tiny.folder.name]


@pytest.mark.slow
def test_two_at_once_make_one(tmp_path: Path) -> None:
    tiny = recipe(tmp_path / "wheels")
    code = (
        "import sys\nfrom pathlib import Path\nfrom llmrr.convert.onnx import environment\n"
        "tiny = environment.Recipe('tiny', Path(sys.argv[1]), ('trivial',), 1, 1)\n"
        "environment.build(lambda what, *rest: print(what, flush=True), tiny)"
    )
    both = [
        subprocess.Popen([sys.executable, "-c", code, str(tiny.requirements)], stdout=-1, text=True)
        for _ in range(2)
    ]
    said = [one.communicate()[0] for one in both]
    assert [one.returncode for one in both] == [0, 0]
    assert sum("making an environment" in one for one in said) == 1
    assert sorted(path.name for path in environment.root().iterdir()) == ["lock", tiny.folder.name]


# -- doctor --------------------------------------------------------------------------------------


@pytest.mark.usefixtures("bare")
def test_doctor_tells_whether_it_is_there() -> None:
    assert doctor.export().ok is None
    ONNX_EXPORT.python.parent.mkdir(parents=True)
    ONNX_EXPORT.python.symlink_to(sys.executable)
    assert doctor.export().detail == str(ONNX_EXPORT.folder)
    older = environment.root() / "onnx-export-000000000000"
    older.mkdir()
    assert doctor.export().cure == f"rm -r {older}"


@pytest.mark.usefixtures("bare")
def test_doctor_asks_before_it_installs(typed: Typed) -> None:
    seen = typed("doctor", "--install", "onnx-exprt")
    assert (seen.code, "--install onnx-export" in seen.err) == (2, True)
    seen = typed("doctor", "--install", "onnx-export")
    assert (seen.code, "GB to fetch" in seen.err) == (1, True)
    seen = typed("doctor", "--install", "onnx-export", answers="n\n")
    assert (seen.code, "nothing was made" in seen.err) == (1, True)
    assert not environment.root().exists()


def test_doctor_installs(typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = recipe(tmp_path / "wheels")
    monkeypatch.setattr(environment, "RECIPES", {"tiny": tiny})
    monkeypatch.setattr(environment, "place", lambda one: Place(PYTHON, own=False))
    there = typed("doctor", "--install", "tiny", "--json").json
    assert there == {"name": "tiny", "path": None, "bytes": None, "made": False}
    built: list[Recipe] = []
    monkeypatch.setattr(environment, "place", lambda one: None)
    monkeypatch.setattr(environment, "build", lambda told, one: built.append(one))
    made = typed("doctor", "--install", "tiny", "-y", "--json").json
    assert (made["path"], made["made"], built) == (str(tiny.folder), True, [tiny])


def test_the_list_and_the_versions_that_are_taken_agree() -> None:
    lines = ONNX_EXPORT.requirements.read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if not line.startswith("#"))
    for name, (oldest, below) in environment.NEEDED.items():
        numbers = tuple(int(one) for one in pinned[name].split("."))
        assert oldest <= numbers and (below is None or numbers < below)


def test_settings_are_copied_without_code(tmp_path: Path) -> None:
    folder = hf_folder(tmp_path / "m", config={"auto_map": {"AutoModel": "evil.Model"}})
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    (tmp_path / "out").mkdir()
    staging.copy_settings(folder, tmp_path / "out")
    names = set(FolderFiles(tmp_path / "out").sizes)
    assert names == {
        "config.json", "tokenizer.json", "tokenizer_config.json", "1_Pooling/config.json",
    }  # fmt: skip
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
