"""A customer's server that knows of us only what the Standard Webhooks specification says, and that has bad days.

`python -m integrations.tests.receiver PORT LOG SECRET SEED` answers events and appends a line for each it accepts. It
fails, hangs up and stalls now and then; killed and started again, it remembers what its log says.
"""

import random
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

from standardwebhooks import Webhook, WebhookVerificationError

STALL_S = 2.5
LOG = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("log")


class Receiver(BaseHTTPRequestHandler):
    lock = Lock()
    known: set[str] = set()
    chance = random.Random()
    webhook: Webhook
    served = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            Receiver.served += 1
            day = self.chance.random()
            if self.served % 250 == 120:
                self.lock.release()
                time.sleep(STALL_S)
                self.lock.acquire()
                self.close_connection = True
            elif day < 0.05:
                self.close_connection = True
            elif day < 0.15:
                self.answer(self.chance.choice([400, 429, 500, 503]))
            else:
                self.accept(body)

    def accept(self, body: bytes) -> None:
        try:
            event = self.webhook.verify(body, dict(self.headers))
        except WebhookVerificationError:
            self.note("forged")
            self.answer(401)
            return
        again = event["id"] in self.known
        self.known.add(event["id"])
        self.note(f"{'again' if again else 'accepted'} {event['id']} {event['data']['key']} {event['sequence']}")
        self.answer(200)

    def note(self, line: str) -> None:
        with LOG.open("a") as log:
            log.write(f"{line}\n")

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    port, secret, seed = int(sys.argv[1]), sys.argv[3], int(sys.argv[4])
    Receiver.webhook, Receiver.chance = Webhook(secret), random.Random(seed)
    if LOG.exists():
        Receiver.known = {line.split()[1] for line in LOG.read_text().splitlines() if line != "forged"}
    with ThreadingHTTPServer(("127.0.0.1", port), Receiver) as server:
        print("ready", flush=True)  # noqa: T201
        server.serve_forever()


if __name__ == "__main__":
    main()
