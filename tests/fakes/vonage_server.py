"""Vonage's Numbers API on loopback: its accounts, its stock of numbers, its error codes, and its bad days."""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY, SECRET = "a1b2c3d4", "abcdefGH12345678"
CALLBACKS = ("app_id", "moHttpUrl", "messagesCallbackType", "messagesCallbackValue", "voiceCallbackType", "voiceCallbackValue")
NO_ADDRESS = (
    "Numbers from this country can be requested from the Dashboard (https://dashboard.nexmo.com/buy-numbers) as they require "
    "a valid local address to be provided before being purchased."
)
Reply = tuple[int, dict[str, Any]]


class VonageServer:
    """`stock` is what can be bought, `owned` what each key has bought; both by number, without a plus.

    `answers` are given first, one each, instead of what would be true; `hangs_up_after` and `stalls_after` name a path
    whose request is carried out and then not answered. `before` is called with each path.
    """

    def __init__(self) -> None:
        self.url = ""
        self.reset()

    def reset(self) -> None:
        self.accounts: dict[str, str] = {KEY: SECRET}
        self.stock: dict[str, dict[str, Any]] = {}
        self.owned: dict[str, dict[str, dict[str, Any]]] = {KEY: {}}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.hangs_up_after = self.stalls_after = ""
        self.stall_s = 1.0
        self.has_credit = True
        self.needs_address: set[str] = set()
        self.before: Callable[[str], object] = lambda path: None
        self.lock = Lock()

    def offer(self, *msisdns: str, country: str = "US", type: str = "landline", cost: str = "0.90") -> None:
        for msisdn in msisdns:
            told = {"country": country, "msisdn": msisdn, "cost": cost, "type": type, "features": ["VOICE", "SMS"]}
            self.stock[msisdn] = told

    def give(self, msisdn: str, *, key: str = KEY, country: str = "US", **callbacks: str) -> None:
        """Let an account have a number."""
        told = {"country": country, "msisdn": msisdn, "type": "landline", "features": ["SMS", "VOICE"], "moHttpUrl": ""}
        self.owned[key][msisdn] = {**told, **callbacks}

    def asked(self, path: str) -> list[dict[str, str]]:
        """What was asked for at a path, so far."""
        return [values for asked, values in self.requests if asked == path]

    def reply(self, path: str, authorization: str, values: Mapping[str, str]) -> Reply:
        key = next((key for key, secret in self.accounts.items() if authorization == basic(key, secret)), None)
        if key is None:
            return 401, {"error-code": "401", "error-code-label": "authentication failed"}
        act = {
            "/account/numbers": self._list,
            "/number/search": self._search,
            "/number/buy": self._buy,
            "/number/cancel": self._cancel,
            "/number/update": self._update,
        }.get(path)
        return act(key, values) if act else (404, {"error-code": "404", "error-code-label": "not found"})

    def _list(self, key: str, values: Mapping[str, str]) -> Reply:
        return 200, _page(list(self.owned[key].values()), values)

    def _search(self, key: str, values: Mapping[str, str]) -> Reply:
        if "country" not in values:
            return 400, {"country": "Is required."}
        wanted = set(values.get("features", "").split(",")) - {""}
        found = [
            number
            for number in self.stock.values()
            if number["country"] == values["country"]
            and values.get("type", number["type"]) == number["type"]
            and wanted <= set(number["features"])
        ]
        return 200, _page(found, values)

    def _buy(self, key: str, values: Mapping[str, str]) -> Reply:
        number = self.stock.get(values["msisdn"])
        if not self.has_credit or number is None or number["country"] != values["country"]:
            return 420, {"error-code": "420", "error-code-label": "method failed"}
        if number["country"] in self.needs_address:
            return 420, {"error-code": "420", "error-code-label": NO_ADDRESS}
        del self.stock[values["msisdn"]]
        self.give(values["msisdn"], key=key, country=values["country"])
        return _done()

    def _cancel(self, key: str, values: Mapping[str, str]) -> Reply:
        if self.owned[key].pop(values["msisdn"], None) is None:
            return 200, {"error-code": "420", "error-code-label": "method failed"}
        return _done()

    def _update(self, key: str, values: Mapping[str, str]) -> Reply:
        number = self.owned[key].get(values["msisdn"])
        if number is None or number["country"] != values["country"]:
            return 420, {"error-code": "420", "error-code-label": "method failed"}
        for name in CALLBACKS:
            number.pop(name, None)
        number.update({name: values[name] for name in CALLBACKS if name in values})
        return _done()


def basic(key: str, secret: str) -> str:
    return f"Basic {b64encode(f'{key}:{secret}'.encode()).decode()}"


def _done() -> Reply:
    return 200, {"error-code": "200", "error-code-label": "success"}


def _page(numbers: list[dict[str, Any]], values: Mapping[str, str]) -> dict[str, Any]:
    pattern, where = values.get("pattern", ""), values.get("search_pattern", "0")
    fits = {"0": str.startswith, "1": str.__contains__, "2": str.endswith}[where]
    found = [number for number in numbers if fits(number["msisdn"], pattern)]
    size, index = min(int(values.get("size", 10)), 100), int(values.get("index", 1))
    shown = found[(index - 1) * size : index * size]
    return {"count": len(found), "numbers": shown} if shown else {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    vonage: VonageServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self._serve(parts.path, parts.query)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert self.headers["Content-Type"] == "application/x-www-form-urlencoded"
        self._serve(self.path, body)

    def _serve(self, path: str, given: str) -> None:
        vonage = self.vonage
        values = {name: found[0] for name, found in parse_qs(given).items()}
        vonage.before(path)
        with vonage.lock:
            vonage.requests.append((path, values))
            if vonage.answers:
                self._answer(*vonage.answers.pop(0))
                return
            status, told = vonage.reply(path, self.headers.get("Authorization", ""), values)
        if path == vonage.hangs_up_after:
            vonage.hangs_up_after = ""
            self.close_connection = True
            return
        if path == vonage.stalls_after:
            vonage.stalls_after = ""
            time.sleep(vonage.stall_s)
        self._answer(status, {}, json.dumps(told).encode())

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve_vonage() -> Iterator[VonageServer]:
    vonage = VonageServer()
    handler = type("Handler", (_Handler,), {"vonage": vonage})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    vonage.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield vonage
    finally:
        server.shutdown()
        server.server_close()
