"""How long the texts may be that stay for ever: asked by the verbs, so that page, admin and API keep the same."""

from collections.abc import Sequence

from promptforge.lib.errors import shorten, wrong

LONGEST_TITLE, LONGEST_REASON, LONGEST_NOTE = 200, 2_000, 10_000
LONGEST_TAG = MOST_TAGS = 50


def check_length(field: str, text: str, limit: int) -> None:
    if len(text) > limit:
        raise wrong(field, f"The {field} has {len(text):,} characters; at most {limit:,} are kept. Shorten it.")


def check_tags(tags: Sequence[str]) -> None:
    if len(tags) > MOST_TAGS:
        raise wrong("tags", f"{len(tags)} tags are given; at most {MOST_TAGS} are kept. Leave some out.")
    for place, tag in enumerate(tags):
        if len(tag) > LONGEST_TAG:
            raise wrong(
                f"tags/{place}",
                f"The tag {shorten(tag)} has {len(tag):,} characters; at most {LONGEST_TAG} are kept. Shorten it.",
            )
