"""The floor: a bare ASGI application that answers the very bytes that PromptForge answers, and checks nothing.

Run under the same web server with the same options; `BENCH_ANSWERS` names a file with the answers by path.
"""

import json
import os
from pathlib import Path
from typing import Any

ANSWERS = {
    path: (
        [(name.encode(), value.encode()) for name, value in headers.items()],
        body.encode(),
    )
    for path, (headers, body) in json.loads(Path(os.environ["BENCH_ANSWERS"]).read_text(encoding="utf-8")).items()
}


async def application(scope: dict[str, Any], _: Any, send: Any) -> None:
    """Answer one request from memory."""
    if scope["type"] != "http":
        return
    headers, body = ANSWERS[scope["path"]]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
