"""A process that drains the outbox, as a Celery worker would: `python -m tenants.tests.drain_process rows|lines|hang FILE`."""

import os
import sys
import time
from pathlib import Path

import django

django.setup()

from tenants.models import TenantFeature  # noqa: E402
from tenants.outbox import Event, subscriber  # noqa: E402
from tenants.services import delivery  # noqa: E402
from tenants.topics import TOPICS  # noqa: E402
from voiceplatform.lib.ids import uuid7  # noqa: E402

NAME, TOPIC = "tests.note", "test.happened"


def write_row(event: Event) -> None:
    """A row per run, not per event: a second run is seen."""
    TenantFeature.objects.create(feature_key=f"{event.object_id.hex}:{event.sequence}:{uuid7().hex}", enabled=True)
    time.sleep(0.01)


def append_line(event: Event) -> None:
    with Path(sys.argv[2]).open("a") as file:
        file.write(f"{event.object_id.hex}:{event.sequence}\n")
    time.sleep(0.01)


def hang(event: Event) -> None:
    write_row(event)
    Path(sys.argv[2]).write_text(str(os.getpid()))
    time.sleep(60)


def main() -> None:
    TOPICS[TOPIC] = (NAME,)
    handler = {"rows": write_row, "lines": append_line, "hang": hang}[sys.argv[1]]
    subscriber(NAME, topic=TOPIC, writes_rows_only=sys.argv[1] != "lines")(handler)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    delivery.drain()


if __name__ == "__main__":
    main()
