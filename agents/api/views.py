"""Agents, their drafts and versions."""

from typing import Any, Final

from django.db.models import QuerySet
from django.http import Http404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import ErrorDetail, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from agents import services
from agents.api import errors as _errors  # noqa: F401 - registers what they mean
from agents.api.filters import AgentFilter
from agents.api.serializers import (
    AgentDiffSerializer,
    AgentSerializer,
    DraftSerializer,
    DuplicateSerializer,
    NewAgentSerializer,
    PublishSerializer,
    RollBackSerializer,
    StartDraftSerializer,
    VersionSerializer,
    VersionSummarySerializer,
)
from agents.models import Agent, AgentVersion
from agents.selectors import agents_with_versions, changed_settings, changed_tools, find_version, granted_tools
from agents.services.versions import draft_of, locked_agent
from tenants.api.idempotency import idempotent
from tenants.api.resources import ListMixin, ResourceViewSet, RetrieveMixin, etag_headers, require_match
from voiceplatform.lib.api.fields import StrictSerializer
from voiceplatform.lib.api.filters import refuse_unknown

IF_MATCH: Final = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="The ETag you read; with another state the change is refused (412)."
)
FILTERS: Final = [
    OpenApiParameter("name", str, description="A part of the name, in any case of letters."),
    OpenApiParameter("archived", bool, description="True for archived agents; those in use otherwise."),
    OpenApiParameter(
        "metadata",
        {"type": "object", "additionalProperties": {"type": "string"}},
        style="deepObject",
        explode=True,
        description="metadata[key]=value: those with exactly this value there.",
    ),
]
NEW_AGENT: Final = OpenApiExample(
    "A receptionist",
    value={
        "name": "Ava",
        "description": "Answers the front desk after hours.",
        "metadata": {"branch": "north"},
        "settings": {"instructions": "You answer for Oak Dental.", "opening": {"greeting": "Oak Dental, Ava speaking."}},
        "tools": {"end_call": {}, "take_message": {}},
    },
    request_only=True,
)
RENAMED: Final = OpenApiExample("Another name", value={"name": "Nora"}, request_only=True)
COPY: Final = OpenApiExample("A copy", value={"name": "Ava, weekends"}, request_only=True)
DRAFT: Final = OpenApiExample(
    "All settings",
    value={
        "settings": {"instructions": "You answer for Oak Dental.", "facts": ["Saturday: closed"]},
        "tools": {"end_call": {}},
        "note": "Closed on Saturdays",
    },
    request_only=True,
)
DRAFT_CHANGE: Final = OpenApiExample("One setting", value={"settings": {"limits": {"max_duration_s": 600}}}, request_only=True)
FROM_VERSION: Final = OpenApiExample("From an old version", value={"version": 3}, request_only=True)
PUBLISHED: Final = OpenApiExample("With a note", value={"note": "Closed on Saturdays"}, request_only=True)
BACK: Final = OpenApiExample("Back to version 3", value={"version": 3}, request_only=True)

COMPARED: Final = [
    OpenApiParameter(side, str, description=f"A number, an id, `draft` or `published`; `{default}` by default.")
    for side, default in (("from", "published"), ("to", "draft"))
]


class AgentRows(ResourceViewSet):
    """What everything under /agents is found by."""

    prefix = Agent.public_prefix
    serializer_class = AgentSerializer

    def rows(self) -> QuerySet:
        return agents_with_versions()

    def shown(self, agent: Agent, *, status: int = 200) -> Response:
        """The agent as it is in the database now."""
        row = self.rows().get(pk=agent.pk)
        return Response(self.get_serializer(row).data, status=status, headers=etag_headers(row))

    def version(self, agent: Agent, called: str, *, param: str) -> AgentVersion:
        """Raises ValidationError at `param` when the agent has no version called so."""
        version = find_version(agent, called)
        if version is None:
            missing = f"{agent.name} has no version {called[:60]!r}."
            raise ValidationError({param: [ErrorDetail(missing, "does_not_exist")]})
        return version


