"""What a version's content means: parsed, expanded and rendered without framework, database or evaluator.

grammar.py says what a text means, contents.py what a content may be, variables.py what a value must be, and
rendering.py puts values in. Callers import from here.
"""

from prompts.templating.contents import (
    MAX_CONFIG,
    MAX_CONTENT,
    ROLES,
    TYPES,
    Content,
    Expanded,
    Included,
    check_config,
    check_content,
    expand,
    placeholder_names,
)
from prompts.templating.grammar import Include, Literal, Part, Place, Variable, check_name, parse
from prompts.templating.rendering import MAX_RENDERED, Rendered, Template, render
from prompts.templating.variables import MAX_VARIABLES, declared_variables, parse_query_value

__all__ = [
    "MAX_CONFIG",
    "MAX_CONTENT",
    "MAX_RENDERED",
    "MAX_VARIABLES",
    "ROLES",
    "TYPES",
    "Content",
    "Expanded",
    "Include",
    "Included",
    "Literal",
    "Part",
    "Place",
    "Rendered",
    "Template",
    "Variable",
    "check_config",
    "check_content",
    "check_name",
    "declared_variables",
    "expand",
    "parse",
    "parse_query_value",
    "placeholder_names",
    "render",
]
