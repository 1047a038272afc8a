"""Constants and settings that a file of Python takes from others that are scanned with it."""

from pathlib import Path

import pytest

from llmrr.migrate.artefact import Artefact
from llmrr.migrate.scanning import scan

CODE = "from langchain_openai import ChatOpenAI\n"
SETTINGS = """
from functools import lru_cache
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="APP_")
    model: str = "gpt-4o"
    temperature: float = Field(default=0.2, ge=0)
    key: SecretStr = Field(..., alias="OPENAI_API_KEY")
@lru_cache
def get_settings() -> Settings:
    return Settings()
settings = get_settings()
"""
ASKED = "ChatOpenAI(model={0}.model, temperature={0}.temperature, api_key={0}.key)\n"


def found(folder: Path, files: dict[str, str], code: str) -> Artefact:
    """What is found in ``app/main.py`` beside these files."""
    for name, text in (files | {"app/main.py": CODE + code}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (artefact,) = [one for one in scan([folder]).artefacts if one.path.name == "main.py"]
    return artefact


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("app/config.py", "from app.config import settings\n" + ASKED.format("settings")),
        ("app/config.py", "from .config import settings as s\n" + ASKED.format("s")),
        ("app/config.py", "from config import get_settings\n" + ASKED.format("get_settings()")),
        ("config.py", "import config\ns = config.get_settings()\n" + ASKED.format("s")),
        ("core/config.py", "from core.config import Settings\n" + ASKED.format("Settings()")),
        ("app/core/__init__.py", "from app.core import settings\n" + ASKED.format("settings")),
        (
            "config.py",
            "from config import get_settings\nclass A:\n"
            "    def __init__(self):\n        self.s = get_settings()\n"
            "    def make(self):\n        return " + ASKED.format("self.s"),
        ),
    ],
)
def test_settings_of_another_file(place: str, code: str, tmp_path: Path) -> None:
    artefact = found(tmp_path, {place: SETTINGS}, code)
    (model,) = artefact.models
    assert (model.source, model.params) == ("openai:gpt-4o", {"temperature": 0.2})
    assert model.options == {"api_key_env": "OPENAI_API_KEY"}
    assert [one.code for one in artefact.warnings] == ["env-default", "env-default"]
    assert "APP_MODEL" in artefact.warnings[0].message


def test_constants_and_prompts_through_a_package(tmp_path: Path) -> None:
    files = {
        "app/texts/__init__.py": "from .system import SYSTEM\n",
        "app/texts/system.py": 'WHO = "Ada"\nSYSTEM = f"You are {WHO}, {{mood}}"\n',
        "app/const.py": 'import os\nMODEL = os.getenv("MODEL", "m")\nLLM = {"max_tokens": 5}\n',
    }
    artefact = found(tmp_path, files, (
        "from langchain_core.prompts import PromptTemplate\n"
        "from app import const\nfrom app.texts import SYSTEM\n"
        "PromptTemplate.from_template(SYSTEM) | ChatOpenAI(model=const.MODEL, **const.LLM)\n"
    ))  # fmt: skip
    (model,) = artefact.models
    assert (model.source, model.params) == ("openai:m", {"max_tokens": 5})
    (prompt,) = artefact.templates
    assert (prompt.template, prompt.model) == ("You are Ada, {mood}", "m")


def test_a_key_of_another_file_is_told_and_not_shown(tmp_path: Path) -> None:
    key = "0f1e2d3c4b5a6978a1b2c3d4"
    artefact = found(tmp_path, {"app/keys.py": f'KEY = "{key}"\n'},
                     'from .keys import KEY\nChatOpenAI(model="m", api_key=KEY)\n')  # fmt: skip
    assert artefact.models[0].options == {"api_key_env": "OPENAI_API_KEY"}
    assert [one.code for one in artefact.warnings] == ["secret-in-clear"]
    assert key not in str(artefact.as_json())


def test_nothing_outside_of_what_is_scanned_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text('MODEL = "outside"\n')
    inner = tmp_path / "repo"
    (inner / "app").mkdir(parents=True)
    (inner / "app" / "linked.py").symlink_to(tmp_path / "config.py")
    artefact = found(inner, {}, (
        "import config, linked\nfrom ...config import MODEL\n"
        "ChatOpenAI(model=config.MODEL)\nChatOpenAI(model=linked.MODEL)\nChatOpenAI(model=MODEL)\n"
    ))  # fmt: skip
    assert artefact.models == ()
    assert [one.code for one in artefact.warnings] == ["unresolved"] * 3


def test_files_that_import_each_other_and_damaged_ones(tmp_path: Path) -> None:
    files = {
        "app/a.py": "from app.b import MODEL\n", "app/b.py": "from app.a import MODEL\n",
        "app/c.py": "MODEL = (\n",
    }  # fmt: skip
    artefact = found(tmp_path, files, (
        "import app.a, app.c\nChatOpenAI(model=app.a.MODEL)\nChatOpenAI(model=app.c.MODEL)\n"
    ))  # fmt: skip
    assert [one.code for one in artefact.warnings] == ["unresolved"] * 2

