"""The speech process: recognition and synthesis behind one loopback HTTP address."""

import sys


def speech_command(port: int) -> list[str]:
    """Serves speech on 127.0.0.1:port, ready when GET /health is 200; to be started in the project folder."""
    return [sys.executable, "-m", "voiceplatform.embedded.speech", "--port", str(port)]
