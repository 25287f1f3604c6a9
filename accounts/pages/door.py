"""What every page inside a project is: for a signed-in member, and with one answer for what is foreign or absent."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import cached_property
from django.views import View

from accounts.admission import take_write
from accounts.models import Membership, User
from accounts.policies import Principal, held
from accounts.roles import Role
from promptforge.lib import logs
from promptforge.lib.error_pages import error_page
from promptforge.lib.errors import DomainError, wrong
from promptforge.lib.rest import translate

TYPED = "typed"
NO_MORE = 286  # htmx draws what comes and ends its polling
MOST_KEPT = 200_000  # characters of a form that are kept while its author signs in again
WAITS = timedelta(minutes=30)  # how long they are kept for whoever is not signed in
# A signed cookie that says whom this browser was shown pages to. It opens nothing, and outlives the session, so that
# what its person typed can be told from what anybody sends.
AUTHOR = "author"
AUTHOR_KNOWN = timedelta(days=7)


class ProjectPage(View):
    """A page of one project at `p/<project>/…`. A handler finds `self.principal` and may raise any refusal.

    `get` draws the page. `post` does one thing and answers with a redirection (`done`); when it is refused, the page is
    drawn again by `get` with the refusal on top, and `typed` holds everything that was in the form.
    """

    place: ClassVar[str] = ""  # which entry of the navigation is marked
    never_kept: ClassVar[tuple[str, ...]] = ()  # secrets: typed again rather than kept through a sign-in
    http_method_names = ["get", "head", "post"]
    principal: Principal
    membership: Membership
    memberships: list[Membership]
    refusal: DomainError | None = None
    typed: QueryDict

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            project = kwargs.pop("project")
            if not isinstance(request.user, User):
                if request.method == "POST" and _is_of_a_member(request, project):
                    self._keep(request)
                    request.session.set_expiry(WAITS)  # the sign-in sets it anew
                return _to_sign_in(request)
            self._settle(request.user, project)
            waited = _given_back(request)  # what is sent by now takes its place
            if request.method == "POST":
                return self._act(request, *args, **kwargs)
            self.typed = waited
            if waited:
                self.refusal = DomainError(
                    "reauthentication_required", "You are signed in again. Your form was not sent yet: send it now."
                )
            return super().dispatch(request, *args, **kwargs)
        except (DomainError, DatabaseError) as error:
            return self._refused(request, error)

    def _settle(self, user: User, name: str) -> None:
        self.memberships = list(
            Membership.objects.filter(user=user).select_related("project").order_by("project__name")
        )
        mine = [membership for membership in self.memberships if membership.project.name == name]
        if not mine or not user.is_active:
            raise DomainError("project_not_found", "There is nothing at this address within your reach.")
        self.membership = mine[0]
        self.principal = Principal(user, mine[0].project)
        logs.bind(principal="person", principal_id=user.pk, project=name)

    def _act(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.typed = request.POST
        try:
            take_write(self.principal.user).require()
            refuse_nul(request.POST)
            return super().dispatch(request, *args, **kwargs)
        except (DomainError, DatabaseError) as error:
            self.refusal = _as_refusal(error)
            if self.refusal.code == "reauthentication_required":
                self._keep(request)
                return _to_sign_in(request)
            if self.refusal.status in (404, 405) or not hasattr(self, "get"):
                raise self.refusal from error
            response: HttpResponse = self.get(request, *args, **kwargs)
            response.status_code = self.refusal.status
            return response

    def _refused(self, request: HttpRequest, error: DomainError | DatabaseError) -> HttpResponse:
        refusal = _as_refusal(error)
        says = refusal.detail if refusal.status != 404 else ""
        if _is_for_a_part(request) and refusal.status < 500:
            return _in_its_place(request, "This cannot be shown any more", says)
        return error_page(request, refusal.status, says)

    def _keep(self, request: HttpRequest) -> None:
        """Let what was typed in the page's form wait for its author, who signs in and comes back."""
        typed = request.POST.copy()
        for name in ("csrfmiddlewaretoken", *self.never_kept):
            typed.pop(name, None)
        text = typed.urlencode()
        if len(text) <= MOST_KEPT:
            request.session[TYPED] = {"path": request.path, "text": text}

    @cached_property
    def may(self) -> Mapping[str, bool]:
        """What the person may do in this project: `may.edit`, `may.review`, `may.release` …"""
        return held(self.principal.user, self.principal.project)

    def show(self, template: str, context: Mapping[str, Any], *, part: str = "", status: int = 200) -> HttpResponse:
        """The page; or its part, when htmx asks for no more."""
        wants_part = part and "HX-Request" in self.request.headers and "HX-Boosted" not in self.request.headers
        response = render(
            self.request,
            f"{template}#{part}" if wants_part else template,
            {
                "principal": self.principal,
                "project": self.principal.project,
                "memberships": self.memberships,
                "roles": ", ".join(Role(role).label for role in self.membership.roles),
                "place": self.place,
                "may": self.may,
                "refusal": self.refusal,
                "typed": self.typed,
                **context,
            },
            status=status,
        )
        response["Cache-Control"] = "private, no-cache"
        response["Vary"] = "Cookie, HX-Request"
        response.set_signed_cookie(
            AUTHOR,
            str(self.principal.user.pk),
            max_age=AUTHOR_KNOWN,
            path="/p/",
            secure=settings.SESSION_COOKIE_SECURE,
            httponly=True,
            samesite="Lax",
        )
        return response

    def done(self, address: str, sentence: str, then: str = "") -> HttpResponseRedirect:
        """After a form did its work: on to `address`, where a banner says what happened and what that means."""
        messages.success(self.request, sentence, extra_tags=then)
        return HttpResponseRedirect(address)


