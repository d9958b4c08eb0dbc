"""LiveKit's egress API on loopback (Twirp with protobuf bodies): it records nothing and puts what a test says into a bucket."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from livekit import api

KEY, SECRET = "APIours", "s" * 40
Status = api.EgressStatus
Reply = tuple[int, str, bytes]


class EgressServer:
    """`refuses` is a Twirp code that is answered instead; `stalls_s` is how late what was carried out is answered."""

    def __init__(self) -> None:
        self.url = ""
        self.reset()

    def reset(self) -> None:
        self.infos: dict[str, Any] = {}
        self.started: list[Any] = []
        self.stopped: list[str] = []
        self.refuses = ""
        self.stalls_s = 0.0

    def answer(self, path: str, authorization: str, body: bytes) -> Reply:
        service, _, method = path.removeprefix("/twirp/").partition("/")
        grants = api.TokenVerifier(KEY, SECRET).verify(authorization.removeprefix("Bearer ")).video
        if not (grants and grants.room_record):
            return _error(403, "permission_denied", "permissions denied")
        if self.refuses:
            return _error(503 if self.refuses == "unavailable" else 412, self.refuses, "egress not connected (redis required)")
        answers = {"StartRoomCompositeEgress": self._start, "StopEgress": self._stop, "ListEgress": self._list}
        if service != "livekit.Egress" or method not in answers:
            return _error(404, "bad_route", path)
        reply = answers[method](body)
        time.sleep(self.stalls_s)
        return reply

    def finish(self, egress_id: str, *, status: Any = Status.EGRESS_COMPLETE, size: int = 0, error: str = "") -> Any:
        """How an egress ended; gives what the server then tells of it."""
        info = self.infos[egress_id]
        info.status, info.error, info.ended_at = status, error, time.time_ns()
        if size:
            file = self.started[-1].file_outputs[0]
            location = f"https://{file.gcp.bucket}.storage.googleapis.com/{file.filepath}"
            info.file_results.append(api.FileInfo(filename=file.filepath, size=size, duration=7_000_000_000, location=location))
        return info

    def _start(self, body: bytes) -> Reply:
        request = api.RoomCompositeEgressRequest.FromString(body)
        self.started.append(request)
        egress_id = f"EG_{len(self.started)}"
        info = api.EgressInfo(egress_id=egress_id, room_name=request.room_name, status=Status.EGRESS_STARTING)
        info.started_at = time.time_ns()
        self.infos[egress_id] = info
        return _message(info)

    def _stop(self, body: bytes) -> Reply:
        info = self.infos.get(api.StopEgressRequest.FromString(body).egress_id)
        if info is None:
            return _error(404, "not_found", "egress does not exist")
        if info.status not in (Status.EGRESS_STARTING, Status.EGRESS_ACTIVE):
            return _error(412, "failed_precondition", f"egress with status {Status.Name(info.status)} cannot be stopped")
        info.status = Status.EGRESS_ENDING
        self.stopped.append(info.egress_id)
        return _message(info)

    def _list(self, body: bytes) -> Reply:
        asked = api.ListEgressRequest.FromString(body)
        found = [
            info
            for info in self.infos.values()
            if asked.egress_id in ("", info.egress_id) and asked.room_name in ("", info.room_name)
        ]
        return _message(api.ListEgressResponse(items=found))


def _message(message: Any) -> Reply:
    return 200, "application/protobuf", message.SerializeToString()


def _error(status: int, code: str, text: str) -> Reply:
    return status, "application/json", json.dumps({"code": code, "msg": text}).encode()


@contextmanager
def serve_egress() -> Iterator[EgressServer]:
    server = EgressServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, kind, content = server.answer(self.path, self.headers.get("Authorization", ""), body)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        httpd.daemon_threads = True
        server.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield server
        httpd.shutdown()
        thread.join()
