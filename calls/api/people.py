"""Leads and their consents, suppressed numbers, calling windows, and whether somebody may be called."""

from typing import Any, Final

import django_filters
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from calls.api import people_serializers as shapes
from calls.api.filters import PhoneFilter
from calls.api.sequences import listed, whole
from calls.errors import GateRefusedError, LeadExistsError
from calls.models import CallingWindow, Consent, Lead, Suppression
from calls.services import people
from calls.services.gates import GATES, INVALID_NUMBER, check_person
from tenants.api.idempotency import idempotent
from tenants.api.resources import ListMixin, ResourceViewSet, RetrieveMixin, etag_headers, require_match
from voiceplatform.lib.api.filters import MetadataFilter
from voiceplatform.lib.api.problems import Refusal, declare, register, register_refusal

READ: Final = "leads:read"
WRITE: Final = "leads:write"

for _code, _meaning in GATES.items():
    declare(_code, _meaning)
register(
    LeadExistsError,
    status=409,
    code="lead_exists",
    meaning="There is a lead with this number; change that one.",
    params=lambda error: {"phone": str(error)},
)


def _gate_refusal(error: GateRefusedError) -> Refusal:
    if error.code == INVALID_NUMBER:
        return Refusal(400, error.code, str(error), params={"to": str(error)})
    wait_s = (error.retry_at - timezone.now()).total_seconds() if error.retry_at else 0
    return Refusal(403, error.code, str(error), headers={"Retry-After": str(int(wait_s) + 1)} if wait_s > 0 else {})


register_refusal(GateRefusedError, _gate_refusal)


class LeadFilters(django_filters.FilterSet):
    phone = PhoneFilter()
    metadata = MetadataFilter()


class SuppressionFilters(django_filters.FilterSet):
    phone = PhoneFilter()
    active = django_filters.ChoiceFilter(choices=[("true", "true"), ("false", "false")], method="by_active")

    def by_active(self, rows: QuerySet, _name: str, value: str) -> QuerySet:
        active = Suppression.objects.in_force(timezone.now())
        return rows.filter(pk__in=active) if value == "true" else rows.exclude(pk__in=active)


LEAD_EXAMPLE = OpenApiExample(
    "A lead",
    request_only=True,
    value={"phone": "+12125550123", "name": "Ada Park", "timezone": "America/New_York", "metadata": {"crm_id": "4711"}},
)


class LockedMixin:
    def locked(self: Any, request: Request, id: str) -> Any:
        """The row as `If-Match` says, until the end of the transaction."""
        row = self.row(self.rows().select_for_update(of=("self",)), self.prefix, id)
        require_match(request, row)
        return row


BY_PHONE = OpenApiParameter("phone", str, description="Exactly this number; in an address, + is written %2B.")
BY_METADATA = OpenApiParameter("metadata[key]", str, description="Leads whose metadata has exactly this value under `key`.")
BY_ACTIVE = OpenApiParameter("active", str, enum=["true", "false"], description="Whether it holds now.")


