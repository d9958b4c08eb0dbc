"""Vonage's numbers over the wire: what is told, what is refused, and what may have happened all the same."""

from typing import Any

import pytest

from integrations.vonage import Callbacks, Trouble, VonageClient, VonageError, vonage_client
from tests.fakes.vonage_server import KEY, SECRET, VonageServer
from voiceplatform.lib.outbound_http import OutboundClient
from voiceplatform.lib.secrets import Secret

PHONE, MSISDN = "+12125550123", "12125550123"


@pytest.fixture
def client(vonage: VonageServer) -> VonageClient:
    return vonage_client(api_key=KEY, api_secret=Secret(SECRET))


def caught(act: Any, *args: Any) -> VonageError:
    with pytest.raises(VonageError) as error:
        act(*args)
    return error.value


def test_an_account_without_numbers_has_none(client: VonageClient) -> None:
    assert (client.owned().count, client.owned().numbers) == (0, ())
    assert client.find_owned(PHONE) is None


def test_numbers_are_bought_found_changed_and_given_back(client: VonageClient, vonage: VonageServer) -> None:
    vonage.offer(MSISDN, f"{MSISDN}4")
    offered = client.find_available(PHONE, "US")
    assert offered is not None
    assert (offered.phone, offered.type, offered.features, offered.monthly_cost) == (PHONE, "landline", ("sms", "voice"), "0.90")
    client.buy(PHONE, "US")
    vonage.give(f"{MSISDN}5")
    owned = client.find_owned(PHONE)
    assert owned is not None
    assert (owned.phone, owned.country, owned.callbacks) == (PHONE, "US", Callbacks())
    assert client.find_available(PHONE, "US") is None
    callbacks = Callbacks(
        voice_type="sip", voice_value="sip:x@example.com;transport=tcp", sms_url="https://example.com/sms?a=b&c"
    )
    client.update(PHONE, "US", callbacks)
    changed = client.find_owned(PHONE)
    assert changed is not None
    assert changed.callbacks == callbacks
    client.update(PHONE, "US", Callbacks())
    assert client.find_owned(PHONE) == owned
    client.cancel(PHONE, "US")
    assert client.find_owned(PHONE) is None
    assert {value for _, values in vonage.requests for value in values.values() if "+" in value} == set()


def test_numbers_come_in_pages(client: VonageClient, vonage: VonageServer) -> None:
    for number in range(7):
        vonage.give(f"1212555010{number}")
    pages = [client.owned(page=page, size=3) for page in (1, 2, 3, 4)]
    assert [len(page.numbers) for page in pages] == [3, 3, 1, 0]
    assert [page.count for page in pages[:3]] == [7, 7, 7]
    assert len({number.phone for page in pages for number in page.numbers}) == 7


def test_what_is_searched_for_is_asked_in_vonage_s_words(client: VonageClient, vonage: VonageServer) -> None:
    vonage.offer("18005550123", type="landline-toll-free")
    vonage.offer(MSISDN)
    found = client.available(country="US", type="toll_free", pattern="0123", match="ends", features=["voice"])
    assert [(number.phone, number.type) for number in found.numbers] == [("+18005550123", "toll_free")]
    asked = {"type": "landline-toll-free", "pattern": "0123", "search_pattern": "2", "features": "VOICE", "index": "1"}
    assert asked.items() <= vonage.asked("/number/search")[0].items()
    assert client.available(country="US", features=["mms"]).numbers == ()


