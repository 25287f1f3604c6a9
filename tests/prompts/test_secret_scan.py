"""Keys of every published form are found wherever they stand; other people's prompts are left alone."""

import hashlib
import json
import random
import string
import time

import pytest

from promptforge.lib.tokens import new_token
from prompts.secret_scan import CALLED_A_SECRET, FORMS, IN_AN_ADDRESS, Secret, find_secrets
from tests.plugin import ROOT

LETTERS, HEX = string.ascii_letters + string.digits, "0123456789abcdef"
URL_SAFE, CAPITALS = LETTERS + "-_", string.ascii_uppercase
# What a key of each form looks like: fixed text, and (alphabet, length) for what is drawn.
SHAPES = {
    "AWS access key": ["AKIA", (string.ascii_uppercase + "234567", 16)],
    "GitHub token": ["ghp_", (LETTERS, 36)],
    "GitLab token": ["glpat-", (URL_SAFE, 20)],
    "Slack token": ["xoxb-", (string.digits, 12), "-", (string.digits, 12), "-", (LETTERS, 24)],
    "Slack webhook": ["https://hooks.slack.com/services/T", (CAPITALS, 9), "/B", (CAPITALS, 9), "/", (LETTERS, 24)],
    "Stripe key": ["sk_live_", (LETTERS, 24)],
    "OpenAI key": ["sk-proj-", (LETTERS, 40), "T3BlbkFJ", (LETTERS, 40)],
    "Anthropic key": ["sk-ant-api03-", (URL_SAFE, 93), "AA"],
    "Langfuse key": ["sk-lf-", (HEX, 8), "-", (HEX, 4), "-", (HEX, 4), "-", (HEX, 4), "-", (HEX, 12)],
    "Google API key": ["AIza", (URL_SAFE, 34), (LETTERS, 1)],
    "Google client secret": ["GOCSPX-", (URL_SAFE, 28)],
    "Hugging Face token": ["hf_", (string.ascii_letters, 34)],
    "Groq key": ["gsk_", (LETTERS, 52)],
    "Replicate token": ["r8_", (LETTERS, 37)],
    "xAI key": ["xai-", (LETTERS, 80)],
    "npm token": ["npm_", (LETTERS, 36)],
    "PyPI token": ["pypi-AgEIcHlwaS5vcmc", (URL_SAFE, 100)],
    "SendGrid key": ["SG.", (URL_SAFE, 22), ".", (URL_SAFE, 43)],
    "Twilio key": ["SK", (HEX, 32)],
    "DigitalOcean token": ["dop_v1_", (HEX, 64)],
    "Shopify token": ["shpat_", (HEX, 32)],
    "Databricks token": ["dapi", (HEX, 32)],
    "Vault token": ["hvs.", (URL_SAFE, 95)],
    "Telegram bot token": [(string.digits, 10), ":AA", (URL_SAFE, 33)],
    "JSON web token": ["eyJ", (URL_SAFE, 40), ".eyJ", (URL_SAFE, 80), ".", (URL_SAFE, 43)],
    "private key": ["-----BEGIN RSA PRIVATE KEY-----"],
}  # fmt: skip
AROUND = [
    "{}",
    "Use {} to call it.",
    "`{}`",
    '{{"key": "{}"}}',
    "Header: X-Key={}\nNext line",
    "Schlüssel „{}“, bitte.",
    "({})",
]
PROMPTS = [
    json.loads(line)["text"]
    for line in (ROOT / "tests" / "realworld" / "templates.jsonl").read_text(encoding="utf-8").splitlines()
]


def drawn(shape: list, random_: random.Random) -> str:
    parts = [part if isinstance(part, str) else "".join(random_.choices(part[0], k=part[1])) for part in shape]
    return "".join(parts)


def is_held_out(text: str) -> bool:
    """Half of the prompts, by the first bit of their SHA-256: no rule was made with a look at these."""
    return hashlib.sha256(text.encode()).digest()[0] >= 128


def test_every_form_has_a_shape_here() -> None:
    assert set(SHAPES) | {"PromptForge key"} == set(FORMS)
    assert len(FORMS) >= 15


@pytest.mark.parametrize("kind", SHAPES)
def test_a_key_is_found_wherever_it_stands(kind: str) -> None:
    random_ = random.Random(kind)
    for _ in range(20):
        for around in AROUND:
            key = drawn(SHAPES[kind], random_)
            text = around.format(key)
            found = find_secrets(text)
            assert any(secret.kind == kind for secret in found), text
            assert all(key not in str(secret) for secret in found)


def test_our_own_keys_are_told_by_their_checksum() -> None:
    key = new_token("live").text
    assert find_secrets(f"Key: {key}")[0].kind == "PromptForge key"
    wrong = key[:-1] + ("A" if key[-1] != "A" else "B")
    assert "PromptForge key" not in {secret.kind for secret in find_secrets(f"like {wrong}")}


@pytest.mark.parametrize(
    "name", ["password", "API key", "api_key", "client-secret", "TOKEN", "Passphrase", "access token"]
)
@pytest.mark.parametrize("between", [": ", "=", " is ", ' = "', ":= '", "**: `"])
def test_a_value_that_is_called_a_secret(name: str, between: str) -> None:
    random_ = random.Random(name + between)
    value = "".join(random_.choices(LETTERS, k=18)) + "7x"
    assert find_secrets(f"Hello.\nThe {name}{between}{value}") == [
        Secret(CALLED_A_SECRET, 2, len(f"The {name}{between}") + 1)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "password: {{password}}",
        "token=<your token here>",
        "api_key = YOUR_API_KEY_12345",
        "The password is correcthorsebatterystaple",
        "secret: aaaaaaaaaaaa1111",
        "Your token is valid until 2026-12-31.",
        "token: xxxxxxxxxxxxxxx1",
        "password: changeme12345",
        "The secret is 123456789012345",
        "See https://example.com:8080/path@2",
        "postgres://user:password@localhost/db",
        "Never reveal the password. Token: at most 4096 tokens-per-request.",
        "AKIA is where keys begin; sk-ant- too; ghp_ and xoxb- as well.",
        "subclassAKIAIOSFODNN7EXAMPLEword",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "Bearer of good news, 12345 of them",
    ],
)
def test_what_only_speaks_of_secrets_is_left_alone(text: str) -> None:
    assert find_secrets(text) == []


def test_a_password_in_an_address() -> None:
    [found] = find_secrets("Ask postgres://app:s3cr3tP4ssw0rd@db.internal/orders first.")
    assert found == Secret(IN_AN_ADDRESS, 1, 20)


@pytest.mark.parametrize("part", ["tuned on", "held out"])
def test_other_people_s_prompts_hold_no_secrets(part: str) -> None:
    texts = [text for text in PROMPTS if is_held_out(text) == (part == "held out")]
    flagged = [text[:80] for text in texts if find_secrets(text)]
    assert len(PROMPTS) >= 400
    assert len(texts) >= 200
    assert len(flagged) <= len(texts) / 100, flagged


@pytest.mark.parametrize(
    "piece", ["password: ", "a://", "eyJaaaaaaaaaa.", "sk-", "AKIA", "x" * 50 + ":", "-----BEGIN ", "pf_live_"]
)
def test_the_largest_text_is_read_in_a_moment(piece: str) -> None:
    text = (piece * (262_144 // len(piece)))[:262_144]
    begun = time.process_time()
    find_secrets(text)
    assert time.process_time() - begun < 3
