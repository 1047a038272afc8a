"""What starting costs: modules that must not be loaded before they are needed."""

import subprocess
import sys

HEAVY = {
    "huggingface_hub", "llama_cpp", "onnxruntime", "mlx_lm", "numpy", "starlette", "uvicorn",
    "tree_sitter", "yaml", "rich", "torch", "tokenizers", "minijinja", "jinja2", "llguidance",
    "prompt_toolkit", "urllib3", "boto3", "sqlite3", "tomllib", "tomli_w", "asyncio",
}  # fmt: skip


def loaded(statement: str) -> set[str]:
    """The top-level modules that ``statement`` adds to a bare interpreter's."""
    code = (
        "import sys; before = set(sys.modules)\n"
        f"{statement}\n"
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    return set(done.stdout.split())


def test_the_command_line_loads_nothing_heavy() -> None:
    modules = loaded("import llmrr.cli.app")
    assert "llmrr" in modules
    assert modules & HEAVY == set()


def test_the_package_alone_loads_only_itself() -> None:
    assert loaded("import llmrr") == {"llmrr"}


def test_records_load_nothing_heavy() -> None:
    modules = loaded("import llmrr.config, llmrr.stats, llmrr.journal, llmrr.database")
    assert modules & (HEAVY | {"platformdirs", "json", "tempfile", "difflib", "shutil"}) == set()


def test_ctrl_c_while_it_starts() -> None:
    code = (
        "import runpy, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'llmrr.cli.output':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "runpy.run_module('llmrr', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
