"""A file answered in HTTP ranges, so that a player can seek in it."""

import re
from collections.abc import Iterator
from typing import IO, Any

from django.core.files.storage import storages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from calls.models import Call, Recording
from voiceplatform.lib.ids import to_public_id

CHUNK = 64 * 1024
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


def serve_recording(request: HttpRequest, recording: Recording) -> HttpResponseBase:
    """Answer GET or HEAD with a stored recording. Raises Http404 when its file is gone.

    The body is read after the view has returned, so it needs no scope: everything the database knows is read before.
    """
    storage = storages["recordings"]
    try:
        file: Any = storage.open(recording.file)
        size = storage.size(recording.file)
    except FileNotFoundError as error:
        raise Http404("The recording's file is gone from the storage.") from error
    name = to_public_id(Call.public_prefix, recording.call_id)
    return serve_file(request, file, size=size, content_type="audio/ogg", filename=f"{name}.ogg")


def serve_file(request: HttpRequest, file: IO[bytes], *, size: int, content_type: str, filename: str) -> HttpResponseBase:
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
        "Content-Disposition": f'inline; filename="{filename}"',
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
