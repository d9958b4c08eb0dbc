from calls.models.call import Call, CallQuerySet
from calls.models.command import CallCommand
from calls.models.event import CallEvent
from calls.models.host import SweepRun, WorkerHost
from calls.models.lead import Consent, Lead
from calls.models.message import Message
from calls.models.recording import Recording
from calls.models.snapshot import ConfigSnapshot
from calls.models.suppression import Suppression
from calls.models.tool_call import ToolCall
from calls.models.turn import Turn
from calls.models.window import CallingWindow

__all__ = [
    "Call",
    "CallCommand",
    "CallEvent",
    "CallQuerySet",
    "CallingWindow",
    "ConfigSnapshot",
    "Consent",
    "Lead",
    "Message",
    "Recording",
    "Suppression",
    "SweepRun",
    "ToolCall",
    "Turn",
    "WorkerHost",
]
