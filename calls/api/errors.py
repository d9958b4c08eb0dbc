"""What errors about calls are to somebody who uses the API."""

from agents.api import errors as _agents  # noqa: F401 - registers what those of agents mean
from calls import errors
from voiceplatform.lib.api.problems import register

register(
    errors.CallNotPlacedError,
    status=409,
    code="call_not_placed",
    meaning="The call was refused; `detail` says why. Nothing was stored.",
)
register(
    errors.InvalidCallError,
    status=400,
    code="invalid",
    meaning="The request has fields that do not fit; `errors` names each.",
    params=lambda error: error.errors,
)
register(
    errors.CallLimitError,
    status=409,
    code="call_limit_reached",
    meaning="As many calls are waiting or running as the account may have at once. Try again when one has ended.",
)
register(
    errors.NotPublishedError,
    status=409,
    code="agent_not_published",
    meaning="The agent has no published version, or the call was to use a draft, which makes simulated calls only.",
)
register(
    errors.TelephonyNotConfiguredError,
    status=409,
    code="telephony_not_configured",
    meaning="The account has no number to call from. Nothing was stored; simulated calls work without one.",
)
register(
    errors.NoLineError,
    status=409,
    code="no_line",
    meaning="The trunk places no calls at the moment; `detail` says why. Nothing was stored.",
)
register(
    errors.WebCallsNotConfiguredError,
    status=409,
    code="web_calls_not_configured",
    meaning="The installation has no LiveKit server that browsers could call. Nothing was stored.",
)
register(errors.CallBegunError, status=409, code="call_begun", meaning="Somebody has joined the call already.")
register(errors.CallEndedError, status=409, code="call_ended", meaning="The call has ended already.")
register(errors.NotAChatError, status=409, code="not_a_chat", meaning="Messages are written into chats; this is another call.")
register(
    errors.RecordingNotStoredError,
    status=409,
    code="recording_not_stored",
    meaning="The recording is still on its way, or is lost: its `state` says which.",
)
register(
    errors.InvalidLinkError,
    status=403,
    code="link_invalid",
    meaning="The link to a recording is damaged, too old, another recording's, or its key may no longer listen.",
)
register(
    errors.NameTakenError,
    status=409,
    code="name_taken",
    meaning="There is another one with this name.",
    params=lambda error: {"name": str(error)},
)
register(
    errors.NumberTakenError,
    status=409,
    code="number_taken",
    meaning="The number routes to somebody already, of this account or another.",
    params=lambda error: {"phone": str(error)},
)
register(errors.InUseError, status=409, code="in_use", meaning="It is in use; `detail` says by what. Take it from there first.")
register(
    errors.NotForThisKindError,
    status=409,
    code="not_supported_for_kind",
    meaning="There is no such action in calls of this kind, e.g. no digits in a chat.",
)
register(errors.NotAnsweredError, status=409, code="call_not_answered", meaning="The conversation has not begun yet.")
register(
    errors.AgentGoneError,
    status=409,
    code="agent_gone",
    meaning="The caller was handed over to a person; the agent has left the call.",
)
register(
    errors.TooManyActionsError,
    status=409,
    code="too_many_actions",
    meaning="As many actions wait for the call's worker as may. Nothing was stored.",
)
register(
    errors.WarmTransferError,
    status=409,
    code="warm_transfer_unavailable",
    meaning="Only a transfer target can be told about the caller first, and in phone calls only; blind transfers are possible.",
)
register(
    errors.InvalidActionError,
    status=400,
    code="invalid",
    meaning="The request has fields that do not fit; `errors` names each.",
    params=lambda error: error.errors,
)
