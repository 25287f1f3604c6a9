"""Open, show and review the promotion of a version."""

from argparse import ArgumentParser
from typing import Any

from accounts.management.project_command import ProjectCommand
from promptforge.lib.errors import DomainError
from prompts.actions.promotions import open_promotion
from prompts.actions.reviews import ACKNOWLEDGEABLE, review
from prompts.models import Promotion, Review
from prompts.reading import find_channel, find_prompt, resolve
from prompts.selectors import parse_reference
from prompts.shapes import digest_text, promotion_shape
from prompts.standing import standing


class Command(ProjectCommand):
    help = "Open a version's promotion, show how it stands, or review it; `promote` applies it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("verb", choices=["open", "show", "review"])
        parser.add_argument("reference", help="Such as support/greeting@9.")
        parser.add_argument("--channel", default="stable")
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="Who asks, reads or decides.")
        parser.add_argument("--title", default="", help="open: what for.")
        parser.add_argument("--note", default="", help="open: more about it.")
        parser.add_argument("--decision", choices=Review.Decision.values, default="comment", help="review.")
        parser.add_argument("--body", default="", help="review: what to say.")
        parser.add_argument("--acknowledge", action="append", choices=ACKNOWLEDGEABLE, help="review.")

    def handle(self, *args: Any, **options: Any) -> None:
        project = self.project(options)
        by = self.person(options["email"], project)
        name, selector = parse_reference(options["reference"])
        prompt = find_prompt(by, name)
        version, channel = resolve(by, prompt, selector).version, find_channel(by, options["channel"])
        if options["verb"] == "open":
            about = {"title": options["title"], "note": options["note"]}
            promotion = open_promotion(by=by, prompt=prompt, channel=channel, version=version, **about)
        else:
            found = Promotion.objects.filter(version=version, channel=channel).order_by("-pk")
            promotion = _newest(found, f"{version} to {channel}")
        if options["verb"] == "review":
            review(
                by=by,
                promotion=promotion,
                decision=options["decision"],
                body=options["body"],
                diff_digest=digest_text(promotion.diff_digest),
                acknowledged=options["acknowledge"] or (),
            )
        shape = promotion_shape(standing(promotion))
        lines = [f"{version} to {channel}: {shape['status']}", *(f"- {sentence}" for sentence in shape["missing"])]
        self.write(options, shape, "\n".join(lines))


def _newest(promotions: Any, what: str) -> Promotion:
    """The open one, of which there is one at most; else the newest of those that are closed."""
    found: Promotion | None = promotions.filter(state=Promotion.State.OPEN).first() or promotions.first()
    if found is None:
        raise DomainError("not_found", f"There is no promotion of {what}. Open one.")
    return found
