"""What the model is asked for a case: the version rendered with the case's values, as a fetch renders it."""

from collections.abc import Iterable

from evaluations.models import Case, ModelConnection
from evaluations.providers import Kind, Message
from promptforge.lib.errors import DomainError, Fault, shorten, wrong
from prompts import templating
from prompts.models import PromptVersion

MAX_NAMED = 20
# They take what a tool said only beside the call that it answers, which a prompt does not hold.
_NO_TOOLS = frozenset({Kind.ANTHROPIC, Kind.GEMINI})


class Asker:
    """One version, split once and rendered for many cases."""

    def __init__(self, version: PromptVersion) -> None:
        self.version = version
        self._template = templating.Template(version.served_content, version.variable_list)

    def messages(self, case: Case) -> list[Message]:
        """What is sent for a case."""
        return messages_of(self._template.render(case.variable_values, case.placeholder_messages).content)


def messages_of(content: templating.Content) -> list[Message]:
    """A rendered content as a model is asked it. A text prompt is what the user says; a chat is sent as it stands."""
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    return [{"role": message["role"], "content": message["content"]} for message in content]


def check_roles(who: str, messages: Iterable[Message], connection: ModelConnection) -> None:
    """Refuse messages that the connection could only pass on as something else than they are."""
    if Kind(connection.kind) in _NO_TOOLS and any(message["role"] == "tool" for message in messages):
        raise wrong(
            "connection",
            f"{who} holds a message of the role tool, which {connection.get_kind_display()} takes only beside the call "
            "that it answers. Take the message out, or choose a connection of another kind.",
        )


def check_cases(versions: Iterable[PromptVersion], cases: Iterable[Case], connection: ModelConnection) -> None:
    """Refuse cases that a version cannot be rendered with, each by its name, and what the connection cannot carry."""
    faults: list[Fault] = []
    cases = list(cases)
    for version in versions:
        asker = Asker(version)
        for case in cases:
            try:
                messages = asker.messages(case)
            except DomainError as refusal:
                faults.append(
                    Fault(f"/cases/{case.key}", refusal.code, f"{version}, case {shorten(case.key)}: {refusal.detail}")
                )
            else:
                check_roles(f"{version}, case {shorten(case.key)},", messages, connection)
    if faults:
        more = f" And {len(faults) - 1:,} more." if len(faults) > 1 else ""
        raise DomainError(
            "case_not_rendered",
            f"{faults[0].detail}{more} Complete the cases, or give the variable a default.",
            faults[:MAX_NAMED],
        )
