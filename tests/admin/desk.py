"""One person at the admin's pages about promotions: what they open, type and send."""

import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from django.test import Client
from django.urls import reverse

from events.admin.seen import page_of
from prompts.models import Head, Promotion


@dataclass
class Desk:
    client: Client

    def read(self, row: Any) -> str:
        """The text of a row's page, without its markup."""
        answer = self.client.get(page_of(row))
        assert answer.status_code == 200, answer.status_code
        return text_of(answer)

    def offered(self, promotion: Promotion) -> list[str]:
        """What the promotion's page offers to do, in its order."""
        verbs = self.client.get(page_of(promotion)).context["verbs"]
        return [verb.label for verb in verbs]

    def checks(self, promotion: Promotion) -> dict[str, tuple[str, str]]:
        """Each check's conclusion and where its link leads, in the order of the page; every link leads somewhere."""
        answer = self.client.get(page_of(promotion))
        rows = answer.context["checks"]
        for row in rows:
            if row.link.url.startswith("#"):
                assert f'id="{row.link.url[1:]}"' in answer.content.decode()
            else:
                assert self.client.get(row.link.url).status_code == 200, row.link
        return {row.label: (row.word, row.link.url) for row in rows}

    def form(self, page: str) -> dict[str, Any]:
        """What stands in a form when it is opened: its hidden fields too, and nothing that is not filled in."""
        form = self.client.get(page).context["form"]
        shown = {name: form[name].value() for name in form.fields}
        return {name: value for name, value in shown.items() if value is not None}

    def send(self, row: Any, word: str, **typed: Any) -> Any:
        """Open a verb's page and send its form, filled in."""
        page = page_for(row, word)
        return self.client.post(page, self.form(page) | typed)

    def does(self, row: Any, word: str, **typed: Any) -> str:
        """The same, done; the answer is the sentence that says so."""
        answer = self.send(row, word, **typed)
        assert answer.status_code == 302, errors_of(answer)
        [said] = [str(message) for message in self.client.get(answer["Location"]).context["messages"]]
        return said

    def opens(self, version: Any, **typed: Any) -> Promotion:
        self.does(version, "promotion", **typed)
        return Promotion.objects.latest("pk")

    def is_refused(self, row: Any, word: str, **typed: Any) -> list[str]:
        return errors_of(self.send(row, word, **typed))

    def moves(self, head: Head, word: str, **typed: Any) -> str:
        return self.does(head, word, **({"reason": "Complaints"} | typed))


def page_for(row: Any, word: str) -> str:
    meta = type(row)._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{word}", args=[row.pk])


def errors_of(answer: Any) -> list[str]:
    """The sentences that the page shows as errors; its form was not accepted."""
    assert answer.status_code == 200, answer.status_code
    sentences = [sentence for each in answer.context["form"].errors.values() for sentence in each]
    shown = text_of(answer)
    assert all(sentence in shown for sentence in sentences)
    return sentences


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", answer.content.decode())))
