"""GPTCache's SQLite storage. Which model answered is not in it; its vectors are not needed, and its
pickled map is never loaded."""

from llmrr.migrate.caches.answers import Answer, Left, Rows, checked, moment_of, text_of
from llmrr.migrate.caches.sqlite import Database

PICKLE = "data_map.txt"  # of its MapDataManager
PICTURE = 1  # of ``answer_type``: base64 of a picture


def fits(found: Database) -> bool:
    """Whether it has a pair of its tables."""
    return bool(_prefixes(found))


def rows(found: Database) -> Rows:
    """Each answer to each question that was not deleted."""
    for prefix in _prefixes(found):
        asked = {
            row[0]: row[1:]
            for row in found.rows(f"{prefix}_question", ("id", "question", "create_on", "deleted"))
        }
        answers = found.rows(f"{prefix}_answer", ("question_id", "answer", "answer_type"))
        for number, answer, kind in answers:
            yield _row(asked.get(number), answer, kind)


def _row(asked: "tuple[object, ...] | None", answer: object, kind: object) -> Answer | Left:
    if asked is None:
        return Left("an answer without its question")
    question, at, deleted = asked
    if deleted not in (None, 0):
        return Left("deleted there")
    if kind == PICTURE:
        return Left("a picture")
    prompt, response = text_of(question), text_of(answer)
    if prompt is None or response is None:
        return Left("no text")
    return checked(Answer(prompt, response, at=moment_of(at)))


def _prefixes(found: Database) -> list[str]:
    names = [name.removesuffix("_question") for name in found.tables if name.endswith("_question")]
    return sorted(
        name for name in names
        if found.has(f"{name}_question", "id", "question", "deleted")
        and found.has(f"{name}_answer", "question_id", "answer", "answer_type")
    )  # fmt: skip
