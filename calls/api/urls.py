from rest_framework.routers import SimpleRouter

from calls.api.actions import CallActionViewSet
from calls.api.carriers import CarrierAccountViewSet, CarrierNumberViewSet
from calls.api.chats import AgentChatViewSet, ChatMessageViewSet
from calls.api.kept import MessageViewSet, RecordingViewSet
from calls.api.numbers import NumberViewSet
from calls.api.targets import TransferTargetViewSet
from calls.api.trunks import CarrierViewSet, TrunkViewSet
from calls.api.usage import UsageViewSet
from calls.api.views import CallViewSet


def register(router: SimpleRouter) -> None:
    router.register("calls", CallViewSet, basename="call")
    router.register("agents", AgentChatViewSet, basename="agent_chat")
    router.register("calls", ChatMessageViewSet, basename="call_message")
    router.register("calls", CallActionViewSet, basename="call_action")
    router.register("messages", MessageViewSet, basename="message")
    router.register("recordings", RecordingViewSet, basename="recording")
    router.register("carrier_accounts", CarrierAccountViewSet, basename="carrier_account")
    router.register("carrier_accounts", CarrierNumberViewSet, basename="carrier_number")
    router.register("usage", UsageViewSet, basename="usage")
    router.register("carriers", CarrierViewSet, basename="carrier")
    router.register("trunks", TrunkViewSet, basename="trunk")
    router.register("numbers", NumberViewSet, basename="number")
    router.register("transfer_targets", TransferTargetViewSet, basename="transfer_target")
