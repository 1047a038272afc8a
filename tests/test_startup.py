"""What starting costs: modules that must not be loaded before they are needed."""

import subprocess
import sys

HEAVY = {
    "huggingface_hub", "llama_cpp", "onnxruntime", "mlx_lm", "numpy", "starlette", "uvicorn",
    "tree_sitter", "yaml", "rich", "torch", "tokenizers", "minijinja", "jinja2", "llguidance",
    "prompt_toolkit", "sqlite3", "tomllib", "tomli_w", "asyncio",
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