def refuse_nul(sent: QueryDict) -> None:
    """Refuse a form with a character that PostgreSQL stores nowhere."""
    for field, values in sent.lists():
        if "\0" in field or any("\0" in value for value in values):
            raise wrong(field, "This field holds the NUL character. Remove it.", "nul_not_allowed")


def _is_of_a_member(request: HttpRequest, project: str) -> bool:
    """Whether the browser of a member sent it who is not signed in any more, and no faster than members may write.

    What anybody else sends is not stored: it would fill the disk.
    """
    author = request.get_signed_cookie(AUTHOR, default=None, max_age=AUTHOR_KNOWN)
    if author is None:
        return False
    members = Membership.objects.filter(user=int(author), user__is_active=True, project__name=project)
    member = members.select_related("user").first()
    return member is not None and take_write(member.user).left is not None


def _to_sign_in(request: HttpRequest) -> HttpResponse:
    """Through the sign-in and back to this page."""
    # Who is signed in is not asked who they are, but to prove it anew.
    to = reverse("account_reauthenticate" if request.user.is_authenticated else "account_login")
    if _is_for_a_part(request):
        sign_in = redirect_to_login(_page_around(request), to).url
        says = "Sign in again in another window, then go on here: what you typed is kept."
        return _in_its_place(request, "You are signed out", says, sign_in)
    return redirect_to_login(request.get_full_path(), to)


def _is_for_a_part(request: HttpRequest) -> bool:
    """Whether htmx asks for it, to draw it in the midst of a page on which somebody may be writing."""
    return request.method == "GET" and "HX-Request" in request.headers


def _page_around(request: HttpRequest) -> str:
    """The address of the page that asks for a part of itself, without its host."""
    return "/" + request.headers.get("HX-Current-URL", "").partition("://")[2].partition("/")[2]


def _in_its_place(request: HttpRequest, title: str, text: str, sign_in: str = "") -> HttpResponse:
    """Words for the place of a part, where a whole page would be drawn into the page that is open."""
    says = {"title": title, "text": text, "sign_in": sign_in}
    response = render(request, "parts/in_its_place.html", says, status=NO_MORE)
    response["Cache-Control"] = "no-store"
    return response


def _as_refusal(error: DomainError | DatabaseError) -> DomainError:
    refusal = translate(error)
    if refusal is None:
        raise error
    return refusal


def _given_back(request: HttpRequest) -> QueryDict:
    """What was typed into this page's form before its author had to sign in again; given back once."""
    kept = request.session.get(TYPED)
    if kept is None or kept["path"] != request.path:
        return QueryDict()
    del request.session[TYPED]
    return QueryDict(kept["text"])
