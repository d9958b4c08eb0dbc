"""Long work: how far it is, what was refused, and calling it off."""

from typing import Any, Final

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from tenants.api.idempotency import idempotent
from tenants.api.resources import ListMixin, ResourceViewSet, RetrieveMixin
from tenants.api.serializers import JobErrorSerializer, JobSerializer
from tenants.jobs import KINDS
from tenants.models import Job, JobError
from tenants.services.jobs import cancel_job
from voiceplatform.lib.api.pages import OldestFirst

READ: Final = "jobs:read"


class JobFilters(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(choices=list(KINDS.items()))
    state = django_filters.ChoiceFilter(choices=Job.State.choices)


@extend_schema_view(list=extend_schema(summary="List jobs"), retrieve=extend_schema(summary="Fetch a job"))
class JobViewSet(ListMixin, RetrieveMixin, ResourceViewSet):
    """Long work. It goes on while nobody watches; ask again every few seconds until `finished_at` is set."""

    prefix = Job.public_prefix
    scopes = {"list": READ, "retrieve": READ, "errors": READ, "cancel": "jobs:write"}
    serializer_class = JobSerializer
    filterset_class = JobFilters

    def rows(self) -> QuerySet:
        rows: QuerySet = Job.objects.all()
        return rows

    @extend_schema(
        summary="List what a job refused",
        responses=JobErrorSerializer(many=True),
    )
    @action(detail=True, filterset_class=None, pagination_class=OldestFirst)
    def errors(self, request: Request, id: str) -> Response:
        """Row by row, the first 10,000 of them; they are kept for some weeks."""
        return self.page_of(JobError.objects.filter(job=self.get_object()), JobErrorSerializer)

    @extend_schema(summary="Cancel a job", request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def cancel(self, request: Request, id: str) -> Response:
        """Nothing more is done; what has been done stays. Refused with `job_finished` when it has come to its end."""
        return Response(JobSerializer(cancel_job(job=self.get_object())).data)


def accepted(job: Job) -> Response:
    """The answer to a request that a job goes on with."""
    data: dict[str, Any] = JobSerializer(job).data
    return Response(data, status=202, headers={"Location": f"/api/v1/jobs/{job.public_id}"})
