"""``llmrr.toml`` and what overrides it: load, show where each value came from, check and change.

Precedence: command line, environment, the project's file (found in the working directory or its
parents), the user's file, the default. The project's ``[[models]]`` replace the user's altogether,
so that a project decides alone who sees its prompts; templates of both are there.
"""

from llmrr.config.agreeing import ALERTS, agreements, of_alerts
from llmrr.config.checking import check
from llmrr.config.editing import changed, edit, rollback, set_value
from llmrr.config.files import FILE_NAME, edit_line, given_or_project, project_file, user_file
from llmrr.config.fitting import settled
from llmrr.config.overall import check_here
from llmrr.config.reading import load, over, read, with_file
from llmrr.config.resolved import Config
from llmrr.config.starter import template_text
from llmrr.settings import SETTINGS, Setting, Spec
from llmrr.tomlfile import ConfiguredModel, Problem, Template, render
from llmrr.tomltext import toml_text

__all__ = [
    "ALERTS", "FILE_NAME", "SETTINGS", "Config", "ConfiguredModel", "Problem", "Setting", "Spec",
    "Template", "agreements", "changed", "check", "check_here", "edit", "edit_line",
    "given_or_project", "load", "of_alerts", "over", "project_file", "read", "render", "rollback",
    "set_value", "settled", "template_text", "toml_text", "user_file", "with_file",
]  # fmt: skip
