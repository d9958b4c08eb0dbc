"""Numbers at the carrier: what is bought once, what is refused, and what is put back as it was."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import connection, connections

from calls.errors import (
    CarrierNotManagedError,
    InboundNotConfiguredError,
    InUseError,
    NotOwnedError,
    NotRoutedError,
    NumberTakenError,
)
from calls.models import CarrierAccount, PhoneNumber, TrunkGrant
from calls.services import carrier_numbers, numbers, trunks
from calls.testing import make_account, make_number, make_trunk
from integrations.vonage import VonageError
from tenants.models import AuditEvent, Tenant
from tenants.scope import tenant_scope
from tests.fakes.vonage_server import KEY, VonageServer

PHONE, MSISDN = "+12125550123", "12125550123"
HERE = f"sip:{MSISDN}@example.sip.livekit.cloud;transport=tcp"
CHANGING = ("/number/buy", "/number/cancel", "/number/update")
SMS, FORMER = "https://example.com/sms", "4930901820"
BEFORE = {"app_id": "app-1", "moHttpUrl": SMS, "voiceCallbackType": "tel", "voiceCallbackValue": FORMER}


@pytest.fixture
def foreign(other_tenant: Tenant) -> TrunkGrant:
    """Another tenant's grant, over which +12125550188 routes. Named before what enters the test's scope."""
    with tenant_scope(other_tenant):
        number = make_number(phone="+12125550188")
        grant: TrunkGrant = number.grant
        return grant


@pytest.fixture
def account(scope: Tenant) -> CarrierAccount:
    return make_account()


@pytest.fixture
def grant(scope: Tenant) -> TrunkGrant:
    found: TrunkGrant = make_trunk().grants.get()
    return found


def changes(vonage: VonageServer) -> list[str]:
    return [path for path, _ in vonage.requests if path in CHANGING]


def actions() -> list[str]:
    return list(
        AuditEvent.objects.filter(action__regex="^(number|carrier_account)").order_by("id").values_list("action", flat=True)
    )


def state() -> list[Any]:
    """What a dry run must leave as it is."""
    return [*PhoneNumber.objects.order_by("pk").values(), *actions()]


def test_a_number_is_bought_added_and_not_bought_again(account: CarrierAccount, grant: TrunkGrant, vonage: VonageServer) -> None:
    vonage.offer(MSISDN)
    done = carrier_numbers.buy(account=account, phone=PHONE, grant=grant, label="Main line", reason="asked for")
    assert done.row is not None
    assert (done.row.phone, done.row.label, done.row.grant) == (PHONE, "Main line", grant)
    assert done.steps == (f"Buy {PHONE} with {account}.", f"Add {PHONE} over {grant.trunk}.")
    again = carrier_numbers.buy(account=account, phone=PHONE, grant=grant)
    assert again.row == done.row
    assert again.steps == (f"{PHONE} belongs to {account} already.", f"{PHONE} is among the numbers here already.")
    assert vonage.asked("/number/buy") == [{"country": "US", "msisdn": MSISDN}]
    assert PhoneNumber.objects.count() == 1
    bought = AuditEvent.objects.filter(action="number.bought").order_by("id")
    assert [(event.target_id, event.data["was_owned"]) for event in bought] == [(done.row.pk, False), (done.row.pk, True)]
    assert actions() == ["carrier_account.created", "carrier_account.buys", "number.added", "number.bought", "number.bought"]


def test_a_dry_run_says_what_it_would_do(account: CarrierAccount, grant: TrunkGrant, vonage: VonageServer) -> None:
    vonage.offer(MSISDN)
    before = state()
    told = carrier_numbers.buy(account=account, phone=PHONE, grant=grant, dry_run=True)
    assert (told.dry_run, told.row, told.steps[0]) == (True, None, f"Buy {PHONE} with {account} for 0.90 EUR a month.")
    with pytest.raises(VonageError, match="does not offer"):
        carrier_numbers.buy(account=account, phone="+12125550124", grant=grant, dry_run=True)
    number = make_number(phone="+12125550188")
    vonage.give("12125550188", **BEFORE)
    during = state()
    for act, options in (("link", {}), ("unlink", {}), ("release", {"also_here": True})):
        assert getattr(carrier_numbers, act)(account=account, phone=number.phone, dry_run=True, **options).steps
    assert (before, during) == (before, state())
    assert changes(vonage) == []


def test_a_number_bought_over_a_connection_that_broke_is_not_bought_twice(
    account: CarrierAccount, grant: TrunkGrant, vonage: VonageServer
) -> None:
    vonage.offer(MSISDN)
    vonage.hangs_up_after = "/number/buy"
    assert carrier_numbers.buy(account=account, phone=PHONE, grant=grant).row == PhoneNumber.objects.get()
    assert changes(vonage) == ["/number/buy"]


def test_a_purchase_whose_end_is_not_known_is_settled_by_asking_again(
    account: CarrierAccount, grant: TrunkGrant, vonage: VonageServer
) -> None:
    vonage.offer(MSISDN)

    def out_of_order(path: str) -> None:
        if path == "/number/buy":
            vonage.answers = [(502, {}, b""), (502, {}, b"")]

    vonage.before = out_of_order
    with pytest.raises(VonageError, match="is not known"):
        carrier_numbers.buy(account=account, phone=PHONE, grant=grant)
    assert not PhoneNumber.objects.exists()
    assert "carrier_account.buys" in actions()
    account.refresh_from_db()
    assert "out of order" in account.check_error
    vonage.before = lambda path: None
    assert carrier_numbers.buy(account=account, phone=PHONE, grant=grant).row == PhoneNumber.objects.get()
    account.refresh_from_db()
    assert account.check_error == ""


@pytest.mark.parametrize(
    ("prepare", "says"),
    [
        (lambda vonage: None, "somebody else has the number"),
        (lambda vonage: vonage.offer(MSISDN) or setattr(vonage, "has_credit", False), "balance may be too low"),
        (lambda vonage: vonage.offer(MSISDN) or vonage.needs_address.add("US"), "need an address"),
    ],
)
def test_what_is_refused_leaves_no_number(
    account: CarrierAccount, grant: TrunkGrant, vonage: VonageServer, prepare: Callable[[VonageServer], Any], says: str
) -> None:
    prepare(vonage)
    with pytest.raises(VonageError, match=says) as caught:
        carrier_numbers.buy(account=account, phone=PHONE, grant=grant)
    assert caught.value.permanent
    assert not PhoneNumber.objects.exists()
    account.refresh_from_db()
    assert (account.checked_at is not None, account.check_error) == (True, "")


def test_nothing_is_bought_that_could_not_be_added(
    foreign: TrunkGrant, account: CarrierAccount, grant: TrunkGrant, vonage: VonageServer
) -> None:
    vonage.offer(MSISDN, "12125550188")
    with pytest.raises(NumberTakenError):
        carrier_numbers.buy(account=account, phone="+12125550188", grant=grant)
    trunks.revoke_grant(grant=grant)
    for wrong in (grant, foreign):
        with pytest.raises(ValidationError, match="no such trunk"):
            carrier_numbers.buy(account=account, phone=PHONE, grant=wrong)
    for phone, field in (("+1212", "phone"), ("+12120000000", "phone"), ("+88312345678901", "")):
        with pytest.raises(ValidationError) as caught:
            carrier_numbers.buy(account=account, phone=phone, grant=grant)
        assert field in "".join(caught.value.message_dict)
    assert vonage.requests == []


def test_toll_free_numbers_have_a_country(account: CarrierAccount, grant: TrunkGrant, vonage: VonageServer) -> None:
    vonage.offer("18005550123", "18005550124", type="landline-toll-free")
    assert carrier_numbers.buy(account=account, phone="+18005550123", grant=grant, country="US").row
    assert carrier_numbers.buy(account=account, phone="+18005550124", grant=grant).row


def test_owned_numbers_say_who_routes_them(foreign: TrunkGrant, account: CarrierAccount, vonage: VonageServer) -> None:
    row = make_number(phone=PHONE)
    vonage.give(MSISDN, voiceCallbackType="sip", voiceCallbackValue=HERE)
    vonage.give("12125550188", voiceCallbackType="sip", voiceCallbackValue="sip:1@example.sip.livekit.cloud.example.com")
    count, found = carrier_numbers.list_owned(account=account)
    assert count == 2
    assert [(each.number.phone, each.row, each.is_linked) for each in found] == [
        (PHONE, row, True),
        ("+12125550188", None, False),
    ]
    numbers.release_number(number=row)
    _, found = carrier_numbers.list_owned(account=account, pattern="0123")
    assert [each.row for each in found] == [None]


def test_available_numbers_are_searched_for(account: CarrierAccount, vonage: VonageServer) -> None:
    vonage.offer(MSISDN)
    vonage.offer("4930901820", country="DE")
    found = carrier_numbers.search(account=account, country="DE", features=["voice"])
    assert [number.phone for number in found.numbers] == ["+4930901820"]


def test_a_number_that_routes_is_not_given_back(foreign: TrunkGrant, account: CarrierAccount, vonage: VonageServer) -> None:
    make_number(phone=PHONE)
    vonage.give(MSISDN)
    vonage.give("12125550188")
    with pytest.raises(NotOwnedError):
        carrier_numbers.release(account=account, phone=make_number(phone="+12125550177").phone, also_here=True)
    assert PhoneNumber.objects.filter(released_at=None).count() == 2
    for phone, also_here, says in ((PHONE, False, "still routes here"), ("+12125550188", True, "for another account")):
        with pytest.raises(InUseError, match=says):
            carrier_numbers.release(account=account, phone=phone, also_here=also_here)
    assert changes(vonage) == []


def test_a_number_is_released_here_and_given_back(account: CarrierAccount, vonage: VonageServer) -> None:
    row = make_number(phone=PHONE)
    vonage.give(MSISDN)
    done = carrier_numbers.release(account=account, phone=PHONE, also_here=True, reason="moved")
    row.refresh_from_db()
    assert row.released_at is not None
    assert (len(done.steps), vonage.owned[KEY]) == (2, {})
    event = AuditEvent.objects.get(action="number.given_back")
    assert (event.target_id, event.reason, event.data) == (row.pk, "moved", {"account": str(account.pk)})
    again = carrier_numbers.release(account=account, phone=PHONE)
    assert "nothing to give back" in again.steps[0]
    assert len(changes(vonage)) == 1


def test_a_number_stays_here_while_the_carrier_does_not_answer(account: CarrierAccount, vonage: VonageServer) -> None:
    row = make_number(phone=PHONE)
    vonage.answers = [(503, {}, b"")]
    with pytest.raises(VonageError):
        carrier_numbers.release(account=account, phone=PHONE, also_here=True)
    row.refresh_from_db()
    assert row.released_at is None


def test_a_broken_connection_gives_a_number_back_once(account: CarrierAccount, vonage: VonageServer) -> None:
    vonage.give(MSISDN)
    vonage.hangs_up_after = "/number/cancel"
    carrier_numbers.release(account=account, phone=PHONE)
    assert changes(vonage) == ["/number/cancel"]
    assert AuditEvent.objects.get(action="number.given_back").target_id == account.pk


@pytest.mark.parametrize("before", [BEFORE, {}])
def test_unlinking_puts_back_what_was_there(account: CarrierAccount, vonage: VonageServer, before: dict[str, str]) -> None:
    row = make_number(phone=PHONE)
    vonage.give(MSISDN, **before)
    was = dict(vonage.owned[KEY][MSISDN])
    linked = carrier_numbers.link(account=account, phone=PHONE)
    now = vonage.owned[KEY][MSISDN]
    assert (now["voiceCallbackType"], now["voiceCallbackValue"]) == ("sip", HERE)
    assert now.get("moHttpUrl", "") == was["moHttpUrl"]
    assert "app_id" not in now
    assert any("application app-1" in step for step in linked.steps) == bool(before)
    assert "already" in carrier_numbers.link(account=account, phone=PHONE).steps[0]
    numbers.release_number(number=row)
    carrier_numbers.unlink(account=account, phone=PHONE)
    assert {name: value for name, value in vonage.owned[KEY][MSISDN].items() if value} == {n: v for n, v in was.items() if v}
    row.refresh_from_db()
    assert row.callbacks_before is None
    assert "stay as they are" in carrier_numbers.unlink(account=account, phone=PHONE).steps[0]
    assert changes(vonage) == ["/number/update", "/number/update"]
    assert [action for action in actions() if action.endswith("linked")] == ["number.linked", "number.unlinked"]


def test_a_number_linked_by_hand_is_unlinked(account: CarrierAccount, vonage: VonageServer) -> None:
    vonage.give(MSISDN, voiceCallbackType="sip", voiceCallbackValue=HERE, moHttpUrl=SMS)
    assert "nowhere" in carrier_numbers.unlink(account=account, phone=PHONE).steps[0]
    now = vonage.owned[KEY][MSISDN]
    assert ("voiceCallbackValue" in now, now["moHttpUrl"]) == (False, SMS)


def test_a_link_that_was_made_over_a_broken_connection_is_one(account: CarrierAccount, vonage: VonageServer) -> None:
    make_number(phone=PHONE)
    vonage.give(MSISDN, **BEFORE)
    vonage.hangs_up_after = "/number/update"
    carrier_numbers.link(account=account, phone=PHONE)
    assert PhoneNumber.objects.get().callbacks_before["voice_value"] == FORMER
    assert changes(vonage) == ["/number/update"]


def test_what_cannot_be_linked_is_told(account: CarrierAccount, vonage: VonageServer, settings: Any) -> None:
    vonage.give(MSISDN)
    with pytest.raises(NotRoutedError, match="Add it first"):
        carrier_numbers.link(account=account, phone=PHONE)
    make_number(phone="+12125550188")
    for act in (carrier_numbers.link, carrier_numbers.unlink):
        with pytest.raises(NotOwnedError):
            act(account=account, phone="+12125550188")
    settings.LIVEKIT_SIP_HOST = ""
    with pytest.raises(InboundNotConfiguredError, match="LIVEKIT_SIP_HOST"):
        carrier_numbers.link(account=account, phone="+12125550188")
    assert changes(vonage) == []


def test_the_account_says_whether_the_carrier_answers(scope: Tenant, vonage: VonageServer) -> None:
    account = make_account(api_secret="wrong")
    with pytest.raises(VonageError, match="API key and secret"):
        carrier_numbers.list_owned(account=account)
    account.refresh_from_db()
    assert (account.checked_at, "API key and secret" in account.check_error) == (None, True)
    changed = trunks.change_account(account=account, api_secret="abcdefGH12345678")
    carrier_numbers.list_owned(account=changed)
    account.refresh_from_db()
    assert (account.checked_at is not None, account.check_error) == (True, "")
    with pytest.raises(VonageError, match="Enter both"):
        carrier_numbers.list_owned(account=make_account(api_secret=None))
    with pytest.raises(CarrierNotManagedError, match="Twilio"):
        carrier_numbers.list_owned(account=make_account(carrier="twilio"))


@pytest.mark.django_db(transaction=True)
def test_the_carrier_is_asked_outside_transactions(tenant: Tenant, vonage: VonageServer) -> None:
    open_transactions = []

    def look(path: str) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
                )
                open_transactions.append(cursor.fetchone()[0])
        finally:
            connections.close_all()

    vonage.before = look
    vonage.offer(MSISDN)
    with tenant_scope(tenant):
        account, grant = make_account(), make_trunk().grants.get()
        carrier_numbers.buy(account=account, phone=PHONE, grant=grant)
        carrier_numbers.link(account=account, phone=PHONE)
        carrier_numbers.unlink(account=account, phone=PHONE)
        carrier_numbers.release(account=account, phone=PHONE, also_here=True)
    assert set(changes(vonage)) == set(CHANGING)
    assert open_transactions == [0] * len(vonage.requests)


@pytest.mark.django_db(transaction=True)
def test_many_who_buy_a_number_at_once_have_one(tenant: Tenant, vonage: VonageServer) -> None:
    vonage.offer(MSISDN)
    with tenant_scope(tenant):
        account, grant = make_account(), make_trunk().grants.get()
    together = Barrier(4)

    def meet(path: str) -> None:
        if path == "/number/buy":
            together.wait(timeout=10)

    vonage.before = meet

    def buy() -> Any:
        try:
            with tenant_scope(tenant):
                return carrier_numbers.buy(account=account, phone=PHONE, grant=grant).row
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        rows = [each.result() for each in [pool.submit(buy) for _ in range(4)]]
    with tenant_scope(tenant):
        assert rows == [PhoneNumber.objects.get()] * 4
    assert len(changes(vonage)) == 4
    assert list(vonage.owned[KEY]) == [MSISDN]
