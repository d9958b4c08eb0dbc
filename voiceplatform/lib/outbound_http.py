"""HTTP to addresses that customers give: it reaches the public internet and nothing else.

A name is resolved once, all its addresses are checked, and the connection goes to one that was checked, under the
name's own Host, SNI and certificate. Redirects are not followed and proxies of the environment are not used.
"""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from queue import Empty, SimpleQueue
from threading import Thread, Timer
from time import monotonic
from typing import Any, Final
from urllib.parse import urlsplit

import certifi
import idna
from django.conf import settings
from urllib3 import HTTPConnectionPool, HTTPResponse, HTTPSConnectionPool, Timeout
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError, SSLError
from urllib3.util.ssl_ import create_urllib3_context

LONGEST_URL: Final = 2048
LARGEST_ANSWER: Final = 64 * 1024
PORTS: Final = frozenset({443, 8443})
DEADLINE_S: Final = 10.0
CONNECT_S: Final = 5.0

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

# What the standard library calls global, or does not know, and what leads somewhere else all the same.
_NEVER_V4: Final = tuple(
    ip_network(text)
    for text in (
        "100.64.0.0/10",  # carriers' own networks
        "168.63.129.16/32",  # Azure's host
        "192.0.0.0/24",
        "192.88.99.0/24",  # relays into 6to4
    )
)
_PUBLIC_V6: Final = ip_network("2000::/3")
_NEVER_V6: Final = tuple(ip_network(text) for text in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))


class OutboundError(Exception):
    """The request did not end with an answer; the text says why, in words its owner may read."""


class RefusedUrlError(OutboundError):
    """The URL, or an address its name leads to, is one we do not call."""


class DeadlineExceededError(OutboundError):
    """The other side took too long, as a whole or for one step."""


