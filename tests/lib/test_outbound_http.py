"""The client for customers' addresses: what it refuses, and that what it checked is what it connects to."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from voiceplatform.lib.outbound_http import (
    LARGEST_ANSWER,
    DeadlineExceededError,
    OutboundClient,
    RefusedUrlError,
    UnreachableError,
    check_address,
    parse_url,
)

REFUSED_URLS = [
    # This machine and its neighbours, however they are written.
    "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/",
    "https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.1./", "https://127.000.000.001/", "https://0/",
    "https://0.0.0.0/", "https://10.1.2.3/", "https://172.16.0.1/", "https://192.168.0.1/", "https://100.64.0.1/",
    "https://169.254.169.254/latest/meta-data/", "https://168.63.129.16/", "https://224.0.0.1/", "https://240.0.0.1/",
    "https://255.255.255.255/", "https://192.0.0.192/", "https://198.18.0.1/",
    "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/",
    "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::1]/", "https://[2002:7f00:1::]/", "https://[2001:0:1::1]/",
    "https://[fec0::1]/", "https://[fe80::1]/", "https://[fe80::1%25eth0]/", "https://[fd00:ec2::254]/", "https://[ff02::1]/",
    "https://[2001:db8::1]/",
    # No full names.
    "https://localhost/", "https://localhost./", "https://metadata/", "https:///path", "https://./", "https://a..b/",
    # Other ways of saying where to go.
    "https://example.com@127.0.0.1/", "https://user:pw@example.com/", "https://@example.com/", "https://example.com\\@10.0.0.1/",
    "https://exa mple.com/", "https://example.com/\r\nHost: x", "https://example.com\t/", "https://example.com:22/",
    "https://example.com:8080/", "https://example.com:99999/", "https://example.com:x/", "https://[::1/", "https://-.com/",
    "http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "unix:///var/run/x.sock",
    "//example.com/", "example.com", "", "https://example.com/ü", f"https://example.com/{'a' * 2048}",
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED_URLS, ids=ascii)
def test_a_url_that_leads_elsewhere_is_refused_as_it_stands(url: str) -> None:
    with pytest.raises(RefusedUrlError):
        parse_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://example.com", "example.com", 443, "/"),
        ("https://Example.COM:8443/a?b=c#d", "example.com", 8443, "/a?b=c"),
        ("https://example.com./x", "example.com", 443, "/x"),
        ("https://bücher.example/", "xn--bcher-kva.example", 443, "/"),
        ("https://1.1.1.1/", "1.1.1.1", 443, "/"),
        ("https://[2606:4700::1111]/", "2606:4700::1111", 443, "/"),
        ("https://127.0.0.1.example.com/", "127.0.0.1.example.com", 443, "/"),
    ],
)
def test_a_public_url_passes(url: str, host: str, port: int, path: str) -> None:
    target = parse_url(url)
    assert (target.host, target.port, target.path) == (host, port, path)


def test_loopback_is_for_those_who_allow_it() -> None:
    assert parse_url("http://127.0.0.1:9000/x", allow_loopback=True).port == 9000
    check_address(ip_address("::1"), allow_loopback=True)
    for address in ("10.0.0.1", "169.254.169.254", "fe80::1"):
        with pytest.raises(RefusedUrlError):
            check_address(ip_address(address), allow_loopback=True)


class Resolver:
    """Gives one answer after another, and counts."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers, self.asked = list(answers), 0

    def __call__(self, _host: str, _port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["1.1.1.1", "127.0.0.1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a00:1"],
        ["fe80::1%eth0"],
        ["169.254.169.254"],
    ],
)
def test_a_name_is_refused_when_any_of_its_addresses_is_not_public(answer: list[str]) -> None:
    with pytest.raises(RefusedUrlError, match="not on the public internet"):
        post(OutboundClient(resolve=Resolver(answer)), "https://hooks.example.com/")


def post(client: OutboundClient, url: str) -> Any:
    return client.post(url, body=b"{}", headers={"Content-Type": "application/json"})


def received(connection: socket.socket) -> bytes:
    """A request with its body `{}`: closing a connection with something unread would take the answer back."""
    data = connection.recv(65536)
    while data.startswith(b"POST") and not data.endswith(b"{}"):
        data += connection.recv(65536)
    return data


class Server:
    """Answers every connection with `reply(connection)`, and keeps what it was sent."""

    def __init__(self, reply: Callable[[socket.socket], None], context: ssl.SSLContext | None = None) -> None:
        self.reply, self.context = reply, context
        self.requests: list[bytes] = []
        self.names: list[str | None] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        try:
            if self.context:
                self.context.sni_callback = lambda _s, name, _c: self.names.append(name)
                connection = self.context.wrap_socket(connection, server_side=True)
            self.requests.append(received(connection))
            self.reply(connection)
        except OSError:
            pass
        finally:
            connection.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(reply: Callable[[socket.socket], None] | bytes, context: ssl.SSLContext | None = None) -> Server:
        send = reply if callable(reply) else lambda connection: connection.sendall(reply)
        servers.append(Server(send, context))
        return servers[-1]

    yield start
    for server in servers:
        server.listener.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HERE = OutboundClient(allow_loopback=True, deadline_s=1.0, connect_s=0.5)


