"""The addresses of things: their pages, and where what a check speaks of can be read, and mended."""

from urllib.parse import quote

from django.urls import reverse

from promptforge.lib.ids import encode
from prompts.models import Promotion, Prompt, PromptVersion
from prompts.models.channels import CheckName

_IN_THE_DIFF = (CheckName.EVALUATION, CheckName.VARIABLES, CheckName.HIDDEN_TEXT, CheckName.SECRETS)
_IN_THE_CHANNEL = (CheckName.CANARY, CheckName.FREEZE)


def prompt_page(prompt: Prompt) -> str:
    return reverse("prompt", args=(prompt.project.name, prompt.name))


def version_page(version: PromptVersion) -> str:
    return f"{prompt_page(version.prompt)}?version={version.number}"


def promotion_url(promotion: Promotion) -> str:
    return f"/api/v1/promotions/{encode('pro', promotion.pk)}"


def check_url(promotion: Promotion, name: CheckName | None) -> str:
    """The address that a check's line links to: the diff, the channel, or the promotion itself."""
    if name in _IN_THE_CHANNEL:
        return f"/api/v1/channels/{promotion.channel.name}"
    if name not in _IN_THE_DIFF:
        return promotion_url(promotion)
    version = f"{quote(promotion.prompt.name)}@{promotion.version.number}"
    if promotion.base_version is None:
        return f"/api/v1/versions/{version}"
    return f"/api/v1/diff?from={quote(promotion.prompt.name)}@{promotion.base_version.number}&to={version}"
