"""Finds what looks like a key or a password in a text: published forms of keys, and values that are called a secret.

A prompt goes to a model's provider, into logs and to whoever can make the model repeat it; a key does not belong there.
What is found is told by kind and place, never by its value.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from promptforge.lib.tokens import public_id_of

# What it is → its published form. Each begins with letters of its own, so that a text is read once and fast.
FORMS: Mapping[str, str] = {
    "AWS access key": r"(?:AKIA|ASIA)[A-Z2-7]{16}",
    "GitHub token": r"gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}",
    "GitLab token": r"gl(?:pat|dt|rt)-[A-Za-z0-9_-]{20,64}",
    "Slack token": r"xox[abeoprs]-[0-9]{8,14}-[0-9A-Za-z-]{10,200}",
    "Slack webhook": r"hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/[A-Za-z0-9]{20,30}",
    "Stripe key": r"[sr]k_(?:live|test)_[A-Za-z0-9]{24,120}",
    "OpenAI key": r"sk-(?:(?:proj|svcacct|admin)-)?[A-Za-z0-9_-]{20,100}T3BlbkFJ[A-Za-z0-9_-]{20,100}",
    "Anthropic key": r"sk-ant-[a-z]{3,8}[0-9]{2}-[A-Za-z0-9_-]{80,120}",
    "Langfuse key": r"sk-lf-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "Google API key": r"AIza[0-9A-Za-z_-]{35}",
    "Google client secret": r"GOCSPX-[A-Za-z0-9_-]{28}",
    "Hugging Face token": r"hf_[A-Za-z0-9]{34,40}",
    "Groq key": r"gsk_[A-Za-z0-9]{52}",
    "Replicate token": r"r8_[A-Za-z0-9]{37}",
    "xAI key": r"xai-[A-Za-z0-9]{80}",
    "npm token": r"npm_[A-Za-z0-9]{36}",
    "PyPI token": r"pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,250}",
    "SendGrid key": r"SG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}",
    "Twilio key": r"SK[0-9a-f]{32}",
    "DigitalOcean token": r"do[opr]_v1_[0-9a-f]{64}",
    "Shopify token": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
    "Databricks token": r"dapi[0-9a-f]{32}(?:-[0-9])?",
    "Vault token": r"hv[bs]\.[A-Za-z0-9_-]{90,200}",
    "Telegram bot token": r"[0-9]{8,10}:AA[A-Za-z0-9_-]{33}",
    "JSON web token": r"eyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{20,1000}",
    "PromptForge key": r"pf_(?:live|dev)_[0-9A-Za-z_]{40,70}",
    "private key": r"-----BEGIN (?:[A-Z]{2,10} ){0,2}PRIVATE KEY(?: BLOCK)?-----",
}
CALLED_A_SECRET, IN_AN_ADDRESS = "value called a secret", "password in an address"

# Keys stand by themselves: not inside a longer word.
_FORMS = re.compile(
    "(?<![A-Za-z0-9_-])(?:"
    + "|".join(f"(?P<k{number}>{form})" for number, form in enumerate(FORMS.values()))
    + ")(?![A-Za-z0-9])"
)
_CALLED = re.compile(
    r"(?i:(?:(?:api|access|secret|private|auth|client|encryption|signing)[ _-]?(?:key|token|secret)|password|passwd|"
    r"passphrase|secret|token)[\"'`*]{0,3}\s{0,3}(?::=|[:=]|is\b)\s{0,3}|bearer\s{1,3})"
    r"[\"'`]{0,3}(?P<value>[A-Za-z0-9+/_.~!@#$%^&*=-]{12,200})"
)
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+]{1,15}://[^\s:/@{}<>]{1,100}:(?P<value>[^\s:/@{}<>]{8,200})@[A-Za-z0-9]")
# Below this many bits a character a value is more likely a word, a name or a place to fill in than drawn at random.
LEAST_ENTROPY = 3.0
_FILLED_IN_LATER = re.compile(
    r"(?i)your|example|placeholder|changeme|redacted|dummy|sample|xxx|\*\*\*|\.\.\.|<|\{|\$\{"
)


class Secret(NamedTuple):
    """One thing that looks like a secret: `kind` says what it is; line and column count from 1, in code points."""

    kind: str
    line: int
    column: int


def find_secrets(text: str) -> list[Secret]:
    """Everything in a text that looks like a key or a password, in order of its place, each place once."""
    found: dict[int, str] = {}
    for offset, kind in (*_of_known_form(text), *_by_their_name(text)):
        found.setdefault(offset, kind)
    return [
        Secret(found[offset], text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))
        for offset in sorted(found)
    ]


def entropy(value: str) -> float:
    """Shannon's entropy of the characters of a value, in bits a character; 0 for an empty one."""
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())


def _of_known_form(text: str) -> Iterator[tuple[int, str]]:
    kinds = list(FORMS)
    for match in _FORMS.finditer(text):
        kind = kinds[int(str(match.lastgroup)[1:])]
        # Ours have a checksum, so that an invented one in an explanation is told from a real one.
        if kind != "PromptForge key" or public_id_of(match[0]) is not None:
            yield match.start(), kind


def _by_their_name(text: str) -> Iterator[tuple[int, str]]:
    for form, kind in ((_CALLED, CALLED_A_SECRET), (_ADDRESS, IN_AN_ADDRESS)):
        for match in form.finditer(text):
            if _looks_random(match["value"]):
                yield match.start("value"), kind


def _looks_random(value: str) -> bool:
    """Letters and digits mixed, and little repetition: what people call a secret and write by hand has neither."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and entropy(value) >= LEAST_ENTROPY and not _FILLED_IN_LATER.search(value)
