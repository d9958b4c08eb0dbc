"""Shapes of agents, their drafts and versions."""

from collections.abc import Callable
from typing import Any, get_args

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from agents.api.settings_schema import inline_settings_schema
from agents.catalogue import SECTIONS
from agents.models import Agent, AgentVersion
from agents.selectors import granted_tools
from agents.tools import Risk
from voiceplatform.lib.api.fields import MetadataField, PublicIdField, StrictSerializer

NAME_MAX, DESCRIPTION_MAX, NOTE_MAX = 80, 300, 300


@extend_schema_field(inline_settings_schema())
class SettingsField(serializers.DictField):
    """A version's settings by section; checked by the service, which knows their schema."""


@extend_schema_field({"type": "object", "additionalProperties": {"type": "object"}, "examples": [{"end_call": {}}]})
class ToolsField(serializers.DictField):
    """Key → configuration of the tools a version may use."""

    child = serializers.DictField()

    def get_attribute(self, instance: AgentVersion) -> dict[str, Any]:
        return granted_tools(instance)


@extend_schema_field({"oneOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": "^agv_[0-9a-z]{26}$"}]})
class VersionNameField(serializers.CharField):
    """A version's number or id."""


class PublishedVersionSerializer(StrictSerializer):
    """The version calls get."""

    id = PublicIdField(AgentVersion.public_prefix, source="pk")
    number = serializers.IntegerField()
    published_at = serializers.DateTimeField()


class DraftSummarySerializer(StrictSerializer):
    """That there is a draft."""

    number = serializers.IntegerField(help_text="The number it will be published as.")
    updated_at = serializers.DateTimeField()


class AgentSerializer(StrictSerializer):
    """Someone a caller can talk to."""

    id = PublicIdField(Agent.public_prefix, source="pk", read_only=True)
    name = serializers.CharField(max_length=NAME_MAX, help_text="As callers and staff know it; unique, also among archived ones.")
    description = serializers.CharField(max_length=DESCRIPTION_MAX, allow_blank=True, default="", help_text="For your team.")
    metadata = MetadataField(default=dict, help_text="Up to 50 texts of your own; what is sent replaces all of them.")
    published_version = PublishedVersionSerializer(
        read_only=True, allow_null=True, help_text="The version calls get; null before the first is published."
    )
    draft = serializers.SerializerMethodField(help_text="What is being changed; null when there is nothing to publish.")
    archived_at = serializers.DateTimeField(read_only=True, allow_null=True)
    created_at = serializers.DateTimeField(read_only=True)

    @extend_schema_field(DraftSummarySerializer(allow_null=True))
    def get_draft(self, agent: Agent) -> dict[str, Any] | None:
        drafts: list[AgentVersion] = agent.open_drafts  # type: ignore[attr-defined]
        return DraftSummarySerializer(drafts[0]).data if drafts else None


class NewAgentSerializer(StrictSerializer):
    """An agent and its first draft."""

    name = serializers.CharField(max_length=NAME_MAX)
    description = serializers.CharField(max_length=DESCRIPTION_MAX, allow_blank=True, default="")
    metadata = MetadataField(default=dict)
    settings = SettingsField(default=dict, help_text="Of the first draft; what is left out gets its default.")
    tools = ToolsField(required=False, help_text="Of the first draft; without it the agent may only end the call.")


class DuplicateSerializer(StrictSerializer):
    """What the copy is called."""

    name = serializers.CharField(
        max_length=NAME_MAX, default="", allow_blank=True, help_text="Empty: the old name with “(copy)” after it."
    )


class DraftSerializer(StrictSerializer):
    """What the agent will say and do once it is published."""

    id = PublicIdField(AgentVersion.public_prefix, source="pk", read_only=True)
    number = serializers.IntegerField(read_only=True, help_text="The number it will be published as.")
    settings = SettingsField(help_text="What is left out gets its default. GET /settings_schema has fields and ranges.")
    tools = ToolsField(help_text="Key → configuration of every tool it may use. GET /tools has the keys and schemas.")
    note = serializers.CharField(max_length=NOTE_MAX, allow_blank=True, default="", help_text="What changed.")
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)


class StartDraftSerializer(StrictSerializer):
    """What the draft begins as."""

    version = VersionNameField(required=False, help_text="The version to copy, by number or id; without it the published one.")


