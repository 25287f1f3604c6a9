"""Asking for a promotion: which version to which channel, what it is for, and what it would change."""

from django.http import HttpRequest, HttpResponse

from accounts.pages.door import ProjectPage
from accounts.policies import held
from prompts.actions.promotions import open_promotion
from prompts.links import promotion_url
from prompts.models import Channel, Head, Promotion, Prompt, PromptVersion
from prompts.pages.differences import differences
from prompts.pages.listing import LONG
from prompts.pages.prompt import whole
from prompts.reading import find_channel, find_prompt, find_version


class NewPromotionPage(ProjectPage):
    place = "prompts"

    def get(self, request: HttpRequest) -> HttpResponse:
        given = self.typed or request.GET
        if not (name := given.get("prompt")):
            return self.show("prompts/promotion_new.html", {"prompt": None})
        prompt = find_prompt(self.principal, name)
        version = find_version(prompt, whole(given.get("version")))
        heads = list(
            Head.objects.filter(prompt=prompt)
            .select_related("channel__policy", "version")
            .defer(*(f"version__{text}" for text in LONG))
            .order_by("channel__position", "channel__pk")
        )
        head = next((each for each in heads if each.channel.name == given.get("channel")), heads[0])
        return self.show(
            "prompts/promotion_new.html",
            {
                "may": held(self.principal.user, self.principal.project, prompt),
                "prompt": prompt,
                "version": version,
                "heads": heads,
                "head": head,
                "is_live": head.version_id == version.pk,
                "open": self._open(prompt, version, head.channel),
                "differences": differences(head.version_id, version.pk),
            },
        )

    def post(self, request: HttpRequest) -> HttpResponse:
        sent = request.POST
        prompt = find_prompt(self.principal, sent.get("prompt", ""))
        promotion = open_promotion(
            by=self.principal,
            prompt=prompt,
            channel=find_channel(self.principal, sent.get("channel", "")),
            version=find_version(prompt, whole(sent.get("version")) or 0),
            title=sent.get("title", ""),
            note=sent.get("note", ""),
        )
        return self.done(promotion_url(promotion), "The promotion is open.", "Whoever may review it is told.")

    @staticmethod
    def _open(prompt: Prompt, version: PromptVersion, channel: Channel) -> str:
        """The address of the promotion that is open for it already."""
        found = Promotion.objects.select_related("prompt__project").filter(
            prompt=prompt, version=version, channel=channel, state=Promotion.State.OPEN
        )
        return promotion_url(found[0]) if found else ""
