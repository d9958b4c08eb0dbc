"""Who answered, told from openings that are spoken over a telephone line and recognised for real."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.opening_sounds import spoken_opening, texts
from benchmarks.openings import RELEASED_S, Answer, answer_call
from voice_worker.simulation.speech import KeptSpeech, SpeechClient
from voice_worker.tests.openings import HUMAN, IVR, VM

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.django_db(transaction=True)]


@pytest.fixture
async def kept(default_rates: None, settings: Any, tmp_path: Path) -> AsyncIterator[KeptSpeech]:
    assert settings.VP_SPEECH_URL, "run through `make test-slow`"
    settings.VP_HOME, settings.VP_SPOOL, settings.VP_FILES = tmp_path, tmp_path / "spool", tmp_path / "files"
    client = SpeechClient(settings.VP_SPEECH_URL)
    yield KeptSpeech(client, tmp_path / "spoken")
    await client.aclose()


async def answered(kept: KeptSpeech, kind: str, begins: str) -> Answer:
    """By the benchmark's first opening of this kind that begins so, in the voice it has there."""
    found = ((take, text) for take, (is_, text) in enumerate(texts("tuned")) if is_ == kind and text.startswith(begins))
    take, text = next(found)
    return await answer_call(await spoken_opening(kept, kind, text, half="tuned", take=take), number=1)


@pytest.mark.parametrize("begins", ["Yes?", "Good morning, Smith and Sons"], ids=["short", "business"])
async def test_a_person_is_released_soon_after_the_hello(kept: KeptSpeech, begins: str) -> None:
    answer = await answered(kept, HUMAN, begins)
    assert answer.taken_for == HUMAN, answer
    assert answer.released_at is not None, answer
    assert answer.hello_ended is not None, answer
    assert answer.released_at - answer.hello_ended <= RELEASED_S, answer


async def test_the_message_begins_after_the_mailboxs_tone(kept: KeptSpeech) -> None:
    answer = await answered(kept, VM, "Hi, you've reached Bob")
    assert [who for who, _ in answer.verdicts] == [VM], answer
    assert answer.spoke_at is not None, answer
    assert not answer.spoke_into_it, answer


async def test_a_menu_is_no_person(kept: KeptSpeech) -> None:
    answer = await answered(kept, IVR, "Thank you for calling Acme")
    assert [who for who, _ in answer.verdicts] == [IVR], answer
