"""Outgoing HTTP: the one place from which PromptForge calls addresses that people typed in.

A name is looked up once, every address that it has must be public, and the connection goes to exactly the address that
was judged: an answer of DNS that changes in between leads nowhere. What is private is called only when the operator
lists it in PROMPTFORGE_ALLOWED_PRIVATE_HOSTS. No redirect is followed, no proxy of the environment is used, no cookie
is kept, and one deadline covers all from the look-up to the last byte.

A connection that is kept open between calls leads where it led when its address was judged: DNS has no say in it any
more, and a new connection is judged anew.
"""

import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import httpcore2
import httpx2
from django.conf import settings
from httpcore2 import NetworkBackend, NetworkStream

from promptforge.lib.errors import DomainError, shorten

# They log whole addresses, and an address may be a secret (Slack's are).
logging.getLogger("httpx2").setLevel(logging.WARNING)
logging.getLogger("httpcore2").setLevel(logging.WARNING)

LONGEST_URL = 2048
PORTS = (80, 443, 8443)
ALLOW_LIST = "PROMPTFORGE_ALLOWED_PRIVATE_HOSTS"
_CONNECT_SECONDS = 5.0

# Public by their number, and still not the public's: protocol assignments with Oracle's metadata service, relays of
# 6to4 (which lead to any IPv4 address), and Azure's metadata service.
_NOT_PUBLIC = tuple(IPv4Network(n) for n in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"))
# Everything outside of 2000::/3 is reserved, local, multicast or carries an IPv4 address; so do these inside of it.
_GLOBAL_IPV6 = IPv6Network("2000::/3")
_NOT_PUBLIC_IPV6 = tuple(IPv6Network(n) for n in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)\Z")


class Unreachable(Exception):
    """The call brought no answer. `reason` is one word, the message one sentence without the address that was tried."""

    def __init__(self, reason: str, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason


class Answer(NamedTuple):
    """What came back; `body` holds as many bytes as were asked for, or fewer when there were no more."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Target(NamedTuple):
    """An address as it will be called: the host in lower case and ASCII, without the dot at its end."""

    url: httpx2.URL
    host: str
    port: int
    own_port: int | None = None

    @property
    def is_allowed_private(self) -> bool:
        """Whether our own server listens there, or the operator lists this host, alone or with this port."""
        if self.own_port is not None and (self.host, self.port) == ("127.0.0.1", self.own_port):
            return True
        host = f"[{self.host}]" if ":" in self.host else self.host
        listed = {entry.strip().lower().removesuffix(".") for entry in settings.ALLOWED_PRIVATE_HOSTS}
        return bool({self.host, host, f"{host}:{self.port}"} & listed)


def check(url: str) -> None:
    """Refuse an address that must not be called: `bad_url` or `url_not_allowed`, with the reason. Asks DNS."""
    try:
        _addresses(read(url), _CONNECT_SECONDS)
    except Unreachable as unreachable:
        raise DomainError("bad_url", f"{unreachable} Check how it is written.") from None


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    seconds: float = 15.0,
    largest: int = 65_536,
    keep: bool = False,
    own_port: int | None = None,
) -> Answer:
    """Call an address once.

    `seconds` covers everything. Of the answer's body at most `largest` bytes are read, of 0 none, undecoded; a longer
    one raises `Unreachable`. `keep` leaves the connection open for the next call of this thread to the same host;
    `own_port` is the one port of 127.0.0.1 on which a server that PromptForge has started itself listens. Raises
    `DomainError` for an address that must not be called.
    """
    target = read(url, own_port)
    line = _kept(target) if keep else _Line(target)
    line.judged.deadline = time.monotonic() + seconds
    sent = {"Accept-Encoding": "identity", "User-Agent": "PromptForge", **headers}
    try:
        with line.client.stream(
            method, target.url, headers=sent, content=body, follow_redirects=False, timeout=seconds
        ) as response:
            return Answer(response.status_code, dict(response.headers), _read(response, largest))
    except httpx2.TimeoutException:
        raise Unreachable("timeout", f"It did not answer within {seconds:g} seconds.") from None
    except httpx2.ConnectError as error:
        if "CERTIFICATE" in str(error):
            raise Unreachable("tls", "Its certificate is not one for this name that is trusted here.") from None
        raise Unreachable("connect", "No connection could be made to it.") from None
    except (httpx2.HTTPError, httpx2.InvalidURL):
        raise Unreachable("protocol", "It ended the connection early, or what it answered is no HTTP.") from None
    finally:
        line.client.cookies.clear()
        if not keep:
            line.client.close()


def _read(response: httpx2.Response, largest: int) -> bytes:
    read = bytearray()
    if largest:
        for part in response.iter_raw():
            read += part
            if len(read) > largest:
                raise Unreachable("too_large", f"It answered with more than {largest:,} bytes.")
    return bytes(read)


# --- What may be called ----------------------------------------------------------------------------------------------
def read(url: str, own_port: int | None = None) -> Target:
    """Take an address apart by the parser that will call it, and refuse what its form alone rules out."""
    if not url or len(url) > LONGEST_URL or re.search(r"[\x00-\x20\x7f-\x9f\\]", url):
        raise DomainError("bad_url", f"Write an address of at most {LONGEST_URL} characters, without blanks: https://…")
    try:
        parsed = httpx2.URL(url)
        host = parsed.raw_host.decode("ascii").lower().removesuffix(".")
        port = parsed.port or {"http": 80, "https": 443}.get(parsed.scheme, 0)
    except (httpx2.InvalidURL, ValueError):
        raise DomainError("bad_url", f"{shorten(url)} is not an address. Write https://host/path.") from None
    if parsed.scheme not in ("http", "https") or not host or not 0 < port < 65_536:
        raise DomainError("bad_url", f"{shorten(url)} is not a web address. Write https://host/path.")
    if parsed.userinfo:
        raise DomainError("bad_url", "The address holds a user or password. Leave out what stands before the @.")
    if ":" not in host and _NUMBER.match(host.rpartition(".")[2]) and not _is_plain_ipv4(host):
        raise DomainError("bad_url", "The host is a number in an unusual spelling. Write a name, or four numbers.")
    target = Target(parsed, host, port, own_port)
    if not target.is_allowed_private:
        _refuse_by_form(target)
    return target


def _refuse_by_form(target: Target) -> None:
    if settings.PRODUCTION and target.url.scheme != "https":
        raise _not_allowed("It is called without encryption. Write https://…")
    if target.port not in PORTS:
        raise _not_allowed(f"Port {target.port} is none of {', '.join(map(str, PORTS))}.")


def _is_plain_ipv4(host: str) -> bool:
    try:
        return str(IPv4Address(host)) == host
    except ValueError:
        return False


def _addresses(target: Target, seconds: float) -> list[str]:
    """The addresses that the host has now, all of them judged."""
    found = _look_up(target.host, target.port, seconds)
    if not target.is_allowed_private and not all(map(is_public, found)):
        raise _not_allowed("Its host lies in a private, local or reserved network.")
    return found


def _look_up(host: str, port: int, seconds: float) -> list[str]:
    """Ask the system's resolver once, in a thread of its own, for it keeps no deadline."""
    answers: SimpleQueue[list[str] | None] = SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([str(entry[4][0]) for entry in found])
        except (OSError, UnicodeError):
            answers.put(None)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = answers.get(timeout=seconds)
    except Empty:
        found = None
    if not found:
        raise Unreachable("unresolved", f"The host {shorten(host)} has no address that can be found.")
    return list(dict.fromkeys(found))


def is_public(address: str) -> bool:
    """Whether an address is one that anybody on the internet may own, by no detour leading elsewhere."""
    try:
        number = ip_address(address)
    except ValueError:
        return False
    if isinstance(number, IPv6Address):
        inside = number in _GLOBAL_IPV6 and not any(number in network for network in _NOT_PUBLIC_IPV6)
        return inside and number.is_global and number.scope_id is None
    return number.is_global and not number.is_multicast and not any(number in network for network in _NOT_PUBLIC)


def _not_allowed(reason: str) -> DomainError:
    return DomainError(
        "url_not_allowed",
        f"This address may not be called. {reason} Who runs PromptForge can allow a host of their own in {ALLOW_LIST}.",
    )


# --- Connecting to exactly that --------------------------------------------------------------------------------------
_KEPT_SECONDS = 4.0  # common servers hang up on an idle connection after 5
_of_this_thread = threading.local()


class _Line:
    """A client for one host, whose connections are all judged before they are made."""

    def __init__(self, target: Target) -> None:
        self.judged = _Judged(target)
        self.client = httpx2.Client(transport=_Transport(self.judged), trust_env=False)


def _kept(target: Target) -> _Line:
    """The line to this host that this thread keeps; a child process has none of its parent's."""
    if getattr(_of_this_thread, "process", None) != os.getpid():
        _of_this_thread.process, _of_this_thread.lines = os.getpid(), {}
    lines: dict[tuple[Any, ...], _Line] = _of_this_thread.lines
    # What was allowed to one caller is open to nobody who asks without that.
    place = (target.url.scheme, target.host, target.port, target.is_allowed_private)
    if place not in lines:
        if len(lines) >= 8:
            lines.pop(next(iter(lines))).client.close()
        lines[place] = _Line(target)
    return lines[place]


class _Transport(httpx2.HTTPTransport):
    """httpx2's own, but for where its connections go: it offers no argument for that, its pool does."""

    def __init__(self, judged: "_Judged") -> None:
        super().__init__(verify=_tls(), trust_env=False)
        self._pool = httpcore2.ConnectionPool(
            ssl_context=_tls(), network_backend=judged, retries=0, keepalive_expiry=_KEPT_SECONDS
        )


class _Judged(NetworkBackend):
    """Connects to the addresses that were judged, whatever the host is called; TLS goes on checking the name."""

    def __init__(self, target: Target) -> None:
        self.target, self.deadline = target, 0.0
        self.plain = httpcore2.SyncBackend()

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, *args: Any, **kwargs: Any) -> Any:
        addresses = _addresses(self.target, self.left())
        for number, address in enumerate(addresses, start=1):
            allowed = min(_CONNECT_SECONDS, self.left())
            try:
                return _Hurried(self.plain.connect_tcp(address, port, allowed, *args, **kwargs), self)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if number == len(addresses):
                    raise
        raise httpcore2.ConnectError

    def left(self) -> float:
        """Seconds until the deadline of the call that is under way."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout
        return left


class _Hurried(NetworkStream):
    """A stream whose every step ends at the deadline of the whole: a byte now and then does not prolong it."""

    def __init__(self, stream: NetworkStream, judged: _Judged) -> None:
        self.stream, self.judged = stream, judged

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes, self.judged.left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), 65_536):
            self.stream.write(buffer[begin : begin + 65_536], self.judged.left())

    def close(self) -> None:
        self.stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        return _Hurried(self.stream.start_tls(ssl_context, server_hostname, self.judged.left()), self.judged)

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


@cache
def _tls() -> ssl.SSLContext:
    """The system's trusted authorities; OpenSSL's SSL_CERT_FILE names others."""
    return ssl.create_default_context()
