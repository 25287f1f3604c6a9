"""The verifying code of docs/webhooks.md accepts what is sent, and nothing else."""

import json
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from events.webhooks import new_secret, signed_headers
from tests.plugin import ROOT

PAGE = (ROOT / "docs" / "webhooks.md").read_text()
BODY = '{"type": "release.made", "data": "ä"}'.encode()


def code(kind: str) -> str:
    found = re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


def cases() -> list[tuple[str, dict[str, str], str, bool]]:
    """Secret, headers, body, and whether it is genuine."""
    now, mine, other = int(time.time()), new_secret(), new_secret()
    body = BODY.decode()

    def headers(at: int = now, *keys: str) -> dict[str, str]:
        return signed_headers(message_id="evt_1", timestamp=at, body=BODY, keys=keys or (mine,))

    return [
        (mine, headers(), body, True),
        (mine, headers(now, other, mine), body, True),
        (other, headers(now, mine, other), body, True),
        (other, headers(), body, False),
        (mine, headers(), body + " ", False),
        (mine, headers(now - 301), body, False),
        (mine, headers(now + 400), body, False),
        (mine, headers() | {"webhook-id": "evt_2"}, body, False),
        (mine, headers() | {"webhook-timestamp": str(now - 1)}, body, False),
        (mine, headers() | {"webhook-signature": "v1,"}, body, False),
        (mine, headers() | {"webhook-signature": ""}, body, False),
    ]


def test_python() -> None:
    space: dict[str, Any] = {}
    exec(code("python"), space)
    for secret, headers, body, genuine in cases():
        assert space["is_genuine"](secret, headers, body.encode()) is genuine


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed here")
def test_node(tmp_path: Path) -> None:
    given = cases()
    script = tmp_path / "verify.js"
    script.write_text(
        code("js") + f"\nfor (const [secret, headers, body] of {json.dumps([case[:3] for case in given])})\n"
        "  console.log(isGenuine(secret, headers, Buffer.from(body)));\n"
    )
    done = subprocess.run(["node", str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(genuine).lower() for *_, genuine in given]
