"""Save a prompt's file as a version, evaluate it against what is live, and write the verdict as Markdown.

    evaluate.py PROMPT FILE --set NAME --connection NAME [--against stable] [--markdown FILE] [--minutes 30]

Needs nothing but Python. FORGE_URL and FORGE_KEY say where, and with which key: scopes versions:write and
evaluations:run. Ends with 0 for PASS, 1 for FAIL, 3 for INCONCLUSIVE, 4 without a verdict, 2 when something is refused.
"""

import argparse
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

EXITS = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 3}
NO_VERDICT, REFUSED = 4, 2
PAUSE = 2.0  # seconds between two looks at a run


def call(method: str, path: str, body: Any = None) -> bytes:
    """The answer's body; a refusal ends the program with its sentence."""
    request = urllib.request.Request(
        f"{os.environ['FORGE_URL'].rstrip('/')}/api/v1/{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {os.environ['FORGE_KEY']}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            body_read: bytes = answer.read()
            return body_read
    except urllib.error.HTTPError as refusal:
        said = json.loads(refusal.read() or b"{}")
        print(f"{said.get('code', refusal.code)}: {said.get('detail', refusal.reason)}", file=sys.stderr)
    except (urllib.error.URLError, TimeoutError) as error:
        print(f"{os.environ['FORGE_URL']} could not be reached: {error}", file=sys.stderr)
    sys.exit(REFUSED)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("prompt")
    parser.add_argument("file", type=Path)
    parser.add_argument("--set", required=True)
    parser.add_argument("--connection", required=True)
    parser.add_argument("--against", default="stable")
    parser.add_argument("--message", default="From a pull request")
    parser.add_argument("--markdown", type=Path)
    parser.add_argument("--minutes", type=float, default=30.0)
    asked = parser.parse_args(argv)
    saved = {"prompt": asked.prompt, "content": asked.file.read_text(encoding="utf-8"), "message": asked.message}
    version = json.loads(call("POST", "versions", saved))["ref"]
    about = {"candidate": version, "baseline": asked.against, "set": asked.set, "connection": asked.connection}
    run = json.loads(call("POST", "evaluation-runs", about))
    ends = time.monotonic() + asked.minutes * 60
    while run["status"] in ("queued", "running") and time.monotonic() < ends:
        time.sleep(PAUSE)
        run = json.loads(call("GET", f"evaluation-runs/{run['id']}"))
    verdict = run["verdict"] or {"outcome": "", "sentence": run["pause_reason"] or f"The run is {run['status']}."}
    print(f"{version}: {verdict['outcome'] or 'no verdict'}. {verdict['sentence']}")
    if asked.markdown:
        asked.markdown.write_bytes(call("GET", f"evaluation-runs/{run['id']}/export?format=markdown"))
    return EXITS.get(verdict["outcome"], NO_VERDICT)


if __name__ == "__main__":
    sys.exit(main())
