"""Secrets that are stored encrypted, each bound to the place it is stored at.

`FIELD_ENCRYPTION_KEYS` has the keys: the first encrypts, all of them decrypt.
"""

import hmac
import json
from collections.abc import Mapping
from functools import cache
from typing import Any, Final, NoReturn

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

Place = Mapping[str, str]
_VALUE: Final = "value"


class SecretError(Exception):
    """A stored secret cannot be read."""


class WrongKeyError(SecretError):
    """None of the keys decrypts it, or it is damaged."""


class MisplacedSecretError(SecretError):
    """It was encrypted for another row, field or tenant."""


class Secret:
    """A text that is told by `reveal()` alone: printing, formatting, logging and JSON do not show it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self.reveal().encode(), other.reveal().encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied or pickled")


class SealedSecret(Secret):
    """A secret as it is stored. `reveal()` raises WrongKeyError or MisplacedSecretError."""

    __slots__ = ("_place", "token")

    def __init__(self, token: str, place: Place) -> None:
        super().__init__("")
        self.token = token
        self._place = dict(place)

    def reveal(self) -> str:
        return unseal(self.token, self._place)


def seal(text: str, place: Place) -> str:
    """Encrypt a text for the place it is stored at. Raises ImproperlyConfigured without keys."""
    envelope = json.dumps({**place, _VALUE: text}, separators=(",", ":"))
    return _keys().encrypt(envelope.encode()).decode()


def unseal(token: str, place: Place) -> str:
    """What was sealed for this place. Raises WrongKeyError and MisplacedSecretError."""
    try:
        envelope: dict[str, Any] = json.loads(_keys().decrypt(token))
    except InvalidToken as error:
        raise WrongKeyError("none of FIELD_ENCRYPTION_KEYS decrypts this secret") from error
    text = envelope.pop(_VALUE, None)
    if envelope != dict(place) or not isinstance(text, str):
        raise MisplacedSecretError(f"this secret was not stored for {place}")
    return text


def reseal(token: str) -> str:
    """The same envelope under the first key. Raises WrongKeyError."""
    try:
        return _keys().rotate(token).decode()
    except InvalidToken as error:
        raise WrongKeyError("none of FIELD_ENCRYPTION_KEYS decrypts this secret") from error


def is_current(token: str) -> bool:
    """Whether the first key encrypted it."""
    _keys()
    try:
        _fernet(tuple(settings.FIELD_ENCRYPTION_KEYS[:1])).decrypt(token)
    except InvalidToken:
        return False
    return True


def check_keys() -> None:
    """Raises ImproperlyConfigured when there is no key, or one that is none."""
    _keys()


def _keys() -> MultiFernet:
    keys = tuple(settings.FIELD_ENCRYPTION_KEYS)
    if not keys:
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS is not set. Example: FIELD_ENCRYPTION_KEYS=<32 random bytes in base64>")
    return _fernet(keys)


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key + "=" * (-len(key) % 4)) for key in keys])
    except ValueError as error:
        raise ImproperlyConfigured("FIELD_ENCRYPTION_KEYS: each key is 32 random bytes in URL-safe base64.") from error
