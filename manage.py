#!/usr/bin/env python
"""Command line of the platform; worker commands run under the worker's own, smaller settings."""

import os
import sys

WORKER_COMMANDS = {"run_voice_worker", "simulate_call", "check_call", "run_simulated_carrier"}


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    # These start the database, so they run before Django can be configured, and what they start chooses its own settings.
    if command == "dev":
        from voiceplatform.embedded.__main__ import main as dev

        sys.exit(dev(sys.argv[2:]))
    if command == "demo":
        from voiceplatform.demo.__main__ import main as demo

        sys.exit(demo(sys.argv[2:]))

    settings = "worker" if command in WORKER_COMMANDS else "commands"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", f"voiceplatform.settings.{settings}")
    _execute()


def _execute() -> None:
    """Problems that are mended outside the code are told in a line."""
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(str(error))
    except OperationalError as error:
        # The server's own errors have a code; without one it was not reached.
        if getattr(error.__cause__, "sqlstate", None):
            raise
        reason = str(error).strip().splitlines()[0]
        sys.exit(f"The database does not answer: {reason}\nStart the embedded servers with make run, or set DATABASE_URL.")


if __name__ == "__main__":
    main()
