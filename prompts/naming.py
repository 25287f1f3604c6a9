"""What prompts, versions, releases, channels and promotions are called where an event is told."""

from collections.abc import Collection

from events.admin.seen import page_of
from events.telling import Named
from promptforge.lib.ids import encode
from prompts.links import promotion_url, prompt_page, version_page
from prompts.models import Channel, FreezeWindow, PolicyChange, Promotion, Prompt, PromptVersion, Release, Review


def prompts(ids: Collection[int]) -> dict[int, Named]:
    found = Prompt.objects.filter(pk__in=ids).select_related("project")
    return {prompt.pk: Named(prompt.name, {"prompt": prompt.name}, prompt_page(prompt)) for prompt in found}


def versions(ids: Collection[int]) -> dict[int, Named]:
    found = PromptVersion.objects.filter(pk__in=ids).select_related("prompt__project").defer("content", "source")
    return {
        version.pk: Named(
            str(version), {"prompt": version.prompt.name, "version": version.number}, version_page(version)
        )
        for version in found
    }


def releases(ids: Collection[int]) -> dict[int, Named]:
    found = Release.objects.filter(pk__in=ids).select_related("channel", "version__prompt__project")
    return {
        release.pk: Named(
            f"{release.version} on {release.channel}",
            {
                "prompt": release.version.prompt.name,
                "channel": release.channel.name,
                "revision": release.revision,
                "version": release.version.number,
                "kind_of_release": release.kind,
            },
            version_page(release.version),
        )
        for release in found
    }


def channels(ids: Collection[int]) -> dict[int, Named]:
    found = Channel.objects.filter(pk__in=ids)
    return {channel.pk: Named(channel.name, {"channel": channel.name}, page_of(channel)) for channel in found}


def freezes(ids: Collection[int]) -> dict[int, Named]:
    found = FreezeWindow.objects.filter(pk__in=ids).select_related("channel")
    return {freeze.pk: _of_channel(freeze) for freeze in found}


def policy_changes(ids: Collection[int]) -> dict[int, Named]:
    found = PolicyChange.objects.filter(pk__in=ids).select_related("channel")
    return {change.pk: _of_channel(change) for change in found}


def promotions(ids: Collection[int]) -> dict[int, Named]:
    found = Promotion.objects.filter(pk__in=ids).select_related("prompt__project", "channel", "version")
    return {promotion.pk: _of_promotion(promotion) for promotion in found}


def reviews(ids: Collection[int]) -> dict[int, Named]:
    found = Review.objects.filter(pk__in=ids).select_related(
        "promotion__prompt__project", "promotion__channel", "promotion__version"
    )
    return {review.pk: _of_promotion(review.promotion) for review in found}


def _of_promotion(promotion: Promotion) -> Named:
    fields = {
        "prompt": promotion.prompt.name,
        "channel": promotion.channel.name,
        "version": promotion.version.number,
        "promotion": encode("pro", promotion.pk),
    }
    return Named(
        f"{promotion.prompt}@{promotion.version.number} to {promotion.channel}", fields, promotion_url(promotion)
    )


def _of_channel(row: FreezeWindow | PolicyChange) -> Named:
    return Named(row.channel.name, {"channel": row.channel.name}, page_of(row))
