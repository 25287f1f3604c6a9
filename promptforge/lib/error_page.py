"""docs/errors.md, written from the table of codes: `python -m promptforge.lib.error_page` prints it."""

from itertools import groupby

from promptforge.lib.codes import CODES

_OF_STATUS = {
    400: "The request itself cannot be read",
    401: "Who is asking",
    403: "May they",
    404: "Is it there, within reach",
    405: "The method",
    406: "The form of the answer",
    408: "Too slow",
    409: "The state does not allow it",
    413: "Too large",
    415: "The form of the body",
    422: "Understood, and not acceptable",
    429: "Too many",
    500: "A fault of ours",
    503: "Not now",
    507: "No room",
}

_HEAD = """# Every refusal

For whoever writes a program that calls PromptForge and meets a refusal. `script/docs` writes this page from the table
of codes.

A refusal is `application/problem+json` (RFC 9457). `code` is what a program compares and never changes its meaning;
`detail` says what is wrong, where, the limit and how to mend it; `errors` lists each place by its JSON pointer; `type`
points at the code's row on `/docs/errors` of your installation. A request that was refused wrote nothing.
"""


def markdown() -> str:
    """The page: a table of codes for each status."""
    rows = sorted((code.status, name, code) for name, code in CODES.items())
    parts = [_HEAD]
    for status, group in groupby(rows, key=lambda row: row[0]):
        parts.append(f"\n## {status}: {_OF_STATUS[status]}\n\n| code | meaning | how to mend it |\n|---|---|---|\n")
        parts += [f"| `{name}` | {code.title} | {code.mend} |\n" for _, name, code in group]
    return "".join(parts)


if __name__ == "__main__":
    print(markdown(), end="")  # noqa: T201  that is what it is for
