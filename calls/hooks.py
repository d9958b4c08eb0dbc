"""Where the LiveKit server sends its news. Answered at once; what follows happens in Celery."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from calls.errors import ForgedEventError, UnusableEventError
from calls.telephony import events


@csrf_exempt
@require_POST
def livekit(request: HttpRequest) -> HttpResponse:
    try:
        events.take(request.body.decode(), request.headers.get("Authorization", ""))
    except ForgedEventError as error:
        return JsonResponse({"detail": str(error)}, status=401)
    except (UnusableEventError, UnicodeDecodeError, RequestDataTooBig) as error:
        return JsonResponse({"detail": str(error)}, status=400)
    return HttpResponse(status=200)
