"""What a file seems to be that no reader takes, so that the user is told why."""

from collections.abc import Callable
from typing import Any, Final

from llmrr.migrate.documents import Document
from llmrr.migrate.parsing.sniffing import language

_PICKLES: Final = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt")
_MAGIC: Final = (
    (b"GGUF", "a GGUF model: llmrr import takes it"),
    (b"SQLite format 3\0", "an SQLite database that is no cache or log of a tool known here"),
    (b"PK\3\4", "a ZIP archive"), (b"\x1f\x8b", "a compressed file"), (b"%PDF", "a PDF file"),
    (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"\x7fELF", "a program"),
)  # fmt: skip


def _has(*names: str) -> Callable[[dict[str, Any]], bool]:
    return lambda found: all(name in found for name in names)


# By the fields that they must have, the more specific first.
_SHAPES: Final[tuple[tuple[Callable[[dict[str, Any]], bool], str], ...]] = (
    (_has("apiVersion", "kind"), "Kubernetes"),
    (_has("apiVersion", "name", "version"), "a Helm chart"),
    (_has("services"), "Docker Compose"),
    (_has("channels", "dependencies"), "a conda environment"),
    (_has("on", "jobs"), "a GitHub workflow"),
    (_has("stages"), "a CI pipeline"),
    (_has("compilerOptions"), "settings of TypeScript"),
    (_has("name", "dependencies"), "a package of Node.js"),
    (_has("name", "scripts"), "a package of Node.js"),
    (_has("lockfileVersion"), "a lock file"),
    (_has("build-system"), "a Python project"), (_has("tool"), "a Python project"),
    (_has("openapi"), "a description of an HTTP interface"),
    (_has("swagger"), "a description of an HTTP interface"),
    (_has("mcpServers"), "a list of MCP servers"),
    (_has("docstore/data"), "LlamaIndex's stored documents"),
    (_has("index_store/data"), "LlamaIndex's stored index"),
    (_has("graph_dict"), "LlamaIndex's stored graph"),
    (_has("embedding_dict"), "LlamaIndex's stored vectors"),
    (_has("added_tokens"), "a tokenizer"), (_has("tokenizer_class"), "settings of a tokenizer"),
    (_has("$schema", "properties"), "a JSON Schema"),
    (_has("nbformat"), "a notebook that uses no library known here"),
    (_has("version", "models", "default_model"), "settings of llmrr"),
)  # fmt: skip


def seeming(document: Document) -> str:
    """A sentence on a file that nothing recognised."""
    if document.suffix in _PICKLES and document.text is None:
        return f"Unsupported model format '{document.suffix}'"
    if not document.data:
        return "the file is empty"
    if document.text is None:
        return f"not an LLM config: {_binary(document)}"
    is_code = language(document.text, document.suffix) is not None
    shape = None if is_code else document.shape
    code = document.code if is_code else None
    if document.problem:
        return document.problem
    if is_code:
        return f"not an LLM config: {_code(document, code is not None)}"
    return f"not an LLM config: {_data(shape)}"


def _binary(document: Document) -> str:
    if document.data.startswith(b"\x80") and document.data[1:2] in (b"\2", b"\3", b"\4", b"\5"):
        return "a pickle, which is never loaded"
    found = (what for magic, what in _MAGIC if document.data.startswith(magic))
    return next(found, "it is no text")


def _code(document: Document, mentions: bool) -> str:
    text = document.text or ""
    if "entrypoints" in text and "tsConfigPath" in text:
        return "the settings of LangChain's own build"
    if not mentions:
        return "code that mentions no library or model known here"
    return "code in which no model is set up or asked"


def _data(shape: Any) -> str:
    for one in shape if isinstance(shape, list) else [shape]:
        if isinstance(one, dict):
            found = next((what for fits, what in _SHAPES if fits(one)), None)
            if found:
                return found
    if shape is None:
        return "text without settings"
    return "its fields are of no tool known here; --from custom reads it by their names"
