"""Google Cloud Storage on loopback: its JSON API, tokens for service accounts, IAM's signBlob, and signed links (V4).

Signatures and tokens are checked with the account's public key, as Google does it.
"""

import base64
import hashlib
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, unquote, urlsplit

import google_crc32c
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

EMAIL = "voice@my-project.iam.gserviceaccount.com"
BUCKET = "voice-test"
Reply = tuple[int, dict[str, str], bytes]


class GcsServer:
    """`buckets` holds objects by name. `is_down` answers everything with 503; `revoked` no longer knows the key;
    `read_only` lets nothing be written. `corrupts` changes a byte of what is uploaded."""

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.url = ""
        self.reset()

    def reset(self) -> None:
        self.buckets: dict[str, dict[str, bytes]] = {BUCKET: {}}
        self.generations: dict[str, int] = {}
        self.uploads: dict[str, tuple[str, str, bytearray, dict[str, str]]] = {}
        self.tokens: set[str] = set()
        self.requests: list[tuple[str, str]] = []
        self.is_down = self.revoked = self.read_only = self.corrupts = False

    @property
    def objects(self) -> dict[str, bytes]:
        return self.buckets[BUCKET]

    def service_account(self) -> str:
        """The JSON of a key, as Google's console hands it out."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        kept = {"type": "service_account", "project_id": "my-project", "private_key_id": "k1", "private_key": pem}
        return json.dumps({**kept, "client_email": EMAIL, "client_id": "1", "token_uri": f"{self.url}/token"})

    def change_key(self) -> str:
        """The JSON of a key that is known from now on, instead of the one before."""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.tokens.clear()
        return self.service_account()

    def asked(self, path: str) -> int:
        return sum(path in asked for _, asked in self.requests)

    # -- answering -------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Reply:
        self.requests.append((method, target))
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        if self.is_down:
            return _error(503, "Service unavailable")
        if parts.path == "/token":
            return self._token(body)
        if "X-Goog-Signature" in query:
            return self._linked(method, parts.path, parts.query, query, headers)
        if _of(headers, "Authorization").removeprefix("Bearer ") not in self.tokens or self.revoked:
            return _error(401, "Invalid Credentials")
        if parts.path == f"/v1/projects/-/serviceAccounts/{EMAIL}:signBlob":
            return _json(200, {"keyId": "k1", "signedBlob": _b64(self._sign(base64.b64decode(json.loads(body)["payload"])))})
        return self._storage(method, parts.path, query, headers, body)

    def _token(self, body: bytes) -> Reply:
        header, claims, signature = parse_qs(body.decode())["assertion"][0].split(".")
        try:
            self._verify(_unpadded(signature), f"{header}.{claims}".encode())
        except InvalidSignature:
            return _json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        if self.revoked:
            return _json(400, {"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        token = secrets.token_hex(8)
        self.tokens.add(token)
        return _json(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def _storage(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Reply:
        if path == "/resume":
            return self._resume(query["id"], headers, body)
        found = re.fullmatch(r"(/upload|/download)?/storage/v1/b/([^/]+)(?:/o(?:/(.+))?)?", path)
        if found is None:
            return _error(404, f"no such address: {path}")
        kind, bucket, name = found[1] or "", found[2], unquote(found[3] or "")
        if bucket not in self.buckets or (method != "GET" and self.read_only):
            missing, refused = "The specified bucket does not exist.", f"{EMAIL} does not have storage.objects.create access."
            return _error(404, missing) if bucket not in self.buckets else _error(403, refused)
        if kind == "/upload":
            return self._upload(bucket, query, headers, body)
        return self._object(method, kind, bucket, name, query, headers) if name else self._list(bucket, query)

    def _object(
        self, method: str, kind: str, bucket: str, name: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> Reply:
        if name not in self.buckets[bucket]:
            return _error(404, f"No such object: {bucket}/{name}")
        if method == "DELETE":
            del self.buckets[bucket][name]
            return 204, {}, b""
        if kind == "/download" or query.get("alt") == "media":
            return self._content(bucket, name, headers)
        return _json(200, self._told(bucket, name))

    def _upload(self, bucket: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> Reply:
        if query["uploadType"] == "resumable":
            name = json.loads(body)["name"]
            upload = secrets.token_hex(8)
            self.uploads[upload] = (bucket, name, bytearray(), dict(query))
            return 200, {"Location": f"{self.url}/resume?id={upload}"}, b""
        boundary = _of(headers, "Content-Type").split("boundary=")[1].strip('"').encode()
        _, described, sent, _ = body.split(b"--" + boundary)
        name = json.loads(described.split(b"\r\n\r\n", 1)[1])["name"]
        return self._store(bucket, name, sent.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n"), query)

    def _resume(self, upload: str, headers: Mapping[str, str], body: bytes) -> Reply:
        bucket, name, received, query = self.uploads[upload]
        span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", _of(headers, "Content-Range"))
        assert span
        assert int(span[1]) == len(received)
        received += body
        if span[3] == "*" or int(span[3]) > len(received):
            return 308, {"Range": f"bytes=0-{len(received) - 1}"}, b""
        return self._store(bucket, name, bytes(received), query)

    def _store(self, bucket: str, name: str, content: bytes, query: Mapping[str, str]) -> Reply:
        if query.get("ifGenerationMatch") == "0" and name in self.buckets[bucket]:
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        if self.corrupts:
            content = content[:-1] + b"?"
        self.buckets[bucket][name] = content
        self.generations[name] = self.generations.get(name, 1000) + 1
        return _json(200, self._told(bucket, name))

    def _list(self, bucket: str, query: Mapping[str, str]) -> Reply:
        names = sorted(name for name in self.buckets[bucket] if name.startswith(query.get("prefix", "")))
        return _json(200, {"kind": "storage#objects", "items": [self._told(bucket, name) for name in names]})

    def _content(self, bucket: str, name: str, headers: Mapping[str, str]) -> Reply:
        content = self.buckets[bucket][name]
        told = {"Content-Type": "application/octet-stream", "X-Goog-Hash": f"crc32c={_crc(content)}", "Accept-Ranges": "bytes"}
        span = re.fullmatch(r"bytes=(\d+)-(\d*)", _of(headers, "Range"))
        if span is None:
            return 200, told, content
        first, last = int(span[1]), min(int(span[2] or len(content)), len(content) - 1)
        return 206, {**told, "Content-Range": f"bytes {first}-{last}/{len(content)}"}, content[first : last + 1]

    def _told(self, bucket: str, name: str) -> dict[str, Any]:
        content, at = self.buckets[bucket][name], f"/storage/v1/b/{bucket}/o/{quote(name, safe='')}"
        generation = str(self.generations.get(name, 1000))
        media = f"{self.url}/download{at}?generation={generation}&alt=media"
        sums = {"crc32c": _crc(content), "md5Hash": _b64(hashlib.md5(content, usedforsecurity=False).digest())}
        kept = {"kind": "storage#object", "name": name, "bucket": bucket, "size": str(len(content)), "generation": generation}
        return {**kept, **sums, "mediaLink": media, "metageneration": "1", "updated": "2026-01-05T10:00:00.000Z"}

    # -- signatures ------------------------------------------------------------------------------------------------

    def _linked(self, method: str, path: str, raw_query: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Reply:
        """The canonical request is made anew from what was asked, by Google's description of it."""
        at = datetime.strptime(query["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if datetime.now(UTC) > at + timedelta(seconds=int(query["X-Goog-Expires"])):
            return 400, {}, b"<Error><Code>ExpiredToken</Code></Error>"
        pairs = sorted((quote(n, safe="~"), quote(v, safe="~")) for n, v in parse_qsl(raw_query, keep_blank_values=True))
        canonical_query = "&".join(f"{name}={value}" for name, value in pairs if name != "X-Goog-Signature")
        signed = query["X-Goog-SignedHeaders"].split(";")
        canonical_headers = "".join(f"{name}:{_of(headers, name).strip()}\n" for name in signed)
        request = "\n".join([method, path, canonical_query, canonical_headers, ";".join(signed), "UNSIGNED-PAYLOAD"])
        scope = query["X-Goog-Credential"].split("/", 1)
        digest = hashlib.sha256(request.encode()).hexdigest()
        told = "\n".join(["GOOG4-RSA-SHA256", query["X-Goog-Date"], scope[1], digest])
        try:
            self._verify(bytes.fromhex(query["X-Goog-Signature"]), told.encode())
        except (InvalidSignature, ValueError):
            return 403, {}, b"<Error><Code>SignatureDoesNotMatch</Code></Error>"
        bucket, _, name = unquote(path).removeprefix("/").partition("/")
        if scope[0] != EMAIL or name not in self.buckets.get(bucket, {}):
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        return self._content(bucket, name, headers)

    def _sign(self, message: bytes) -> bytes:
        return self._key.sign(message, padding.PKCS1v15(), SHA256())

    def _verify(self, signature: bytes, message: bytes) -> None:
        """Raises InvalidSignature."""
        self._key.public_key().verify(signature, message, padding.PKCS1v15(), SHA256())


def _of(headers: Mapping[str, str], name: str) -> str:
    return next((value for known, value in headers.items() if known.lower() == name.lower()), "")


def _error(status: int, message: str) -> Reply:
    return _json(status, {"error": {"code": status, "message": message, "errors": [{"message": message, "reason": "x"}]}})


def _json(status: int, body: Mapping[str, Any]) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _crc(content: bytes) -> str:
    return _b64(google_crc32c.value(content).to_bytes(4, "big"))


@contextmanager
def serve_gcs() -> Iterator[GcsServer]:
    server = GcsServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = server.answer(self.command, self.path, dict(self.headers.items()), body)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Silence."""

    for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.reply)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield server
        httpd.shutdown()
        thread.join()
