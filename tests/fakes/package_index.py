"""A package index and a file hub in one loopback server: pip's simple API, wheels, and files with ranges."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def make_wheel(package: str, version: str, members: dict[str, bytes]) -> bytes:
    module, buffer = package.replace("-", "_"), io.BytesIO()
    info = f"{module}-{version}.dist-info"
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in members.items():
            wheel.writestr(name, content)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: fake\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return buffer.getvalue()


class PackageIndex:
    """`wheels` maps package → (file name, bytes), `files` a path of the hub → bytes; `asked` records every path."""

    def __init__(self) -> None:
        self.wheels: dict[str, tuple[str, bytes]] = {}
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.ranges: list[str] = []
        self.url = ""

    def add_wheel(self, package: str, version: str, members: dict[str, bytes]) -> None:
        name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
        self.wheels[package] = (name, make_wheel(package, version, members))

    def downloads(self) -> list[str]:
        return [path.rsplit("/", 1)[1] for path in self.asked if path.endswith(".whl")]

    def answer(self, path: str) -> tuple[bytes, str] | None:
        if path.startswith("/simple/"):
            package = path.removeprefix("/simple/").strip("/")
            if package not in self.wheels:
                return None
            name, content = self.wheels[package]
            digest = hashlib.sha256(content).hexdigest()
            return f'<a href="/wheels/{package}/{name}#sha256={digest}">{name}</a>'.encode(), "text/html"
        if path.startswith("/wheels/"):
            return self.wheels[path.split("/")[2]][1], "application/octet-stream"
        content = self.files.get(path)
        return None if content is None else (content, "application/octet-stream")


@contextmanager
def serve_index() -> Iterator[PackageIndex]:
    index = PackageIndex()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.asked.append(self.path)
            found = index.answer(self.path)
            if found is None:
                self.send_error(404)
                return
            body, kind = found
            start = self.headers.get("Range", "")
            if start:
                index.ranges.append(start)
                body = body[int(start.removeprefix("bytes=").rstrip("-")) :]
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
