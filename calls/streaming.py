"""A file answered in HTTP ranges, so that a player can seek in it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect, StreamingHttpResponse

from calls import link_cache
from calls.models import Call, Recording
from calls.places import storage_at
from calls.services.trimming import copy_name
from voiceplatform.lib.ids import to_public_id

CHUNK = 64 * 1024
TYPE = "audio/ogg"
RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z")


class UnsatisfiableRangeError(ValueError):
    """The range asked for lies outside the file."""


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """First and last byte asked for; None means the whole file, also where the header is one we need not honour.

    Raises UnsatisfiableRangeError when it lies outside the file.
    """
    match = RANGE.match(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first_text, last_text = match.groups()
    if not first_text:
        length = min(int(last_text), size)
        if length == 0:
            raise UnsatisfiableRangeError(header)
        return size - length, size - 1
    first = int(first_text)
    last = min(int(last_text), size - 1) if last_text else size - 1
    if first >= size:
        raise UnsatisfiableRangeError(header)
    return None if last < first else (first, last)


def serve_recording(request: HttpRequest, recording: Recording, *, trimmed: bool = False) -> HttpResponseBase:
    """Answer GET or HEAD with a stored recording, or with its copy without silences.

    What lies in a bucket is answered with the way there, for a few minutes. Raises Http404 when the file is gone. Whoever
    calls has made sure that this person may listen now. The body is read after the view has returned, so it needs no scope:
    everything the database knows is read before.
    """
    storage = storage_at(recording.place)
    name = to_public_id(Call.public_prefix, recording.call_id)
    sound = Sound(copy_name(recording), f"{name}-trimmed.ogg") if trimmed else Sound(recording.file, f"{name}.ogg")
    if hasattr(storage, "bucket_name"):
        return _redirect(storage, recording, sound)
    try:
        file: Any = storage.open(sound.file)
        size = storage.size(sound.file)
    except FileNotFoundError as error:
        raise Http404("The recording's file is gone from the storage.") from error
    return serve_file(request, file, size=size, content_type=TYPE, disposition=sound.disposition)


@dataclass(frozen=True, slots=True)
class Sound:
    """A stored file, and what it is called by those who download it."""

    file: str
    filename: str

    @property
    def disposition(self) -> str:
        return f'inline; filename="{self.filename}"'


def _redirect(storage: Any, recording: Recording, sound: Sound) -> HttpResponseBase:
    asked = {"expiration": link_cache.HOLDS, "response_disposition": sound.disposition, "response_type": TYPE}
    key = (recording.tenant_id.hex, recording.place, sound.file, recording.sha256)
    url = link_cache.signed(key, lambda: str(storage.url(sound.file, asked)))
    return HttpResponseRedirect(url, headers={"Cache-Control": "private, no-store", "Referrer-Policy": "no-referrer"})


def serve_file(request: HttpRequest, file: IO[bytes], *, size: int, content_type: str, disposition: str) -> HttpResponseBase:
    """Answer GET or HEAD with `file`, whole or in part; closes it when done."""
    try:
        span = parse_range(request.headers.get("Range", ""), size)
    except UnsatisfiableRangeError:
        file.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    first, last = span or (0, size - 1)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(last - first + 1),
        "Content-Disposition": disposition,
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    if span:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    status = 206 if span else 200
    if request.method == "HEAD":
        file.close()
        return HttpResponse(status=status, content_type=content_type, headers=headers)
    return StreamingHttpResponse(_chunks(file, first, last), status=status, content_type=content_type, headers=headers)


def _chunks(file: IO[bytes], first: int, last: int) -> Iterator[bytes]:
    with file:
        file.seek(first)
        left = last - first + 1
        while left > 0 and (chunk := file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
