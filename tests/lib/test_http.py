"""Outgoing calls: nothing private is reached, by no spelling, no detour of DNS, no redirect; and each one ends."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import LazySettings

from promptforge.lib import http
from promptforge.lib.errors import DomainError
from tests.events.receiver import Receiver, receiving
from tests.plugin import ROOT

CORPUS = [json.loads(line) for line in (ROOT / "tests/corpora/ssrf.jsonl").read_text().splitlines()]
Resolver = Callable[[dict[str, list[list[str]]]], list[str]]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    """Gives names the answers of a list, one for each question, the last for ever; returns what was asked."""
    real = socket.getaddrinfo

    def install(answers: dict[str, list[list[str]]]) -> list[str]:
        asked: list[str] = []

        def answer(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
            name = host.rstrip(".")
            if name not in answers:
                return real(host, port, *args, flags=socket.AI_NUMERICHOST, **kwargs)
            asked.append(name)
            turn = answers[name][min(asked.count(name), len(answers[name])) - 1]
            if not turn:
                raise socket.gaierror
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in turn]

        monkeypatch.setattr(socket, "getaddrinfo", answer)
        return asked

    return install


def refusal(url: str) -> DomainError | None:
    try:
        http.check(url)
    except DomainError as refused:
        return refused
    return None


# --- What may be called ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("row", CORPUS, ids=lambda row: row["id"])
def test_the_corpus(row: dict[str, Any], resolver: Resolver, settings: LazySettings) -> None:
    settings.PRODUCTION = row["production"]
    settings.ALLOWED_PRIVATE_HOSTS = []
    if row["dns"] is not None:
        host = row["url"].split("/")[2].rstrip(".").lower()
        resolver({host.encode("idna").decode(): [row["dns"]]})
    else:
        resolver({})
    refused = refusal(row["url"])
    assert (refused.code if refused else None) == row["expect_code"]
    if refused:
        assert len(refused.detail) < 320
        for address in row["dns"] or []:
            assert address not in refused.detail.replace(row["url"], "")
        assert refused.code == "bad_url" or "PROMPTFORGE_ALLOWED_PRIVATE_HOSTS" in refused.detail


def test_the_corpus_is_large() -> None:
    assert len({row["id"] for row in CORPUS}) == len(CORPUS) > 140


def test_what_is_not_allowed_is_not_called_either(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same list at sending: no connection is even begun."""
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail(f"ATTACK SUCCEEDED: connected to {a}"))
    for row in CORPUS:
        if row["expect_code"] and not row["production"]:
            resolver({row["url"].split("/")[2].rstrip(".").lower(): [row["dns"]]} if row["dns"] else {})
            with pytest.raises((DomainError, http.Unreachable)):
                http.request("POST", row["url"], headers={})


