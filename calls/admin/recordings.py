"""Listening to a recording through a link that is signed for one person and a few minutes."""

from datetime import timedelta
from urllib.parse import urlencode
from uuid import UUID

from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase

from calls.models import Call, Recording
from calls.streaming import serve_recording
from tenants.staff import staff_user

LINK_HOLDS = timedelta(minutes=15)
_signer = signing.TimestampSigner(salt="calls.recording")


def signed_url(path: str, *, call: Call, user_id: UUID) -> str:
    return f"{path}?{urlencode({'token': _signer.sign(f'{call.pk}:{user_id}')})}"


def stream(request: HttpRequest, call: Call) -> HttpResponseBase:
    """The stored recording of `call`, to the person its link was signed for.

    Raises PermissionDenied for a link that is forged, expired or somebody else's, Http404 without a recording.
    """
    try:
        signed_for = _signer.unsign(request.GET.get("token", ""), max_age=LINK_HOLDS)
    except signing.BadSignature as error:
        raise PermissionDenied("This link has expired. Reload the page of the call.") from error
    if signed_for != f"{call.pk}:{staff_user(request).pk}":
        raise PermissionDenied("This link is somebody else's.")
    stored = Recording.objects.filter(call=call, state=Recording.State.STORED)
    trimmed = "trimmed" in request.GET
    recording = stored.filter(copy=Recording.Copy.MADE).first() if trimmed else stored.first()
    if recording is None:
        raise Http404("This call has no stored recording.")
    return serve_recording(request, recording, trimmed=trimmed)