class VersionSummarySerializer(StrictSerializer):
    """A version without its settings."""

    id = PublicIdField(AgentVersion.public_prefix, source="pk")
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=AgentVersion.State.values)
    note = serializers.CharField(help_text="What changed.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    published_at = serializers.DateTimeField(allow_null=True)


class VersionSerializer(VersionSummarySerializer):
    """Everything an agent says and does, at one number."""

    settings = SettingsField()
    tools = ToolsField()


class PublishSerializer(StrictSerializer):
    """What is said about the version."""

    note = serializers.CharField(
        max_length=NOTE_MAX, allow_blank=True, required=False, help_text="What changed; without it the draft's note stays."
    )


class RollBackSerializer(StrictSerializer):
    """Where to go."""

    version = VersionNameField(help_text="A published version, by number or id.")


class ComparedVersionSerializer(StrictSerializer):
    """One side of a comparison."""

    id = PublicIdField(AgentVersion.public_prefix, source="pk")
    number = serializers.IntegerField()
    state = serializers.ChoiceField(choices=AgentVersion.State.values)


def _with_from_and_to(name: str, value: Callable[[], serializers.Field], **fields: serializers.Field) -> type[StrictSerializer]:
    """`from` is a word of Python, so no class body can declare it."""
    made: type[StrictSerializer] = type(name, (StrictSerializer,), {**fields, "from": value(), "to": value()})
    return made


ChangedSettingSerializer = _with_from_and_to(
    "ChangedSettingSerializer",
    lambda: serializers.JSONField(allow_null=True, help_text="Null where the version lacks the field."),
    field=serializers.CharField(help_text="Dotted, e.g. brain.temperature."),
)
ChangedToolSerializer = _with_from_and_to("ChangedToolSerializer", serializers.JSONField, key=serializers.CharField())


class ChangedToolsSerializer(StrictSerializer):
    """Keys of tools that one side lacks, and what differs in the others."""

    added = serializers.ListField(child=serializers.CharField())
    removed = serializers.ListField(child=serializers.CharField())
    changed = ChangedToolSerializer(many=True, help_text="Tools of both whose configuration differs.")


AgentDiffSerializer = _with_from_and_to(
    "AgentDiffSerializer",
    ComparedVersionSerializer,
    settings=ChangedSettingSerializer(many=True),
    tools=ChangedToolsSerializer(),
)


class EntrySerializer(StrictSerializer):
    """Something to choose."""

    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]


class AvailableEntrySerializer(EntrySerializer):
    """Something that needs settings of this installation."""

    available = serializers.BooleanField(help_text="Whether this installation can run it.")
    missing = serializers.ListField(child=serializers.CharField(), help_text="The settings it lacks to run it.")


class VoiceSerializer(AvailableEntrySerializer):
    """A voice of a provider."""

    provider = serializers.CharField(help_text="For speaking.provider; the id is for speaking.voice.")


class ModelSerializer(EntrySerializer):
    """A model of a provider."""


class ProviderSerializer(AvailableEntrySerializer):
    """One vendor of one stage of a conversation."""

    stage = serializers.ChoiceField(choices=list(SECTIONS), help_text="Language model, speech to text or text to speech.")
    section = serializers.CharField(help_text="The section of the settings that chooses it.")
    models = ModelSerializer(many=True)
    languages = serializers.ListField(child=serializers.CharField(), help_text="Empty for any.")
    voice_pattern = serializers.CharField(help_text="Voices that match it pass besides those of GET /voices; empty for none.")
    voice_example = serializers.CharField()


class ToolSerializer(StrictSerializer):
    """Something an agent may be allowed to do."""

    key = serializers.CharField()
    title = serializers.CharField()
    description = serializers.CharField(help_text="What the language model is told.")
    risk = serializers.ChoiceField(choices=get_args(Risk))
    feature_key = serializers.CharField(allow_null=True, help_text="The feature it needs, as in GET /features; null for none.")
    enabled = serializers.BooleanField(help_text="Whether your agents may use it now.")
    parameters_schema = serializers.DictField(help_text="JSON Schema of what the language model fills in.")
    config_schema = serializers.DictField(help_text="JSON Schema of its configuration in `tools`.")
