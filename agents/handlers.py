"""What customers are told of this app's news."""

from uuid import UUID

from agents.models import Agent, AgentVersion
from tenants.outbox import Event, Payload, payload_builder
from voiceplatform.lib.ids import to_public_id


@payload_builder("agent.published", event_type="agent.published")
def agent_published(event: Event) -> Payload | None:
    agent = Agent.objects.filter(pk=event.object_id).first()
    if agent is None:
        return None
    version_id = to_public_id(AgentVersion.public_prefix, UUID(event.data["version_id"]))
    data = {"id": agent.public_id, "name": agent.name, "version_id": version_id, "version": event.data["number"]}
    return Payload(data=data)