class UnreachableError(OutboundError):
    """No connection, no such name, no valid certificate, or no HTTP."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL whose parts have been checked; its name has not been resolved yet."""

    scheme: str
    host: str
    port: int
    path: str
    literal: Address | None

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if isinstance(self.literal, IPv6Address) else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` holds at most LARGEST_ANSWER bytes, as sent; `retry_after` is the header of that name."""

    status: int
    body: bytes
    duration_ms: int
    retry_after: str = ""


_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


def parse_url(url: str, *, allow_loopback: bool = False) -> Target:
    """Check everything about a URL that can be seen without a look-up. Raises RefusedUrlError.

    With `allow_loopback` http and other ports pass here; they are for loopback addresses only, which `OutboundClient` sees to.
    """
    if len(url) > LONGEST_URL:
        raise RefusedUrlError(f"A URL has at most {LONGEST_URL:,} characters.")
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in url):
        raise RefusedUrlError("A URL has no spaces, control characters or backslashes.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise RefusedUrlError("This is no URL of the form https://example.com/path.") from error
    if parts.scheme not in (("https", "http") if allow_loopback else ("https",)):
        raise RefusedUrlError("A URL begins with https://.")
    if "@" in parts.netloc:
        raise RefusedUrlError("A URL has no user name or password in it.")
    if port is None:
        port = _DEFAULT_PORTS[parts.scheme]
    if port not in PORTS and not allow_loopback:
        raise RefusedUrlError(f"The port must be one of {', '.join(map(str, sorted(PORTS)))}.")
    host, literal = _host(parts.hostname or "", bracketed="[" in parts.netloc)
    if literal is None and "." not in host and not allow_loopback:
        raise RefusedUrlError("The host must be a full name such as example.com.")
    if literal is not None:
        check_address(literal, allow_loopback=allow_loopback)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(scheme=parts.scheme, host=host, port=port, path=_ascii_path(path), literal=literal)


def check_address(address: Address, *, allow_loopback: bool = False) -> None:
    """Raises RefusedUrlError for an address that is not on the public internet."""
    if allow_loopback and address.is_loopback:
        return
    if not _is_public(address):
        raise RefusedUrlError(f"The address {address} is not on the public internet.")


def _is_public(address: Address) -> bool:
    if address.is_multicast or address.is_reserved or not address.is_global:
        return False
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NEVER_V4)
    # Addresses that carry IPv4 ones (mapped, compatible, NAT64) lie outside, Teredo and 6to4 on the list.
    return address.scope_id is None and address in _PUBLIC_V6 and not any(address in network for network in _NEVER_V6)


def _host(given: str, *, bracketed: bool) -> tuple[str, Address | None]:
    if bracketed:
        try:
            literal = IPv6Address(given)
        except ValueError as error:
            raise RefusedUrlError("This is no IPv6 address.") from error
        return str(literal), literal
    try:
        name = idna.encode(given.removesuffix("."), uts46=True, std3_rules=True).decode().lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise RefusedUrlError(f"{given[:100]!r} is no host name.") from error
    last = name.rpartition(".")[2]
    if not (last.isdigit() or last.startswith("0x")):
        return name, None
    # What ends in a number is an address, and resolvers read octal, hexadecimal and short ones each in their own way.
    try:
        return name, IPv4Address(name)
    except ValueError as error:
        raise RefusedUrlError("Write an IPv4 address as four decimal numbers.") from error


def _ascii_path(path: str) -> str:
    try:
        path.encode("ascii")
    except UnicodeEncodeError as error:
        raise RefusedUrlError("Write other than ASCII characters of the path percent-encoded.") from error
    return path


def resolve_by_system(host: str, port: int) -> list[str]:
    """Every address of a name, in the order in which the system would try them. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True)
class OutboundClient:
    """One request is over, in one way or another, `deadline_s` seconds after it began.

    `allow_loopback` lets this machine itself be called, also by http and on any port: for development.
    """

    allow_loopback: bool = False
    deadline_s: float = DEADLINE_S
    connect_s: float = CONNECT_S
    resolve: Resolver = resolve_by_system
    ca_file: str = field(default_factory=certifi.where)

    def post(self, url: str, *, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send `body` once. Raises OutboundError: RefusedUrlError, DeadlineExceededError or UnreachableError."""
        return self.request("POST", url, body=body, headers=headers)

    def request(self, method: str, url: str, *, body: bytes | None = None, headers: Mapping[str, str]) -> Answer:
        """`post` with any method."""
        began = monotonic()
        target = parse_url(url, allow_loopback=self.allow_loopback)
        addresses = self._addresses(target)
        sent = {**headers, "Host": target.host_header, "Accept-Encoding": "identity"}
        with _cut_off_at(began + self.deadline_s) as guard:
            try:
                response = self._send(target, addresses, guard, method=method, body=body, headers=sent)
                content = _read(response)
            except (HTTPError, OSError, ValueError) as error:
                raise _failure(error, target, is_over=guard.is_over) from error
            if guard.is_over:
                raise _too_slow(target)
        duration_ms = round((monotonic() - began) * 1000)
        retry_after = response.headers.get("Retry-After", "")
        return Answer(status=response.status, body=content, duration_ms=duration_ms, retry_after=retry_after)

    def _addresses(self, target: Target) -> list[Address]:
        """The checked addresses of a target."""
        if target.literal is not None:
            addresses: list[Address] = [target.literal]
        else:
            addresses = [_parsed(text) for text in self._resolved(target)]
        if not addresses:
            raise UnreachableError(f"{target.host} has no address.")
        for address in addresses:
            check_address(address, allow_loopback=self.allow_loopback)
        ours = all(address.is_loopback for address in addresses)
        if not ours and (target.scheme != "https" or target.port not in PORTS):
            raise RefusedUrlError(f"Beyond this machine a URL begins with https:// and its port is one of {sorted(PORTS)}.")
        return addresses

    def _resolved(self, target: Target) -> Sequence[str]:
        """Resolvers cannot be interrupted, so a slow one is left behind in its thread."""
        answers: SimpleQueue[Sequence[str] | Exception] = SimpleQueue()

        def look_up() -> None:
            try:
                answers.put(self.resolve(target.host, target.port))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        Thread(target=look_up, name="resolver", daemon=True).start()
        try:
            found = answers.get(timeout=min(self.connect_s, self.deadline_s))
        except Empty:
            raise DeadlineExceededError(f"{target.host} could not be looked up in time.") from None
        if isinstance(found, Exception):
            raise UnreachableError(f"{target.host} could not be found.") from found
        return found

    def _send(self, target: Target, addresses: Sequence[Address], guard: "_Guard", **request: Any) -> HTTPResponse:
        """To the first address that takes the connection; nothing has been sent where one does not."""
        for address in addresses[:-1]:
            try:
                return self._send_to(target, address, guard, **request)
            except (NewConnectionError, ConnectTimeoutError):
                if guard.is_over:
                    raise
        return self._send_to(target, addresses[-1], guard, **request)

    def _send_to(self, target: Target, address: Address, guard: "_Guard", **request: Any) -> HTTPResponse:
        timeout = Timeout(connect=min(self.connect_s, guard.left_s), read=self.deadline_s)
        pool: HTTPConnectionPool
        if target.scheme == "https":
            pool = HTTPSConnectionPool(
                str(address), target.port, timeout=timeout, ssl_context=_tls(self.ca_file), cert_reqs=ssl.CERT_REQUIRED,
                server_hostname=target.host, assert_hostname=target.host,
            )  # fmt: skip
            pool.ConnectionCls = _guarded(HTTPSConnection, guard)
        else:
            pool = HTTPConnectionPool(str(address), target.port, timeout=timeout)
            pool.ConnectionCls = _guarded(HTTPConnection, guard)
        response = pool.urlopen(
            url=target.path, redirect=False, retries=False, assert_same_host=False, preload_content=False, **request
        )
        assert isinstance(response, HTTPResponse)  # noqa: S101 - its base class lacks the reading by parts
        return response


def outbound_client() -> OutboundClient:
    """A client as the installation's settings want it."""
    return OutboundClient(allow_loopback=settings.VP_OUTBOUND_LOOPBACK)


class _Guard:
    """Ends the connection of one request when its time is over, also in a handshake or between two slow bytes."""

    def __init__(self, ends: float) -> None:
        self.is_over = False
        self._ends = ends
        self._held: list[socket.socket] = []

    @property
    def left_s(self) -> float:
        return max(0.001, self._ends - monotonic())

    def hold(self, connected: socket.socket) -> None:
        # A second handle: TLS takes the first one over.
        self._held.append(connected.dup())
        if self.is_over:
            self.cut()

    def cut(self) -> None:
        self.is_over = True
        for held in self._held:
            try:
                held.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def release(self) -> None:
        for held in self._held:
            held.close()


@contextmanager
def _cut_off_at(ends: float) -> Iterator[_Guard]:
    guard = _Guard(ends)
    timer = Timer(guard.left_s, guard.cut)
    timer.daemon = True
    timer.start()
    try:
        yield guard
    finally:
        timer.cancel()
        timer.join()
        guard.release()


@cache
def _tls(ca_file: str) -> ssl.SSLContext:
    """Reading the certificates anew for each request would cost more than the request."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
    context.load_verify_locations(ca_file)
    return context


def _guarded(kind: type[Any], guard: _Guard) -> Any:
    class Guarded(kind):
        def _new_conn(self) -> socket.socket:
            connected: socket.socket = super()._new_conn()
            guard.hold(connected)
            return connected

    return Guarded


def _read(response: HTTPResponse) -> bytes:
    try:
        return response.read(LARGEST_ANSWER, decode_content=False)
    finally:
        response.close()


def _parsed(text: str) -> Address:
    try:
        return ip_address(text)
    except ValueError as error:
        raise UnreachableError("The name leads to something that is no address.") from error


def _too_slow(target: Target) -> DeadlineExceededError:
    return DeadlineExceededError(f"{target.host} did not answer in time.")


def _failure(error: Exception, target: Target, *, is_over: bool) -> OutboundError:
    if is_over or isinstance(error, ReadTimeoutError):
        return _too_slow(target)
    # A refused connection is of both kinds.
    if isinstance(error, NewConnectionError):
        return UnreachableError(f"{target.host} did not take the connection.")
    if isinstance(error, ConnectTimeoutError):
        return DeadlineExceededError(f"{target.host} did not take the connection in time.")
    if isinstance(error, SSLError):
        return UnreachableError(f"No trusted TLS connection to {target.host}: {_reason(error)}.")
    return UnreachableError(f"{target.host} ended the connection without an answer.")


def _reason(error: Exception) -> str:
    inner = error.args[0] if error.args else error
    return str(getattr(inner, "verify_message", "") or getattr(inner, "reason", "") or "the handshake failed").strip(". ")
