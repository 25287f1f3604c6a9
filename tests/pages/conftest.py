"""A real browser in front of the real pages: one Chromium and one server for this folder, a fresh demo for each test.

Every page that a test opens is watched: an error in its console, a violation of the content security policy and a
request to another origin fail the test that caused it.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.core.wsgi import get_wsgi_application
from django.db import connections
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, expect, sync_playwright

from accounts.models import Project, User
from accounts.policies import Principal
from accounts.sign_in import SIGNED_IN_AT
from prompts.demo.loader import live_today, load_demo
from tests.conftest import _point_at, administer, copy_database, drop_database

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text(encoding="utf-8")
CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"))), None
)
_VIOLATIONS = """
    document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""
# What reaches beyond the window and stands in nothing that scrolls.
_WIDE = """
    () => [...document.querySelectorAll("body *")].filter((one) => {
        if (one.getBoundingClientRect().right <= innerWidth + 1) return false;
        for (let above = one; above; above = above.parentElement)
            if (getComputedStyle(above).overflowX !== "visible") return false;
        return true;
    }).slice(0, 6).map((one) => one.outerHTML.slice(0, 120))
"""
_counter = iter(range(10_000))
PATIENCE = 15_000  # milliseconds, for a machine that does much else: what holds is waited for no longer than it takes


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("There is no Chromium for the tests of the pages: `script/setup --browser` installs it.")
        pytest.skip("There is no Chromium on this machine: `script/setup --browser` installs it.")
    # Playwright's loop runs in this thread, beside which Django would refuse to ask the database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        expect.set_options(timeout=PATIENCE)
        yield browser
        browser.close()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="package")
def origin() -> Iterator[str]:
    """Where the pages are served, from whichever database the test has."""
    server = ThreadedWSGIServer(("127.0.0.1", 0), _Silent)
    server.daemon_threads = True
    server.set_app(get_wsgi_application())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def demo_template(template: str, django_db_blocker: Any) -> Iterator[str]:
    """The name of a database that holds the demo; each test works on a copy."""
    name = f"demo_{os.getpid()}"
    with administer() as admin:
        copy_database(admin, name, template)
        _point_at(name)
        with django_db_blocker.unblock():
            founder = User.objects.create_user("root@example.com", name="Root", is_staff=True, is_superuser=True)
            live_today(load_demo(founder))
            for alias in connections:
                connections[alias].close()
        yield name
        drop_database(admin, name)


@dataclass
class Demo:
    """The demo's project in a database of the test's own; people go by their first names."""

    project: Project
    people: dict[str, User] = field(default_factory=dict)

    def principal(self, name: str) -> Principal:
        return Principal(self.people[name], self.project)


@pytest.fixture
def demo(demo_template: str, django_db_blocker: Any) -> Iterator[Demo]:
    with _own_copy(demo_template) as name, _opened(name, django_db_blocker) as opened:
        yield opened


@pytest.fixture(scope="package")
def standing_copy(demo_template: str) -> Iterator[str]:
    with _own_copy(demo_template) as name:
        yield name


@pytest.fixture
def standing_demo(standing_copy: str, django_db_blocker: Any) -> Iterator[Demo]:
    """A demo that many tests share, which only look."""
    with _opened(standing_copy, django_db_blocker) as opened:
        yield opened


@contextmanager
def _own_copy(template: str) -> Iterator[str]:
    name = f"pages_{os.getpid()}_{next(_counter)}"
    with administer() as admin:
        copy_database(admin, name, template)
        yield name
        drop_database(admin, name)


@contextmanager
def _opened(name: str, django_db_blocker: Any) -> Iterator[Demo]:
    _point_at(name)
    with django_db_blocker.unblock():
        people = {str(user).split()[0].lower(): user for user in User.objects.exclude(kind="service")}
        yield Demo(Project.objects.get(name="demo"), people)
        for alias in connections:
            connections[alias].close()