@extend_schema_view(
    list=extend_schema(summary="List agents", parameters=FILTERS),
    retrieve=extend_schema(summary="Fetch an agent"),
)
class AgentViewSet(ListMixin, RetrieveMixin, AgentRows):
    """Agents themselves; what they say and do is in their drafts and versions."""

    scopes = {
        "list": "agents:read",
        "retrieve": "agents:read",
        "create": "agents:write",
        "partial_update": "agents:write",
        "archive": "agents:write",
        "restore": "agents:write",
        "duplicate": "agents:write",
    }
    filterset_class = AgentFilter

    @extend_schema(summary="Create an agent", request=NewAgentSerializer, responses={201: AgentSerializer}, examples=[NEW_AGENT])
    @idempotent
    def create(self, request: Request) -> Response:
        """It begins with a draft; calls can use it once that is published."""
        return self.shown(services.create_agent(**self.body(NewAgentSerializer, request)), status=201)

    @extend_schema(summary="Change an agent's name, description or metadata", parameters=[IF_MATCH], examples=[RENAMED])
    def partial_update(self, request: Request, id: str) -> Response:
        wanted = self.body(AgentSerializer, request, partial=True)
        with locked_agent(self.get_object()) as agent:
            require_match(request, agent)
            services.change_agent(agent=agent, **wanted)
        return self.shown(agent)

    @extend_schema(summary="Archive an agent", request=None, responses=AgentSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def archive(self, request: Request, id: str) -> Response:
        """It takes no calls and no changes until it is restored; its versions and calls stay."""
        self.body(StrictSerializer, request)
        return self.shown(services.archive_agent(agent=self.get_object()))

    @extend_schema(summary="Restore an archived agent", request=None, responses=AgentSerializer)
    @action(detail=True, methods=["post"])
    @idempotent
    def restore(self, request: Request, id: str) -> Response:
        """One that is in use stays as it is."""
        self.body(StrictSerializer, request)
        return self.shown(services.restore_agent(agent=self.get_object()))

    @extend_schema(summary="Copy an agent", request=DuplicateSerializer, responses={201: AgentSerializer}, examples=[COPY])
    @action(detail=True, methods=["post"])
    @idempotent
    def duplicate(self, request: Request, id: str) -> Response:
        """The copy begins with a draft: this agent's draft, or else its published version."""
        wanted = self.body(DuplicateSerializer, request)
        return self.shown(services.duplicate_agent(agent=self.get_object(), **wanted), status=201)


class DraftViewSet(AgentRows):
    """What an agent will say and do once it is published."""

    scopes = {
        "draft": "agents:read",
        "replace_draft": "agents:write",
        "change_draft": "agents:write",
        "start_draft": "agents:write",
    }

    @extend_schema(summary="Fetch the draft", responses=DraftSerializer)
    @action(detail=True, methods=["get"])
    def draft(self, request: Request, id: str) -> Response:
        agent = self.get_object()
        draft = agent.versions.drafts().first()
        if draft is None:
            raise Http404(f"{agent.name} has no draft. POST here starts one.")
        return shown_draft(draft)

    @extend_schema(
        summary="Replace the draft", request=DraftSerializer, responses=DraftSerializer, parameters=[IF_MATCH], examples=[DRAFT]
    )
    @draft.mapping.put
    def replace_draft(self, request: Request, id: str) -> Response:
        """Settings that are left out get their defaults."""
        wanted = self.body(DraftSerializer, request)
        with locked_agent(self.get_object()) as agent:
            require_match(request, draft_of(agent))
            draft = services.save_draft(agent=agent, **wanted)
        return shown_draft(draft)

    @extend_schema(
        summary="Change some of the draft",
        request=DraftSerializer,
        responses=DraftSerializer,
        parameters=[IF_MATCH],
        examples=[DRAFT_CHANGE],
    )
    @draft.mapping.patch
    def change_draft(self, request: Request, id: str) -> Response:
        """Settings are merged field by field; lists, and `tools`, are replaced as a whole."""
        wanted = self.body(DraftSerializer, request, partial=True)
        with locked_agent(self.get_object()) as agent:
            require_match(request, draft_of(agent))
            draft = services.change_draft(agent=agent, **wanted)
        return shown_draft(draft)

    @extend_schema(
        summary="Start a draft", request=StartDraftSerializer, responses={201: DraftSerializer}, examples=[FROM_VERSION]
    )
    @draft.mapping.post
    @idempotent
    def start_draft(self, request: Request, id: str) -> Response:
        """A copy of the published version, or of the one given. There is one draft at most (409)."""
        called = self.body(StartDraftSerializer, request).get("version")
        agent = self.get_object()
        source = None if called is None else self.version(agent, called, param="version")
        return shown_draft(services.start_draft(agent=agent, version=source), status=201)


class VersionViewSet(AgentRows):
    """What an agent says and does, number by number; a published version never changes."""

    scopes = {
        "versions": "agents:read",
        "fetch_version": "agents:read",
        "diff": "agents:read",
        "publish": "agents:publish",
        "roll_back": "agents:publish",
    }

    @extend_schema(summary="List versions", responses=VersionSummarySerializer(many=True))
    @action(detail=True, methods=["get"])
    def versions(self, request: Request, id: str) -> Response:
        """With the draft, if there is one."""
        return self.page_of(self.get_object().versions.defer("settings", "compiled"), VersionSummarySerializer)

    @extend_schema(summary="Fetch a version", responses=VersionSerializer)
    @action(detail=True, methods=["get"], url_path="versions/(?P<version>[^/]+)")
    def fetch_version(self, request: Request, id: str, version: str) -> Response:
        """By its number or its id."""
        agent = self.get_object()
        found = find_version(agent, version)
        if found is None:
            raise Http404(f"{agent.name} has no version {version[:60]!r}.")
        return Response(VersionSerializer(found).data, headers=etag_headers(found))

    @extend_schema(summary="Publish the draft", request=PublishSerializer, responses=AgentSerializer, examples=[PUBLISHED])
    @action(detail=True, methods=["post"])
    @idempotent
    def publish(self, request: Request, id: str) -> Response:
        """Calls use it from now on, and it never changes again. What cannot work is refused with its field."""
        agent = self.get_object()
        services.publish(agent=agent, **self.body(PublishSerializer, request))
        return self.shown(agent)

    @extend_schema(summary="Go back to a version", request=RollBackSerializer, responses=AgentSerializer, examples=[BACK])
    @action(detail=True, methods=["post"])
    @idempotent
    def roll_back(self, request: Request, id: str) -> Response:
        """Calls use that published version from now on; the draft stays. Going to the one in use changes nothing."""
        agent = self.get_object()
        version = self.version(agent, self.body(RollBackSerializer, request)["version"], param="version")
        return self.shown(services.roll_back(agent=agent, version=version))

    @extend_schema(summary="Compare two versions", parameters=COMPARED, responses=AgentDiffSerializer)
    @action(detail=True, methods=["get"])
    def diff(self, request: Request, id: str) -> Response:
        refuse_unknown(request, ["from", "to"])
        agent = self.get_object()
        old = self.version(agent, request.query_params.get("from", "published"), param="from")
        new = self.version(agent, request.query_params.get("to", "draft"), param="to")
        return Response(AgentDiffSerializer(difference(old, new)).data)


def shown_draft(draft: AgentVersion, *, status: int = 200) -> Response:
    """The draft as it is in the database now, where JSON has an order of its own."""
    draft.refresh_from_db()
    return Response(DraftSerializer(draft).data, status=status, headers=etag_headers(draft))


def difference(old: AgentVersion, new: AgentVersion) -> dict[str, Any]:
    tools = changed_tools(granted_tools(old), granted_tools(new))
    return {
        "from": old,
        "to": new,
        "settings": [
            {"field": change.field, "from": change.old, "to": change.new}
            for change in changed_settings(old.settings, new.settings)
        ],
        "tools": {
            "added": [tool.key for tool in tools if tool.old is None],
            "removed": [tool.key for tool in tools if tool.new is None],
            "changed": [
                {"key": tool.key, "from": tool.old, "to": tool.new} for tool in tools if None not in (tool.old, tool.new)
            ],
        },
    }
