"""What both sides of a try are asked: a draft and the version that is live, with the same sample values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models.functions import Now

from accounts.policies import Principal
from evaluations.asking import messages_of
from evaluations.models import ModelConnection, Trial
from evaluations.models.trials import KEPT
from evaluations.providers import Kind, Message
from evaluations.sampling import Sampling, parameters_of, sampling_of
from promptforge.lib.errors import DomainError, Fault
from prompts import templating
from prompts.models import Head, Prompt, PromptVersion

CHANNEL = "stable"  # what a draft is held against, as everywhere in the editor


@dataclass(frozen=True, slots=True)
class Asked:
    """What one side is asked, or why it cannot be."""

    name: str  # as a sentence names it: "The draft", "Version 12"
    config: Mapping[str, Any]
    messages: list[Message]
    refusal: DomainError | None = None

    def sampling(self, connection: ModelConnection) -> Sampling:
        """What of its config this connection applies, as in an evaluation."""
        return sampling_of(self.config, kind=Kind(connection.kind), model=connection.model)

    def parameters(self, connection: ModelConnection) -> dict[str, Any]:
        return parameters_of(self.sampling(connection).applied, connection.parameter_values)

    @property
    def missing(self) -> list[str]:
        """The variables that have no value, or none that fits."""
        faults = self.refusal.faults if self.refusal is not None else ()
        return [fault.pointer.rpartition("/")[2] for fault in faults if fault.pointer.startswith("/variables/")]


def live_version(prompt: Prompt) -> PromptVersion | None:
    head = Head.objects.filter(prompt=prompt, channel__name=CHANNEL).select_related("version").first()
    return head.version if head else None


def asked_of_draft(
    content: Any, variables: Sequence[Mapping[str, Any]], config: Mapping[str, Any], values: Mapping[str, str]
) -> Asked:
    """`content`, `variables` and `config` as saving would have them, `values` as a person typed them; "" is none."""
    return _asked("The draft", content, variables, config, values)


def asked_of_live(version: PromptVersion, values: Mapping[str, str]) -> Asked:
    return _asked(
        f"Version {version.number}", version.served_content, version.variable_list, version.config_object, values
    )


def refuse_what_lacks(asked: Sequence[Asked]) -> None:
    """One refusal for every side that cannot be asked."""
    lacking = [each for each in asked if each.refusal is not None]
    if not lacking:
        return
    refusals = [each.refusal for each in lacking if each.refusal is not None]
    faults = [Fault(f.pointer, f.code, f.detail) for refusal in refusals for f in refusal.faults]
    told = " ".join(f"{each.name}: {each.refusal}" for each in lacking)
    raise DomainError(refusals[0].code, f"{told} Nothing was asked: give the values first.", faults)


def own_trial(by: Principal, prompt: Prompt) -> Trial | None:
    """The person's newest try of this prompt, while it is kept; there is no way to anybody else's."""
    trials = Trial.objects.filter(draft__prompt=prompt, draft__user=by.user, at__gt=Now() - KEPT)
    return trials.select_related("connection", "live_version").prefetch_related("answers").first()


def _asked(
    name: str,
    content: Any,
    variables: Sequence[Mapping[str, Any]],
    config: Mapping[str, Any],
    values: Mapping[str, str],
) -> Asked:
    try:
        given = _read(variables, values)
        # What the application sends of a conversation, a sample has none of: it begins here.
        nothing: dict[str, Any] = {name: [] for name in templating.placeholder_names(content)}
        rendered = templating.render(content, variables, given, nothing)
        messages = messages_of(rendered.content)
    except DomainError as refusal:
        return Asked(name, config, [], refusal)
    if not any(message["content"].strip() for message in messages):
        return Asked(name, config, [], DomainError("missing_variable", "There is no text to ask a model with."))
    return Asked(name, config, messages)


def _read(variables: Sequence[Mapping[str, Any]], values: Mapping[str, str]) -> dict[str, Any]:
    """The values of the declared types; refused with every one that cannot be read."""
    given: dict[str, Any] = {}
    faults: list[Fault] = []
    for declared in variables:
        if text := values.get(declared["name"], ""):
            try:
                given[declared["name"]] = templating.parse_query_value(text, declared)
            except DomainError as refusal:
                faults += refusal.faults
    if faults:
        raise DomainError(faults[0].code, " ".join(fault.detail for fault in faults), faults)
    return given
