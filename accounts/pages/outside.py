"""What every form outside of a project is: one that is refused is drawn again, with everything typed but passwords."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.views import View

from accounts.pages.door import refuse_nul
from promptforge.lib.error_pages import error_page
from promptforge.lib.errors import DomainError
from promptforge.lib.rest import translate


class OutsidePage(View):
    """`get` draws the page, `post` does one thing and leads on; both may raise any refusal."""

    template: ClassVar[str]
    http_method_names = ["get", "head", "post"]
    refusal: DomainError | None = None
    typed: QueryDict

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.typed = request.POST
        try:
            refuse_nul(request.POST)
            return super().dispatch(request, *args, **kwargs)
        except (DomainError, DatabaseError) as error:
            refusal = translate(error)
            if refusal is None:
                raise
        if request.method != "POST" or refusal.status == 404:
            return error_page(request, refusal.status, refusal.detail if refusal.status != 404 else "")
        self.refusal = refusal
        return self.show({}, status=refusal.status)

    def show(self, context: Mapping[str, Any], *, status: int = 200) -> HttpResponse:
        told = {"refusal": self.refusal, "typed": self.typed, **self.always(), **context}
        response = render(self.request, self.template, told, status=status)
        response["Cache-Control"] = "private, no-store"
        return response

    def always(self) -> Mapping[str, Any]:
        """What the page shows whether or not it was refused."""
        return {}
