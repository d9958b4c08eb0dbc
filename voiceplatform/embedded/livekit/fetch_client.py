"""`python -m voiceplatform.embedded.livekit.fetch_client`: get LiveKit's program for browsers and say where it is."""

import sys

from voiceplatform.embedded.errors import EmbeddedError
from voiceplatform.embedded.livekit import client


def main() -> int:
    lock = client.Lock.read()
    try:
        if not client.is_here(lock):
            sys.stderr.write(f"Fetching {lock.name} {lock.version} with npm (3 MB) …\n")
        path = client.ensure(client.given(), lock=lock)
    except EmbeddedError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    sys.stdout.write(f"{lock.name}: {path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
