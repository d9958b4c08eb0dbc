"""`python -m voiceplatform.embedded.livekit`: get the server's program and say where it is."""

import sys

from voiceplatform.embedded import environment
from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.livekit import program
from voiceplatform.embedded.process import interrupt_when_told_to_stop


def main() -> int:
    interrupt_when_told_to_stop()
    values = environment.given()
    try:
        if not program.find(values):
            sys.stderr.write(
                f"Building livekit-server {program.VERSION} with Go, if it is here (2 minutes, 1.1 GB meanwhile) …\n"
            )
        path = program.ensure(values)
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"livekit-server: {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