def test_a_rebinding_name_is_asked_once_and_gets_the_checked_address(serve: Callable[..., Server]) -> None:
    server, rebinding = serve(OK), Resolver(["127.0.0.1"], ["10.0.0.1"])
    client = OutboundClient(allow_loopback=True, resolve=rebinding)
    assert post(client, f"http://hooks.example.com:{server.port}/").status == 200
    assert (rebinding.asked, len(server.requests)) == (1, 1)
    with pytest.raises(RefusedUrlError):
        post(client, f"http://hooks.example.com:{server.port}/")
    assert len([request for request in server.requests if request]) == 1


def test_the_request_carries_the_names_host(serve: Callable[..., Server]) -> None:
    server = serve(OK)
    client = OutboundClient(allow_loopback=True, resolve=Resolver(["127.0.0.1"]))
    answer = post(client, f"http://hooks.example.com:{server.port}/in?x=1")
    assert (answer.status, answer.body) == (200, b"ok")
    assert server.requests[0].startswith(b"POST /in?x=1 HTTP/1.1\r\n")
    assert f"Host: hooks.example.com:{server.port}\r\n".encode() in server.requests[0]
    assert server.requests[0].count(b"Host:") == 1


def test_beyond_this_machine_only_https_on_its_ports(serve: Callable[..., Server]) -> None:
    client = OutboundClient(allow_loopback=True, resolve=Resolver(["1.1.1.1"]))
    for url in ("http://hooks.example.com/", "https://hooks.example.com:9000/"):
        with pytest.raises(RefusedUrlError, match="Beyond this machine"):
            post(client, url)


def test_redirects_are_answers_like_others(serve: Callable[..., Server]) -> None:
    server = serve(b"HTTP/1.1 307 Moved\r\nLocation: http://169.254.169.254/latest\r\nContent-Length: 0\r\n\r\n")
    assert post(HERE, f"http://127.0.0.1:{server.port}/").status == 307
    assert len([request for request in server.requests if request]) == 1


def test_proxies_of_the_environment_are_not_used(serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch) -> None:
    server, proxy = serve(OK), serve(OK)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    assert post(HERE, f"http://127.0.0.1:{server.port}/").status == 200
    assert (len(server.requests), proxy.requests) == (1, [])


def test_a_long_answer_is_cut(serve: Callable[..., Server]) -> None:
    server = serve(lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2_000_000))
    assert len(post(HERE, f"http://127.0.0.1:{server.port}/").body) == LARGEST_ANSWER


def drip(head: bytes) -> Callable[[socket.socket], None]:
    def send(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.05)

    return send


@pytest.mark.parametrize(
    "head", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"]
)
def test_a_server_that_drips_is_cut_off_at_the_deadline(serve: Callable[..., Server], head: bytes) -> None:
    server = serve(drip(head))
    began = time.monotonic()
    with pytest.raises(DeadlineExceededError):
        post(HERE, f"http://127.0.0.1:{server.port}/")
    assert time.monotonic() - began < 2


def test_a_handshake_that_never_ends_is_cut_off(serve: Callable[..., Server]) -> None:
    server = serve(drip(b""))
    began = time.monotonic()
    with pytest.raises((DeadlineExceededError, UnreachableError)):
        post(HERE, f"https://127.0.0.1:{server.port}/")
    assert time.monotonic() - began < 2


def test_a_resolver_that_hangs_is_not_waited_for() -> None:
    client = OutboundClient(resolve=lambda _host, _port: time.sleep(3) or [], connect_s=0.2)
    with pytest.raises(DeadlineExceededError):
        post(client, "https://hooks.example.com/")


def test_who_is_not_there_is_unreachable(serve: Callable[..., Server]) -> None:
    server = serve(lambda connection: connection.close())
    with pytest.raises(UnreachableError):
        post(HERE, f"http://127.0.0.1:{server.port}/")
    with pytest.raises(UnreachableError, match="did not take the connection"):
        post(HERE, "http://127.0.0.1:9/")

    def nowhere(_host: str, _port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(UnreachableError, match="could not be found"):
        post(OutboundClient(resolve=nowhere), "https://hooks.example.com/")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate of hooks.example.com that vouches for itself, with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hooks.example.com")])
    now = datetime.now(tz=UTC)
    built = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "certificate.pem"
    path.write_bytes(secret + built.public_bytes(serialization.Encoding.PEM))
    return path


def test_the_certificate_must_be_the_names_own(serve: Callable[..., Server], certificate: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = serve(OK, context)
    trusting = OutboundClient(allow_loopback=True, resolve=Resolver(["127.0.0.1"]), ca_file=str(certificate))
    assert post(trusting, f"https://hooks.example.com:{server.port}/").status == 200
    assert server.names == ["hooks.example.com"]
    for client, host in [
        (trusting, "other.example.com"),
        (OutboundClient(allow_loopback=True, resolve=Resolver(["127.0.0.1"])), "hooks.example.com"),
    ]:
        with pytest.raises(UnreachableError, match="No trusted TLS connection"):
            post(client, f"https://{host}:{server.port}/")
    assert len([request for request in server.requests if request]) == 1
