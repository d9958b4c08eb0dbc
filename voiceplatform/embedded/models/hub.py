"""Models from the Hugging Face hub (or a mirror named by HF_ENDPOINT), over plain HTTPS and resumable."""

import os
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

from voiceplatform.embedded.models.catalogue import HUGGING_FACE, ModelFile
from voiceplatform.embedded.models.errors import ModelUnavailableError

_CHUNK = 1 << 20
_TIMEOUT_S = 20


def hub_url(file: ModelFile) -> str:
    return file.hub.replace(HUGGING_FACE, os.environ.get("HF_ENDPOINT", "").rstrip("/") or HUGGING_FACE, 1)


def fetch_file(*, file: ModelFile, partial: Path, on_bytes: Callable[[int], None]) -> None:
    """Appends to `partial` until it has the file's size."""
    url = hub_url(file)
    have = partial.stat().st_size if partial.is_file() else 0
    if have > file.size:
        partial.unlink()
        have = 0
    if have == file.size:
        return
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 the scheme is checked below
    if not url.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise ModelUnavailableError(f"HF_ENDPOINT must be an https address, not {url}")
    try:
        with urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
            if have and answer.status != 206:
                have = 0
            with partial.open("ab" if have else "wb") as out:
                while have < file.size and (chunk := answer.read(min(_CHUNK, file.size - have))):
                    out.write(chunk)
                    have += len(chunk)
                    on_bytes(have)
    except (URLError, HTTPException, OSError) as error:
        raise ModelUnavailableError(f"{url} did not answer: {getattr(error, 'reason', error)}") from error
    if have != file.size:
        raise ModelUnavailableError(f"{url} ended after {have} of {file.size} bytes; run it again to go on from there")
