"""The addresses of things: their pages, and on which of them what a check speaks of can be read, and mended."""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.urls import reverse
from django.utils.module_loading import import_string

from promptforge.lib.ids import encode
from prompts.models import Promotion, Prompt, PromptVersion
from prompts.models.channels import CheckName

# Which part of a promotion's page; its top says what is out of date, and renews it.
_SECTIONS: Mapping[CheckName, str] = {
    CheckName.REVIEW: "#review",
    CheckName.EVALUATION: "#model",
    CheckName.VARIABLES: "#variables",
    CheckName.HIDDEN_TEXT: "#text",
    CheckName.SECRETS: "#text",
}


def prompt_page(prompt: Prompt) -> str:
    return reverse("prompt", args=(prompt.project.name, prompt.name))


def version_page(version: PromptVersion) -> str:
    return f"{prompt_page(version.prompt)}?version={version.number}"


def promotion_url(promotion: Promotion) -> str:
    return reverse("promotion", args=(promotion.prompt.project.name, encode("pro", promotion.pk)))


def check_url(promotion: Promotion, name: CheckName | None, evidence: Mapping[str, Any] | None = None) -> str:
    """The address that a check's line links to: its evidence, a part of the promotion's page, or who set the freeze.

    `evidence` is what apps above know for checks (`Standing.evidence`); they say where theirs is read.
    """
    if name == CheckName.FREEZE:
        return f"{reverse('history', args=(promotion.prompt.project.name,))}?show=trail&kind=freeze.set"
    if name is not None and evidence and name in settings.EVIDENCE_PAGES:
        address: str = import_string(settings.EVIDENCE_PAGES[name])(promotion, evidence.get(name))
        if address:
            return address
    return promotion_url(promotion) + ("" if name is None else _SECTIONS.get(name, ""))