@extend_schema_view(
    list=extend_schema(summary="List leads", parameters=[BY_PHONE, BY_METADATA]), retrieve=extend_schema(summary="Fetch a lead")
)
class LeadViewSet(LockedMixin, ListMixin, RetrieveMixin, ResourceViewSet):
    """People you may want to call, one per number."""

    prefix = Lead.public_prefix
    scopes = {"list": READ, "retrieve": READ, "create": WRITE, "partial_update": WRITE}
    serializer_class = shapes.LeadSerializer
    filterset_class = LeadFilters

    def rows(self) -> QuerySet:
        rows: QuerySet = Lead.objects.all()
        return rows

    @extend_schema(
        summary="Create a lead",
        request=shapes.LeadSerializer,
        responses={201: shapes.LeadSerializer},
        examples=[LEAD_EXAMPLE],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """Refused with `lead_exists` when there is one with this number."""
        lead = people.create_lead(lead=Lead(**self.body(shapes.LeadSerializer, request)))
        lead.refresh_from_db()
        return Response(shapes.LeadSerializer(lead).data, status=201, headers=etag_headers(lead))

    @extend_schema(
        summary="Change a lead",
        request=shapes.LeadSerializer(partial=True),
        responses=shapes.LeadSerializer,
        examples=[OpenApiExample("Another name", request_only=True, value={"name": "Ada Park-Lee"})],
    )
    @transaction.atomic
    def partial_update(self, request: Request, id: str) -> Response:
        """Send the ETag you read as `If-Match` to change nothing that somebody else has changed since."""
        lead = self.locked(request, id)
        wanted = self.body(shapes.LeadSerializer, request, partial=True)
        _set(lead, wanted)
        people.change_lead(lead=lead, fields=wanted)
        lead.refresh_from_db()
        return Response(shapes.LeadSerializer(lead).data, headers=etag_headers(lead))


@extend_schema_view(list=extend_schema(summary="List a lead's consents"))
@extend_schema(parameters=[OpenApiParameter("lead_id", str, OpenApiParameter.PATH, description="The lead: lead_….")])
class ConsentViewSet(ListMixin, ResourceViewSet):
    """What a person agreed to, with the proof. Consents are recorded and withdrawn, never changed."""

    prefix = Consent.public_prefix
    scopes = {"list": READ, "create": WRITE, "withdraw": WRITE}
    model = Consent
    serializer_class = shapes.ConsentSerializer

    def lead(self) -> Lead:
        lead: Lead = self.row(Lead.objects.all(), Lead.public_prefix, self.kwargs["lead_id"])
        return lead

    def rows(self) -> QuerySet:
        rows: QuerySet = Consent.objects.all()
        return rows.filter(lead=self.lead())

    @extend_schema(
        summary="Record a consent",
        request=shapes.ConsentSerializer,
        responses={201: shapes.ConsentSerializer},
        examples=[
            OpenApiExample(
                "By a form",
                request_only=True,
                value={
                    "kind": "calls",
                    "basis": "Ticked “call me back” on the contact form",
                    "source": "https://example.com/contact",
                    "given_at": "2026-11-20T09:30:00Z",
                },
            )
        ],
    )
    @idempotent
    def create(self, request: Request, lead_id: str) -> Response:
        """Calls that need the person's consent look for the kind `calls`."""
        consent = Consent(lead=self.lead(), **self.body(shapes.ConsentSerializer, request))
        people.record_consent(consent=consent)
        return Response(shapes.ConsentSerializer(consent).data, status=201)

    @extend_schema(
        summary="Withdraw a consent",
        request=shapes.WithdrawalSerializer,
        responses=listed(shapes.ConsentSerializer),
        examples=[OpenApiExample("No more calls", request_only=True, value={"kind": "calls", "reason": "Wrote an e-mail"})],
    )
    @action(detail=False, methods=["post"], pagination_class=None)
    @idempotent
    def withdraw(self, request: Request, lead_id: str) -> Response:
        """Gives the consents that counted until now: none when it is repeated."""
        rows = people.withdraw_consent(lead=self.lead(), **self.body(shapes.WithdrawalSerializer, request))
        return whole(shapes.ConsentSerializer(rows, many=True).data)


SUPPRESSION_EXAMPLE = OpenApiExample(
    "Do not call", request_only=True, value={"phone": "+12125550123", "reason": "Asked by e-mail", "source": "customer"}
)


@extend_schema_view(
    list=extend_schema(summary="List suppressed numbers", parameters=[BY_PHONE, BY_ACTIVE]),
    retrieve=extend_schema(summary="Fetch a suppressed number"),
)
class SuppressionViewSet(ListMixin, RetrieveMixin, ResourceViewSet):
    """Numbers that are not called, whoever asks. Those of an agency hold for its customers too."""

    prefix = Suppression.public_prefix
    scopes = {"list": READ, "retrieve": READ, "create": WRITE, "bulk": WRITE, "lift": WRITE}
    serializer_class = shapes.SuppressionSerializer
    filterset_class = SuppressionFilters

    def rows(self) -> QuerySet:
        rows: QuerySet = Suppression.objects.all()
        return rows

    @extend_schema(
        summary="Suppress a number",
        request=shapes.SuppressionSerializer,
        responses={201: shapes.SuppressionSerializer, 200: shapes.SuppressionSerializer},
        examples=[SUPPRESSION_EXAMPLE],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """A number that is suppressed already stays so (200), for the longer of the two times."""
        done = people.suppress(**self.body(shapes.SuppressionSerializer, request))
        return Response(shapes.SuppressionSerializer(done.row).data, status=201 if done.was_new else 200)

    @extend_schema(
        summary="Suppress many numbers",
        request=shapes.SuppressionsRequestSerializer,
        responses=shapes.BulkResultsSerializer,
        examples=[OpenApiExample("Two", request_only=True, value={"suppressions": [{"phone": "+12125550123"}] * 2})],
    )
    @action(detail=False, methods=["post"], pagination_class=None, filterset_class=None)
    @idempotent
    def bulk(self, request: Request) -> Response:
        """Up to 1000. Each has a result of its own: the good ones are stored although others are refused."""
        return Response({"object": "list", "data": _suppress_many(self.body(shapes.SuppressionsSerializer, request))})

    @extend_schema(
        summary="Lift a suppression",
        request=shapes.ReasonSerializer,
        responses=shapes.SuppressionSerializer,
        examples=[OpenApiExample("They asked for a call", request_only=True, value={"reason": "Asked to be called again"})],
    )
    @action(detail=True, methods=["post"])
    @idempotent
    def lift(self, request: Request, id: str) -> Response:
        """The number may be called again; the suppression stays as history. Repeating it changes nothing."""
        row = self.get_object()
        people.lift_suppression(suppression=row, **self.body(shapes.ReasonSerializer, request))
        return Response(shapes.SuppressionSerializer(row).data)


@extend_schema_view(
    list=extend_schema(summary="List calling windows"),
    retrieve=extend_schema(summary="Fetch a calling window"),
    destroy=extend_schema(summary="Delete a calling window"),
)
class CallingWindowViewSet(LockedMixin, ListMixin, RetrieveMixin, ResourceViewSet):
    """When people may be called, by the clock where they are. Without any: 08:00 to 21:00 on all days but public holidays."""

    prefix = CallingWindow.public_prefix
    scopes = {"list": READ, "retrieve": READ, "create": WRITE, "partial_update": WRITE, "destroy": WRITE}
    serializer_class = shapes.CallingWindowSerializer

    def rows(self) -> QuerySet:
        rows: QuerySet = CallingWindow.objects.all()
        return rows

    @extend_schema(
        summary="Create a calling window",
        request=shapes.CallingWindowSerializer,
        responses={201: shapes.CallingWindowSerializer},
        examples=[
            OpenApiExample(
                "Working days in Germany",
                request_only=True,
                value={"country": "DE", "weekdays": [1, 2, 3, 4, 5], "starts_at": "09:00", "ends_at": "18:00"},
            )
        ],
    )
    @idempotent
    def create(self, request: Request) -> Response:
        """The windows of one country add up, and replace those without a country."""
        window = people.create_window(window=CallingWindow(**self.body(shapes.CallingWindowSerializer, request)))
        window.refresh_from_db()
        return Response(shapes.CallingWindowSerializer(window).data, status=201, headers=etag_headers(window))

    @extend_schema(
        summary="Change a calling window",
        request=shapes.CallingWindowSerializer(partial=True),
        responses=shapes.CallingWindowSerializer,
        examples=[OpenApiExample("Until six", request_only=True, value={"ends_at": "18:00"})],
    )
    @transaction.atomic
    def partial_update(self, request: Request, id: str) -> Response:
        window = self.locked(request, id)
        wanted = self.body(shapes.CallingWindowSerializer, request, partial=True)
        _set(window, wanted)
        people.change_window(window=window, fields=wanted)
        window.refresh_from_db()
        return Response(shapes.CallingWindowSerializer(window).data, headers=etag_headers(window))

    @transaction.atomic
    def destroy(self, request: Request, id: str) -> Response:
        people.delete_window(window=self.locked(request, id))
        return Response(status=204)


class GateViewSet(ResourceViewSet):
    """Whether the person gates would let a call pass now. Nothing is called or stored."""

    scopes = {"check": READ}
    serializer_class = shapes.GateVerdictSerializer

    @extend_schema(
        summary="Would a call to this number pass now?",
        request=shapes.GateQuestionSerializer,
        responses=shapes.GateVerdictSerializer,
        examples=[OpenApiExample("A number", request_only=True, value={"to": "+12125550123"})],
    )
    @action(detail=False, methods=["post"])
    def check(self, request: Request) -> Response:
        """Numbers, countries, suppressions, consent and calling windows are asked; lines and budgets are not."""
        asked = self.body(shapes.GateQuestionSerializer, request)
        wanted = {"requires_consent": asked["requires_consent"], "livemode": self.caller.livemode}
        verdict = check_person(phone=asked["to"], now=timezone.now(), **wanted)
        shown = {
            "allowed": verdict.allowed,
            "to": verdict.phone,
            "code": verdict.code or None,
            "detail": verdict.sentence or None,
            "retry_at": verdict.retry_at,
        }
        return Response(shapes.GateVerdictSerializer(shown).data)


def _set(row: Any, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(row, name, value)


def _suppress_many(body: dict[str, Any]) -> list[dict[str, Any]]:
    checked = [shapes.SuppressionSerializer(data=item) for item in body["suppressions"]]
    good = {index: item.validated_data for index, item in enumerate(checked) if item.is_valid()}
    done = dict(zip(good, people.suppress_all(wanted=[Suppression(**values) for values in good.values()]), strict=True))
    return [_result(index, item, done.get(index)) for index, item in enumerate(checked)]


def _result(index: int, item: serializers.Serializer, done: people.Suppressed | None) -> dict[str, Any]:
    if done is None:
        why = " ".join(f"{name}: {messages[0]}" for name, messages in item.errors.items())
        return {"index": index, "status": "refused", "id": None, "phone": None, "error": why}
    status = "created" if done.was_new else "unchanged"
    return {"index": index, "status": status, "id": done.row.public_id, "phone": done.row.phone, "error": None}
