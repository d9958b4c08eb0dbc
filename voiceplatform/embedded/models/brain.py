"""Which language model the embedded profile runs, and the command that serves it."""

import importlib.util
import os
import sys

from voiceplatform.embedded.models import store
from voiceplatform.embedded.models.errors import ModelUnavailableError


def brain_name() -> str:
    """The catalogue name chosen by VP_BRAIN."""
    choice = os.environ.get("VP_BRAIN", "").strip() or "default"
    if choice not in {"default", "small"}:
        raise ModelUnavailableError(f"VP_BRAIN={choice!r} is not one of default, small. Example: VP_BRAIN=small")
    return f"brain-{choice}"


def brain_command(port: int) -> list[str] | None:
    """Serves the local language model on 127.0.0.1:port, ready when GET /health is 200; to be started in the project folder.

    None when its weights or its runtime are not on this machine.
    """
    weights = store.find(brain_name())
    if weights is None or importlib.util.find_spec("xllamacpp") is None:
        return None
    module = "voiceplatform.embedded.models.brain_server"
    return [sys.executable, "-m", module, "--port", str(port), "--weights", str(weights)]
