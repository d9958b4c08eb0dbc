"""A process that works on a job, as a Celery worker would: `python -m calls.tests.import_process TENANT JOB [HANG_AT FILE]`.

With HANG_AT it stays in the step that begins at that position, its rows written and not committed.
"""

import sys
import time
from pathlib import Path
from uuid import UUID

import django

django.setup()

from calls import handlers as _registered  # noqa: E402, F401
from tenants.jobs import HANDLERS, LEADS, Handler, Outcome, Step  # noqa: E402
from tenants.models import Job  # noqa: E402
from tenants.scope import tenant_scope  # noqa: E402
from tenants.services import jobs  # noqa: E402

real = HANDLERS[LEADS]


def apply(job: Job, step: Step) -> Outcome:
    outcome = real.apply(job, step)
    if len(sys.argv) > 3 and job.position == sys.argv[3]:
        Path(sys.argv[4]).write_text("here")
        time.sleep(60)
    return outcome


def main() -> None:
    HANDLERS[LEADS] = Handler(steps=real.steps, apply=apply)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    with tenant_scope(UUID(sys.argv[1])):
        jobs.run(job_id=UUID(sys.argv[2]))


if __name__ == "__main__":
    main()