def signed_in(user: User) -> Client:
    """A session of this person, who signed in just now."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    session = client.session
    session[SIGNED_IN_AT] = datetime.now().timestamp()
    session.save()
    return client


type Visit = Callable[..., Page]
_WINDOW: Any = {
    "viewport": {"width": 1280, "height": 900},
    "reduced_motion": "reduce",
    "locale": "en-GB",
    "timezone_id": "UTC",
}


@pytest.fixture(scope="package")
def windows(chromium: Browser, origin: str) -> Iterator[dict[bool, tuple[Page, list[str]]]]:
    """Two windows that many tests look through, one with scripts and one without, and what went wrong in each."""
    opened: dict[bool, tuple[Page, list[str]]] = {}
    for scripts in (True, False):
        context = chromium.new_context(base_url=origin, java_script_enabled=scripts, **_WINDOW)
        context.set_default_timeout(PATIENCE)
        wrong: list[str] = []
        page = context.new_page()
        _watch(page, origin, wrong)
        opened[scripts] = (page, wrong)
    yield opened
    for page, _ in opened.values():
        page.context.close()


@pytest.fixture
def look(windows: dict[bool, tuple[Page, list[str]]], origin: str, standing_demo: Demo) -> Iterator[Visit]:
    """Like `visit`, for tests that change nothing: all of them share the demo and the windows."""

    def look_at(person: str, path: str, *, width: int = 1280, scripts: bool = True, theme: str = "light") -> Page:
        page, _ = windows[scripts]
        page.context.clear_cookies()
        if person:
            page.context.add_cookies([_session(standing_demo, person, origin)])
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.goto(path)
        return page

    yield look_at
    faults = [fault for _, wrong in windows.values() for fault in wrong]
    for page, wrong in windows.values():
        page.goto("about:blank")
        wrong.clear()
    assert faults == []


def _session(demo: Demo, person: str, origin: str) -> Any:
    return {"name": "sessionid", "value": signed_in(demo.people[person]).cookies["sessionid"].value, "url": origin}


@pytest.fixture
def visit(chromium: Browser, origin: str, demo: Demo) -> Iterator[Visit]:
    """Opens a browser of its own for a person of the demo: `visit("ada", "/p/demo/prompts/")`; "" is nobody."""
    opened: list[tuple[BrowserContext, list[str]]] = []

    def open_page(
        person: str,
        path: str = "/",
        *,
        width: int = 1280,
        height: int = 900,
        theme: str = "light",
        scripts: bool = True,
    ) -> Page:
        context = chromium.new_context(
            base_url=origin,
            color_scheme="dark" if theme == "dark" else "light",
            java_script_enabled=scripts,
            **_WINDOW | {"viewport": {"width": width, "height": height}},
        )
        context.set_default_timeout(PATIENCE)
        if person:
            context.add_cookies([_session(demo, person, origin)])
        page, wrong = context.new_page(), []
        opened.append((context, wrong))
        _watch(page, origin, wrong)
        page.goto(path)
        return page

    yield open_page
    for context, _ in opened:
        context.close()
    assert [fault for _, wrong in opened for fault in wrong] == []


def _watch(page: Page, origin: str, wrong: list[str]) -> None:
    page.add_init_script(_VIOLATIONS)

    def asked(request: Request) -> None:
        if not request.url.startswith((origin, "data:", "blob:")):
            wrong.append(f"asked {request.url}")

    def told(message: Any) -> None:
        # Chromium reports each refused form (409, 422) as a failed resource; the page itself shows the refusal.
        if message.type == "error" and "Failed to load resource" not in message.text:
            wrong.append(f"{page.url}: {message.text}")

    def answered(response: Response) -> None:
        if response.status >= 500:
            wrong.append(f"{response.url} answered {response.status}")

    page.on("request", asked)
    page.on("response", answered)
    page.on("console", told)
    page.on("pageerror", lambda error: wrong.append(f"{page.url}: {error}"))


def accessible(page: Page, *rules: str) -> None:
    """axe finds nothing serious or critical in the page as it stands, by all its rules or by these alone."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE)
    page.wait_for_function("() => document.getAnimations().every((each) => each.playState !== 'running')")
    options = {"resultTypes": ["violations"], "preload": False} | ({"runOnly": list(rules)} if rules else {})
    found = page.evaluate("(options) => axe.run(document, options)", options)
    grave = [
        (fault["id"], fault["help"], [node["html"][:160] for node in fault["nodes"][:4]])
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
    ]
    assert grave == [], f"{page.url}: {grave}"


def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    wider = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0, f"{page.url} is {wider} px wider than the window: {page.evaluate(_WIDE)}"
