"""A receiver for developers: prints a line for each event and says whether its signature holds."""

import json
import random
from argparse import ArgumentParser
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError

LARGEST = 1024 * 1024


class Listener(HTTPServer):
    """`seen` counts the requests; a share of `fail` of them is answered 500 although they verify."""

    def __init__(self, port: int, webhook: Webhook, *, fail: float, tell: Any) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.webhook, self.fail, self.tell, self.seen = webhook, fail, tell, 0


class _Handler(BaseHTTPRequestHandler):
    server: Listener
    # A client that says it sends a body and does not holds the listener no longer than this.
    timeout = 10

    def do_POST(self) -> None:
        size = self.headers.get("Content-Length", "")
        if not size.isdigit() or int(size) > LARGEST:
            self._answer(400)
            return
        body = self.rfile.read(int(size))
        try:
            event = self.server.webhook.verify(body, dict(self.headers))
            verdict, status = "verified", 200
        except (WebhookVerificationError, ValueError):
            event, verdict, status = _read(body), "FAILED", 401
        if status == 200 and random.random() < self.server.fail:
            verdict, status = "verified, answered 500", 500
        self._answer(status)
        self.server.seen += 1
        facts = " ".join(f"{event.get(name, '-')}" for name in ("type", "id"))
        self.server.tell(f"{datetime.now(UTC):%H:%M:%S} {facts} sequence {event.get('sequence', '-')} {verdict}")

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """The events' own lines are enough."""


def _read(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


class Command(BaseCommand):
    help = "Listen for webhooks on this machine, verify them and print a line for each: time, type, id, sequence, verdict."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=8900, help="On 127.0.0.1 (default 8900; 0 for any free one).")
        parser.add_argument(
            "--secret", default="", help="The endpoint's whsec_…; better in VP_WEBHOOK_SECRET, where ps shows it not."
        )
        parser.add_argument("--exit-after", type=int, metavar="N", help="End after N requests.")
        parser.add_argument(
            "--fail", type=float, default=0.0, metavar="RATE", help="Answer 500 to this share, 0 to 1, to see retries."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            webhook = Webhook(options["secret"] or settings.VP_WEBHOOK_SECRET)
        except (ValueError, EmptyWebhookSecretError) as error:
            raise CommandError("Give the endpoint's secret, whsec_…, as --secret or VP_WEBHOOK_SECRET.") from error
        try:
            listener = Listener(options["port"], webhook, fail=options["fail"], tell=self._tell)
        except OSError as error:
            raise CommandError(f"Port {options['port']} cannot be used: {error.strerror}.") from error
        with listener, suppress(KeyboardInterrupt):
            self.stderr.write(f"listening on http://127.0.0.1:{listener.server_address[1]}/")
            while options["exit_after"] is None or listener.seen < options["exit_after"]:
                listener.handle_request()

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
