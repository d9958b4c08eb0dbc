"""What lies beside the resources: addresses that do not exist, and what the codes of problems mean."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from voiceplatform.lib.api.problems import CODES, MEDIA_TYPE, problem


def not_found(request: HttpRequest) -> JsonResponse:
    detail = f"There is no address {request.path[:100]!r}. GET /api/docs lists all."
    return JsonResponse(problem(status=404, code="not_found", detail=detail), status=404, content_type=MEDIA_TYPE)


def problems(request: HttpRequest) -> HttpResponse:
    return render(request, "api/problems.html", {"codes": sorted(CODES.items())})
