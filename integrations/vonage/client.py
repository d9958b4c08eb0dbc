"""The requests themselves. None is sent twice: whoever asks for something that costs money looks before asking again."""

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

from django.conf import settings

from integrations.vonage import errors
from integrations.vonage.shapes import (
    MATCHES,
    TYPES,
    AvailableNumber,
    AvailablePage,
    Callbacks,
    OwnedNumber,
    OwnedPage,
)
from voiceplatform.lib.outbound_http import Answer, OutboundClient, OutboundError
from voiceplatform.lib.secrets import Secret

# A page of so many is well below the largest answer that is read.
LARGEST_PAGE: Final = 50
DEADLINE_S: Final = 10.0
_SUCCESS: Final = "200"
Shape = TypeVar("Shape", OwnedNumber, AvailableNumber)


@dataclass(frozen=True, slots=True)
class VonageClient:
    """One account. All methods raise VonageError; `phone` is E.164, `country` an ISO code."""

    api_key: str
    api_secret: Secret
    base_url: str
    # The address is the installation's own, so it may be a server on this machine.
    http: OutboundClient = field(default_factory=lambda: OutboundClient(allow_loopback=True, deadline_s=DEADLINE_S))

    def owned(self, *, pattern: str = "", match: str = "starts", page: int = 1, size: int = LARGEST_PAGE) -> OwnedPage:
        """One page of the account's numbers; `page` begins at 1."""
        told = self._get("/account/numbers", **_search(pattern, match), size=size, index=page)
        return OwnedPage(*_numbers(told, OwnedNumber))

    def find_owned(self, phone: str) -> OwnedNumber | None:
        """The account's own number, or None when it has no such."""
        page = self.owned(pattern=_msisdn(phone), size=10)
        return next((number for number in page.numbers if number.phone == phone), None)

    def available(
        self,
        *,
        country: str,
        type: str = "",
        pattern: str = "",
        match: str = "starts",
        features: Iterable[str] = (),
        page: int = 1,
        size: int = LARGEST_PAGE,
    ) -> AvailablePage:
        """One page of numbers that could be bought now. `type` is one of TYPES, `match` of MATCHES, `features` of FEATURES."""
        asked = {"country": country, **_search(pattern, match), "size": size, "index": page}
        if type:
            asked["type"] = TYPES[type]
        if wanted := [feature.upper() for feature in features]:
            asked["features"] = ",".join(wanted)
        return AvailablePage(*_numbers(self._get("/number/search", **asked), AvailableNumber))

    def find_available(self, phone: str, country: str) -> AvailableNumber | None:
        page = self.available(country=country, pattern=_msisdn(phone), size=10)
        return next((number for number in page.numbers if number.phone == phone), None)

    def buy(self, phone: str, country: str) -> None:
        """Costs money. After an error that `is_uncertain` the number may have been bought."""
        self._post("/number/buy", {"country": country, "msisdn": _msisdn(phone)})

    def cancel(self, phone: str, country: str) -> None:
        """Give the number back; nobody can promise that it is to be had again."""
        self._post("/number/cancel", {"country": country, "msisdn": _msisdn(phone)})

    def update(self, phone: str, country: str, callbacks: Callbacks) -> None:
        """Replace where what arrives for the number goes."""
        self._post("/number/update", {"country": country, "msisdn": _msisdn(phone), **callbacks.to_wire()})

    def _get(self, path: str, **query: Any) -> Mapping[str, Any]:
        return self._ask("GET", f"{path}?{urlencode(query)}", None)

    def _post(self, path: str, form: Mapping[str, str]) -> None:
        told = self._ask("POST", path, urlencode(form).encode())
        if str(told.get("error-code", "")) != _SUCCESS:
            raise errors.unreadable(changes=True)

    def _ask(self, method: str, path: str, body: bytes | None) -> Mapping[str, Any]:
        pair = f"{self.api_key}:{self.api_secret.reveal()}".encode()
        headers = {"Authorization": f"Basic {b64encode(pair).decode()}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            answer = self.http.request(method, self.base_url.rstrip("/") + path, body=body, headers=headers)
        except OutboundError as error:
            raise errors.unreachable(str(error), changes=body is not None) from error
        return _read(answer, changes=body is not None)


def vonage_client(*, api_key: str, api_secret: Secret | None) -> VonageClient:
    """A client for an account, at the address the settings name. Raises VonageError when either is missing."""
    if not api_key or api_secret is None:
        raise errors.no_credentials()
    return VonageClient(api_key=api_key, api_secret=api_secret, base_url=settings.VONAGE_BASE_URL)


def _read(answer: Answer, *, changes: bool) -> Mapping[str, Any]:
    """What an answer tells; a refusal may come with the status 200."""
    told = _json(answer.body)
    code = str((told or {}).get("error-code", _SUCCESS))
    if answer.status != 200 or code != _SUCCESS:
        status = int(code) if answer.status == 200 and code.isdecimal() else answer.status
        raise errors.refusal(code=status, label=_label(told), retry_after=answer.retry_after, changes=changes)
    if told is None:
        raise errors.unreadable(changes=changes)
    return told


def _json(body: bytes) -> Mapping[str, Any] | None:
    try:
        told = json.loads(body)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None


def _label(told: Mapping[str, Any] | None) -> str:
    """The reason, which is under a name of its own, or beside the field at fault."""
    if told is None:
        return ""
    label = told.get("error-code-label") or told.get("error_title")
    return str(label or ", ".join(f"{name}: {text}" for name, text in told.items() if isinstance(text, str)))


def _numbers(told: Mapping[str, Any], shape: type[Shape]) -> tuple[int, tuple[Shape, ...]]:
    """Where there are none, Vonage tells nothing at all."""
    try:
        return int(told.get("count", 0)), tuple(shape.from_wire(number) for number in told.get("numbers", ()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise errors.unreadable(changes=False) from error


def _search(pattern: str, match: str) -> dict[str, Any]:
    return {"pattern": pattern, "search_pattern": MATCHES[match]} if pattern else {}


def _msisdn(phone: str) -> str:
    return phone.removeprefix("+")
