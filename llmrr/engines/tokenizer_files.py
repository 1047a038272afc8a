"""The files of a tokenizer: tokenizer.json, or the older ones of GPT-2 and BERT."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from llmrr.errors import DamagedFile, NotFound
from llmrr.formats import FolderFiles
from llmrr.formats.json_file import read_beside, table

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MAX_FILE: Final = 1 << 28  # bytes of a tokenizer; the largest known have 35 MB


def read(files: FolderFiles) -> "Tokenizer | None":
    """The tokenizer of a folder; None where it has none. Raises ``DamagedFile``."""
    from tokenizers import Tokenizer

    names = files.sizes
    if "tokenizer.json" in names:
        path = files.path / "tokenizer.json"
        with _damage(path):
            return Tokenizer.from_file(str(path))
    if {"vocab.json", "merges.txt"} <= names.keys():
        with _damage(files.path / "merges.txt"):
            return _byte_level(files)
    if "vocab.txt" in names:
        with _damage(files.path / "vocab.txt"):
            return _word_piece(files)
    return None


def _byte_level(files: FolderFiles) -> "Tokenizer":
    """GPT-2's: https://huggingface.co/openai-community/gpt2"""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    vocabulary, merges = models.BPE.read_file(
        str(files.path / "vocab.json"), str(files.path / "merges.txt")
    )
    found = Tokenizer(models.BPE(vocabulary, merges))
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    for token, special in _added(files):
        if found.token_to_id(token) is not None or not special:
            found.add_tokens([AddedToken(token, special=special, normalized=False)])
    return found


def _word_piece(files: FolderFiles) -> "Tokenizer":
    """BERT's: https://huggingface.co/google-bert/bert-base-uncased"""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    stated = read_beside(files, "tokenizer_config.json")
    vocabulary = models.WordPiece.read_file(str(files.path / "vocab.txt"))
    found = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    found.normalizer = normalizers.BertNormalizer(
        lowercase=stated.get("do_lower_case") is not False
    )
    found.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    found.decoder = decoders.WordPiece()
    with suppress(KeyError):
        sep, cls = (("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
        found.post_processor = processors.BertProcessing(sep, cls)
    found.add_special_tokens([one for one in ("[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]")
                              if one in vocabulary])  # fmt: skip
    return found


def _added(files: FolderFiles) -> Iterator[tuple[str, bool]]:
    """The tokens that the configuration adds, and whether they are special."""
    stated = read_beside(files, "tokenizer_config.json")
    for one in table(stated, "added_tokens_decoder").values():
        if isinstance(one, dict) and isinstance(one.get("content"), str):
            yield one["content"], bool(one.get("special"))
    for role in ("bos", "eos", "unk", "pad"):
        token = stated.get(f"{role}_token")
        token = token.get("content") if isinstance(token, dict) else token
        if isinstance(token, str):
            yield token, True
    yield "<|endoftext|>", True


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """What ``tokenizers`` says of a file, as an error of ours."""
    if path.stat().st_size > MAX_FILE:
        raise DamagedFile(f"{path} is too large for a tokenizer", "download it again")
    try:
        yield
    except Exception as error:  # it raises bare Exception for everything
        said = " ".join(str(error).split())[:200]
        raise DamagedFile(f"{path} is no tokenizer: {said}", "download it again") from error


def missing(folders: Sequence[Path], files: Sequence[FolderFiles]) -> NotFound:
    """That none of the folders has one, with what lies there instead."""
    where = " or ".join(map(str, folders))
    other = next(
        (name for one in files for name in
         ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tekken.json",
          "tiktoken.model") if name in one.sizes), None,
    )  # fmt: skip
    said = f"there is no tokenizer.json in {where}"
    if other:
        said += f", and {other} alone cannot be read by this engine"
    hint = "put the tokenizer.json of the model's repository beside its weights"
    return NotFound(said, hint, is_file=True)
