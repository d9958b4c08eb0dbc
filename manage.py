#!/usr/bin/env python
"""Command line of the platform; worker commands run under the worker's own, smaller settings."""

import os
import sys

WORKER_COMMANDS = {"run_voice_worker", "simulate_call", "check_call"}


def main() -> None:
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    # These start the database, so they run before Django can be configured, and what they start chooses its own settings.
    if command == "dev":
        from voiceplatform.embedded.__main__ import main as dev

        sys.exit(dev(sys.argv[2:]))
    if command == "demo":
        from voiceplatform.demo.__main__ import main as demo

        sys.exit(demo(sys.argv[2:]))

    settings = "voiceplatform.settings.worker" if command in WORKER_COMMANDS else "voiceplatform.settings.web"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", settings)

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
