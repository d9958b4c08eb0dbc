from calls.models.call import Call, CallQuerySet
from calls.models.command import CallCommand
from calls.models.event import CallEvent
from calls.models.host import SweepRun, WorkerHost
from calls.models.lead import Consent, Lead
from calls.models.leg import Leg, LineSlot
from calls.models.message import Message
from calls.models.number import PhoneNumber
from calls.models.provider import ProviderEvent
from calls.models.recording import Recording
from calls.models.snapshot import ConfigSnapshot
from calls.models.stream import CallStream
from calls.models.supervision import Supervision
from calls.models.suppression import Suppression
from calls.models.tool_call import ToolCall
from calls.models.trunk import CarrierAccount, SipTrunk, TrunkGrant, TrunkPace
from calls.models.turn import Turn
from calls.models.window import CallingWindow

__all__ = [
    "Call",
    "CallCommand",
    "CallEvent",
    "CallQuerySet",
    "CallStream",
    "CallingWindow",
    "CarrierAccount",
    "ConfigSnapshot",
    "Consent",
    "Lead",
    "Leg",
    "LineSlot",
    "Message",
    "PhoneNumber",
    "ProviderEvent",
    "Recording",
    "SipTrunk",
    "Supervision",
    "Suppression",
    "SweepRun",
    "ToolCall",
    "TrunkGrant",
    "TrunkPace",
    "Turn",
    "WorkerHost",
]