@pytest.mark.parametrize(
    ("status", "body", "trouble", "permanent", "says"),
    [
        (401, b'{"error-code": "401"}', Trouble.CREDENTIALS, True, "API key and secret"),
        (200, b'{"error-code": "401"}', Trouble.CREDENTIALS, True, "API key and secret"),
        (420, b'{"error-code": "420", "error-code-label": "method failed"}', Trouble.REFUSED, True, "balance may be too low"),
        (200, b'{"error-code": "420", "error-code-label": "method failed"}', Trouble.REFUSED, True, "somebody else"),
        (420, b'{"error-code-label": "require a valid local address"}', Trouble.ADDRESS, True, "need an address"),
        (420, b'{"error-code-label": "Insufficient balance"}', Trouble.BALANCE, True, "Top it up"),
        (402, b"", Trouble.BALANCE, True, "Top it up"),
        (420, b'{"error-code-label": "number already owned"}', Trouble.NUMBER, True, "Choose another"),
        (400, b'{"country": "Is required."}', Trouble.REFUSED, True, "country: Is required"),
        (404, b"<html>", Trouble.REFUSED, True, "without a reason"),
        (503, b"<html>", Trouble.UNAVAILABLE, False, "out of order"),
        (200, b"<html>", Trouble.UNAVAILABLE, False, "not understood"),
        (200, b"[]", Trouble.UNAVAILABLE, False, "not understood"),
        (302, b"{}", Trouble.REFUSED, True, "302"),
    ],
)
def test_refusals_name_the_fix(
    client: VonageClient, vonage: VonageServer, status: int, body: bytes, trouble: Trouble, permanent: bool, says: str
) -> None:
    vonage.offer(MSISDN)
    vonage.answers = [(status, {}, body)]
    error = caught(client.buy, PHONE, "US")
    assert (error.trouble, error.permanent) == (trouble, permanent)
    assert says in str(error)
    assert error.is_uncertain == (trouble == Trouble.UNAVAILABLE)
    assert len(vonage.asked("/number/buy")) == 1


@pytest.mark.parametrize(("header", "waits"), [("7", 7), ("", 1), ("Thu, 26 Nov 2026 00:00:00 GMT", 1), ("99999", 3600)])
def test_a_busy_account_says_when_to_ask_again(client: VonageClient, vonage: VonageServer, header: str, waits: int) -> None:
    vonage.answers = [(429, {"Retry-After": header}, b"")]
    error = caught(client.owned)
    assert (error.trouble, error.permanent, error.retry_after) == (Trouble.THROTTLED, False, waits)


@pytest.mark.parametrize("body", [b'{"count": "x"}', b'{"numbers": [{}]}', b'{"numbers": 1}', b'{"numbers": [1]}'])
def test_numbers_that_make_no_sense_are_no_numbers(client: VonageClient, vonage: VonageServer, body: bytes) -> None:
    vonage.answers = [(200, {}, body)]
    assert "not understood" in str(caught(client.owned))


def test_a_wrong_secret_is_told_and_shown_nowhere(vonage: VonageServer) -> None:
    client = vonage_client(api_key=KEY, api_secret=Secret("wrong-secret"))
    error = caught(client.owned)
    assert error.trouble == Trouble.CREDENTIALS
    assert "wrong-secret" not in f"{error} {client!r}"
    assert error.is_about_the_account


@pytest.mark.parametrize(("key", "secret"), [("", Secret("x")), (KEY, None)])
def test_an_account_without_credentials_is_not_asked_for(vonage: VonageServer, key: str, secret: Secret | None) -> None:
    with pytest.raises(VonageError, match="Enter both"):
        vonage_client(api_key=key, api_secret=secret)


def test_after_a_broken_connection_the_number_may_be_ours(client: VonageClient, vonage: VonageServer) -> None:
    vonage.offer(MSISDN)
    vonage.hangs_up_after = "/number/buy"
    error = caught(client.buy, PHONE, "US")
    assert (error.trouble, error.is_uncertain, error.permanent) == (Trouble.UNAVAILABLE, True, False)
    assert client.find_owned(PHONE) is not None
    assert len(vonage.asked("/number/buy")) == 1


def test_nothing_is_waited_for_longer_than_the_deadline(vonage: VonageServer) -> None:
    vonage.stalls_after, vonage.stall_s = "/account/numbers", 2.0
    http = OutboundClient(allow_loopback=True, deadline_s=0.3)
    error = caught(VonageClient(KEY, Secret(SECRET), vonage.url, http).owned)
    assert (error.trouble, error.is_uncertain) == (Trouble.UNAVAILABLE, False)
    assert "in time" in str(error)
