from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voiceplatform.lib.ids import InvalidIdError, from_public_id, to_public_id, uuid7


@given(st.uuids())
def test_public_ids_lead_back_to_the_id(value: UUID) -> None:
    public = to_public_id("call", value)
    found = from_public_id("call", public)
    assert found == value
    assert type(found) is UUID
    assert public.startswith("call_")


@given(st.text())
@example("call_")
@example("call_8zzzzzzzzzzzzzzzzzzzzzzzzz")
@example("call_01M85WBWBDEGE86MZCWH6PBDFF")
@example(to_public_id("agt", uuid7()))
@example("_01m85wbwbdege86mzcwh6pbdff")
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidIdError):
        from_public_id("call", text)


def test_new_ids_are_sorted_by_time() -> None:
    made = [uuid7() for _ in range(1000)]
    assert made == sorted(made)
    assert {value.version for value in made} == {7}