@pytest.mark.parametrize(
    ("listed", "url", "allowed"),
    [
        ("127.0.0.1", "http://127.0.0.1:9000/", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9000/", True),
        ("127.0.0.1:9000", "http://127.0.0.1:9001/", False),
        ("127.0.0.1:9000", "http://127.0.0.1/", False),
        ("[::1]:9000", "http://[::1]:9000/", True),
        ("::1", "http://[::1]:9000/", True),
        ("models.internal:8080", "http://models.internal:8080/v1", True),
        ("Models.Internal.:8080", "http://models.internal:8080/v1", False),
        ("models.internal", "http://MODELS.internal.:8080/v1", True),
        ("models.internal", "http://evil.models.internal:8080/", False),
        ("models.internal", "http://models.internal.evil.example:8080/", False),
        ("models.internal", "http://models.internal@127.0.0.1:8080/", False),
        ("127.0.0.1", "http://2130706433/", False),
        ("", "http://127.0.0.1/", False),
    ],
)
def test_what_the_operator_lists_is_allowed_and_nothing_beside(
    listed: str, url: str, allowed: bool, resolver: Resolver, settings: LazySettings
) -> None:
    settings.PRODUCTION = True
    settings.ALLOWED_PRIVATE_HOSTS = [listed]
    private = [["10.0.0.9"]]
    resolver(dict.fromkeys(("models.internal", "evil.models.internal", "models.internal.evil.example"), private))
    assert (refusal(url) is None) is allowed


# --- DNS that changes its answer -------------------------------------------------------------------------------------
def test_an_answer_that_turns_private_after_the_check_is_refused(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[Any] = []
    monkeypatch.setattr(socket, "create_connection", lambda address, *a, **k: connected.append(address))
    asked = resolver({"turns.example": [["93.184.215.14"], ["127.0.0.1"]]})
    http.check("http://turns.example/")
    with pytest.raises(DomainError, match="private, local or reserved"):
        http.request("POST", "http://turns.example/", headers={})
    assert (asked, connected) == (["turns.example"] * 2, [])


def test_the_connection_goes_to_the_address_that_was_judged(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Public once, private from then on: one question, and no second look at DNS by whoever connects."""
    connected: list[Any] = []

    def connect(address: Any, *args: Any, **kwargs: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    asked = resolver({"turns.example": [["93.184.215.14"], ["127.0.0.1"]]})
    with pytest.raises(http.Unreachable, match="No connection"):
        http.request("POST", "http://turns.example/", headers={})
    assert (asked, connected) == (["turns.example"], [("93.184.215.14", 80)])


def test_two_real_servers_and_a_name_that_moves_between_them(resolver: Resolver, settings: LazySettings) -> None:
    with receiving("127.0.0.2") as good, receiving("127.0.0.3", good.port) as evil:
        settings.ALLOWED_PRIVATE_HOSTS = [f"turns.example:{good.port}"]
        asked = resolver({"turns.example": [["127.0.0.2"], ["127.0.0.3"]]})
        answer = http.request("POST", good.url("ok", "turns.example"), headers={}, body=b"x")
        assert (answer.status, len(good.received), evil.connections, len(asked)) == (200, 1, 0, 1)
        assert good.received[0].headers["host"] == f"turns.example:{good.port}"
        # The servers can tell: whoever asks DNS again now reaches the other one.
        http.request("POST", good.url("ok", "turns.example"), headers={}, body=b"x")
        assert (len(good.received), len(evil.received)) == (1, 1)


# --- Connections that stay open --------------------------------------------------------------------------------------
def test_a_kept_connection_leads_where_it_was_judged_to_lead(resolver: Resolver, settings: LazySettings) -> None:
    with receiving("127.0.0.2") as good, receiving("127.0.0.3", good.port) as evil:
        settings.ALLOWED_PRIVATE_HOSTS = [f"turns.example:{good.port}"]
        asked = resolver({"turns.example": [["127.0.0.2"], ["127.0.0.3"]]})
        url = good.url("open", "turns.example")
        for _ in range(3):
            assert http.request("POST", url, headers={}, body=b"x", keep=True).status == 200
        assert (len(good.received), good.connections, evil.connections, len(asked)) == (3, 1, 0, 1)
        assert all("cookie" not in one.headers for one in good.received)
        # The permission ends, and so does the use of what it had opened.
        settings.ALLOWED_PRIVATE_HOSTS = []
        with pytest.raises(DomainError, match="may not be called"):
            http.request("POST", url, headers={}, body=b"x", keep=True)
        assert (len(good.received), evil.connections) == (3, 0)


def test_a_kept_connection_that_has_ended_is_judged_anew(resolver: Resolver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PORTS", (80, *range(1024, 65_536)))
    monkeypatch.setattr(http, "is_public", lambda address: address == "127.0.0.2")
    with receiving("127.0.0.2") as server:
        asked = resolver({"turns.example": [["127.0.0.2"], ["10.0.0.1"]]})
        url = server.url("open", "turns.example")
        http.request("POST", url, headers={}, body=b"x", keep=True)
        http._of_this_thread.lines.clear()
        with pytest.raises(DomainError, match="private, local or reserved"):
            http.request("POST", url, headers={}, body=b"x", keep=True)
        assert (len(server.received), len(asked)) == (1, 2)


def test_a_server_of_our_own_is_allowed_by_its_port_and_nothing_beside(
    receiver: Receiver, settings: LazySettings, resolver: Resolver
) -> None:
    settings.ALLOWED_PRIVATE_HOSTS = []
    resolver({"inside.example": [["127.0.0.1"]]})
    own = {"headers": {}, "keep": True, "own_port": receiver.port}
    assert http.request("POST", receiver.url("open"), **own).status == 200  # type: ignore[arg-type]
    with receiving() as other, receiving("127.0.0.2") as beside:
        for url in (
            other.url("open"),
            beside.url("open"),
            receiver.url("open", "localhost"),
            receiver.url("open", "inside.example"),
            receiver.url("open", "[::1]"),
            receiver.url("open", "[::ffff:127.0.0.1]"),
            "http://127.0.0.1/",
        ):
            with pytest.raises(DomainError):
                http.request("POST", url, **own)  # type: ignore[arg-type]
        assert (other.connections, beside.connections) == (0, 0)
    # Nor does the open connection serve whoever does not say so.
    with pytest.raises(DomainError):
        http.request("POST", receiver.url("open"), headers={}, keep=True)
    assert len(receiver.received) == 1


# --- One call --------------------------------------------------------------------------------------------------------
@pytest.fixture
def receiver(settings: LazySettings) -> Iterator[Receiver]:
    with receiving() as one:
        settings.ALLOWED_PRIVATE_HOSTS = [f"127.0.0.1:{one.port}"]
        yield one


def test_a_call_brings_its_answer(receiver: Receiver) -> None:
    answer = http.request("POST", receiver.url("ok"), headers={"X-One": "1"}, body=b"hello")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b'{"fine": true}', "14")
    (got,) = receiver.received
    assert (got.body, got.headers["x-one"], got.headers["accept-encoding"]) == (b"hello", "1", "identity")
    assert http.request("GET", receiver.url("404"), headers={}).status == 404


def test_no_redirect_no_cookie_no_proxy(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        http.request("POST", receiver.url("ok"), headers={})
        answer = http.request("POST", receiver.url("redirect"), headers={})
        assert (answer.status, proxy.connections) == (302, 0)
    assert [one.path for one in receiver.received] == ["/ok", "/redirect"]
    assert "cookie" not in receiver.received[1].headers
    assert "authorization" not in receiver.received[1].headers


@pytest.mark.parametrize("behaviour", ["hang", "drip", "dribble"])
def test_the_deadline_covers_everything(receiver: Receiver, behaviour: str) -> None:
    began = time.monotonic()
    with pytest.raises(http.Unreachable) as late:
        http.request("POST", receiver.url(behaviour), headers={}, seconds=0.5)
    assert late.value.reason == "timeout"
    assert 0.4 < time.monotonic() - began < 1.5


def test_dns_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    held = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: [] if held.wait(30) else None)
    began = time.monotonic()
    with pytest.raises(http.Unreachable, match="no address"):
        http.request("POST", "https://slow.example/", headers={}, seconds=0.3)
    held.set()
    assert time.monotonic() - began < 1.5


@pytest.mark.parametrize(
    ("behaviour", "reason"), [("huge", "too_large"), ("early", "protocol"), ("nonsense", "protocol")]
)
def test_bad_answers_are_told_apart(receiver: Receiver, behaviour: str, reason: str) -> None:
    with pytest.raises(http.Unreachable) as bad:
        http.request("POST", receiver.url(behaviour), headers={}, seconds=3, largest=100_000)
    assert bad.value.reason == reason
    assert "127.0.0.1" not in str(bad.value)


def test_nobody_listens(receiver: Receiver, settings: LazySettings) -> None:
    with receiving() as gone:
        pass
    settings.ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    with pytest.raises(http.Unreachable) as refused:
        http.request("POST", gone.url("ok"), headers={})
    assert refused.value.reason == "connect"


# --- TLS -------------------------------------------------------------------------------------------------------------
def certificate(name: str, issuer: tuple[Any, Any] | None = None) -> tuple[x509.Certificate, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer[1] if issuer else key).public_key()),
            critical=False,
        )
        .add_extension(
            x509.KeyUsage(
                True,
                *[False] * 4,
                key_cert_sign=issuer is None,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return made, key


@pytest.fixture
def tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ssl.SSLContext]:
    """A server's side of TLS for `hooks.example`, whose authority is trusted here."""
    authority = certificate("authority.example")
    mine, key = certificate("hooks.example", authority)
    trusted, chain = tmp_path / "authority.pem", tmp_path / "chain.pem"
    trusted.write_bytes(authority[0].public_bytes(serialization.Encoding.PEM))
    chain.write_bytes(
        mine.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    http._tls.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    yield context
    http._tls.cache_clear()


def test_tls_checks_the_name_and_not_the_address(
    tls: ssl.SSLContext, resolver: Resolver, settings: LazySettings
) -> None:
    names: list[str | None] = []
    tls.sni_callback = lambda connection, name, context: names.append(name)
    with receiving(tls=tls) as server:
        settings.ALLOWED_PRIVATE_HOSTS = ["hooks.example", "other.example", "127.0.0.1"]
        resolver({"hooks.example": [["127.0.0.1"]], "other.example": [["127.0.0.1"]]})
        url = f"https://{{}}:{server.port}/ok"
        assert http.request("POST", url.format("hooks.example"), headers={}).status == 200
        assert server.received[0].headers["host"] == f"hooks.example:{server.port}"
        for name in ("other.example", "127.0.0.1"):
            with pytest.raises(http.Unreachable) as refused:
                http.request("POST", url.format(name), headers={})
            assert refused.value.reason == "tls"
        http._tls.cache_clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("SSL_CERT_FILE")
            with pytest.raises(http.Unreachable, match="trusted"):
                http.request("POST", url.format("hooks.example"), headers={})
        assert len(server.received) == 1
        assert names[:2] == ["hooks.example", "other.example"]
