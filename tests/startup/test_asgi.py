"""What stands before Django: bodies are read whole before they take a turn, and none is too large or too slow."""

import subprocess
import sys

from tests.plugin import ROOT

# In a process of its own, for the web server's module gives the database a pool.
ASK = """
import asyncio, json, os
os.environ["DJANGO_SETTINGS_MODULE"] = "promptforge.settings"
from asgiref.sync import SyncToAsync
from promptforge import asgi
asgi.SLOWEST_BODY = 0.2

hand_over, handed_over = SyncToAsync.__call__, []
async def counted(self, *given, **named):
    handed_over.append(self.func)
    return await hand_over(self, *given, **named)
SyncToAsync.__call__ = counted

async def ask(path, messages, length=None, hold=False):
    sent, messages = [], list(messages)
    async def receive():
        if messages:
            message = messages.pop(0)
            return await message() if callable(message) else message
        await asyncio.Event().wait()
    async def send(message):
        sent.append(message)
    headers = [(b"host", b"localhost")] + ([(b"content-length", str(length).encode())] if length else [])
    scope = {"type": "http", "method": "POST" if length else "GET", "path": path, "raw_path": path.encode(),
             "query_string": b"", "headers": headers, "scheme": "http", "server": ("localhost", 80),
             "client": ("127.0.0.1", 1), "http_version": "1.1", "root_path": ""}
    await asgi.application(scope, receive, send)
    status = sent[0]["status"]
    return status if status == 200 else (status, json.loads(sent[1]["body"])["code"])

def part(size, more):
    return {"type": "http.request", "body": b"x" * size, "more_body": more}

async def main():
    print("announced", await ask("/api/v1/versions", [], length=400_000_000))
    print("sent", await ask("/api/v1/versions", [part(5_000_000, True), part(5_000_000, True)], length=100))
    slow = [ask("/api/v1/versions", [part(1, True)], length=100) for _ in range(2 * asgi.AT_ONCE)]
    tasks = [asyncio.ensure_future(one) for one in slow]
    await asyncio.sleep(0)
    print("livez", await ask("/livez", [part(0, False)]))
    handed_over.clear()
    print("page", await ask("/docs/errors", [part(0, False)]), len(handed_over), "times from loop to thread")
    print("slow", sorted(set(await asyncio.gather(*tasks))))
    turns = [asgi._must_get_through({"method": "POST", "path": path}, b"") for path in asgi.settings.SIGN_IN_PATHS]
    print("turns", turns, asgi._must_get_through({"method": "POST", "path": "/accounts/password/"}, b""))

    asgi.MOST_HELD = 1000
    both = [ask("/api/v1/versions", [part(600, True)], length=1200) for _ in range(2)]
    print("two at once", await asyncio.gather(*both), asgi._Held.total)
    turns = asgi._turns = asgi.Turns(quick=1, at_once=1, slow=60, most_waiting=1)
    ended, others = asyncio.Event(), []
    async def hold():
        async with turns.one():
            await ended.wait()
    async def fill():
        others.extend(asyncio.ensure_future(hold()) for _ in range(2))
        await asyncio.sleep(0)
        print("is full", turns.is_full)
        asyncio.get_running_loop().call_later(0.05, ended.set)
        return part(2, False)
    print("full meanwhile", await ask("/api/v1/versions", [fill], length=2))
    await asyncio.gather(*others)
    asgi._turns = asgi.Turns(quick=0, at_once=0, slow=60, most_waiting=0)
    print("full, unread", await ask("/api/v1/versions", [], length=100))
    print("full, a report", await ask("/api/v1/observations", [part(100, False)], length=100))
    print("full, a release", await ask("/api/v1/releases", [part(100, False)], length=100))
    rollback = {"type": "http.request", "body": b'{"kind": "rollback"}', "more_body": False}
    print("full, a rollback", await ask("/api/v1/releases", [rollback], length=20))

asyncio.run(main())
"""


def test_bodies_are_bounded_and_slow_ones_hold_nobody_up() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    too_large, too_slow, full = (413, "body_too_large"), (408, "body_too_slow"), (503, "unavailable")
    unknown = (401, "not_authenticated")
    assert done.stdout.splitlines() == [
        f"announced {too_large}",
        f"sent {too_large}",
        "livez 200",
        "page 200 3 times from loop to thread",  # to begin, to answer, and to end
        f"slow {[too_slow]}",
        f"turns {[True] * 3} False",
        f"two at once {[too_slow, full]} 0",
        "is full True",
        f"full meanwhile {unknown}",
        f"full, unread {full}",
        f"full, a report {full}",
        f"full, a release {full}",
        f"full, a rollback {unknown}",
    ], done.stderr
