"""Secrets stay where they were put, under keys that can be changed, and are not shown by accident."""

import json
import pickle
import secrets as random
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from voiceplatform.lib.secrets import MisplacedSecretError, SealedSecret, Secret, WrongKeyError, reseal, seal, unseal

PLACE = {"tenant": "t1", "model": "m", "pk": "1", "field": "secret"}


def new_key() -> str:
    return random.token_urlsafe(32)


@pytest.fixture(autouse=True)
def keys(settings: Any) -> list[str]:
    settings.FIELD_ENCRYPTION_KEYS = [new_key()]
    return settings.FIELD_ENCRYPTION_KEYS


@pytest.mark.parametrize("text", ["", "whsec_x", "ü\u2028\x00"])
def test_what_was_sealed_is_read_where_it_was_sealed(text: str) -> None:
    token = seal(text, PLACE)
    assert text == "" or text not in token
    assert unseal(token, PLACE) == text
    assert SealedSecret(token, PLACE).reveal() == text
    assert seal(text, PLACE) != token


@pytest.mark.parametrize("part", PLACE)
def test_another_place_is_refused(part: str) -> None:
    token = seal("hush", PLACE)
    with pytest.raises(MisplacedSecretError):
        unseal(token, {**PLACE, part: "other"})


def test_keys_are_rotated_in_steps(settings: Any, keys: list[str]) -> None:
    token, new = seal("hush", PLACE), new_key()
    settings.FIELD_ENCRYPTION_KEYS = [new, *keys]
    assert unseal(token, PLACE) == "hush"
    renewed = reseal(token)
    settings.FIELD_ENCRYPTION_KEYS = [new]
    assert unseal(renewed, PLACE) == "hush"
    with pytest.raises(WrongKeyError):
        unseal(token, PLACE)


def test_a_damaged_token_is_refused() -> None:
    token = seal("hush", PLACE)
    for damaged in ("", "x", token[:-2], token[:40] + "AAAA" + token[44:]):
        with pytest.raises(WrongKeyError):
            unseal(damaged, PLACE)


@pytest.mark.parametrize("wrong", [[], ["short"], ["not base64 at all!"]])
def test_keys_that_cannot_be_used_are_named(settings: Any, wrong: list[str]) -> None:
    settings.FIELD_ENCRYPTION_KEYS = wrong
    with pytest.raises(ImproperlyConfigured, match="FIELD_ENCRYPTION_KEYS"):
        seal("hush", PLACE)


def test_a_secret_is_not_shown() -> None:
    for secret in (Secret("hush"), SealedSecret(seal("hush", PLACE), PLACE)):
        assert "hush" not in f"{secret} {secret!r} {secret!s} {[secret]} {vars(type(secret))}"
        with pytest.raises(TypeError):
            json.dumps(secret)
        with pytest.raises(TypeError):
            pickle.dumps(secret)
    assert Secret("hush") == SealedSecret(seal("hush", PLACE), PLACE)
    assert Secret("hush") != "hush"
