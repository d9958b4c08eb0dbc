"""The transcript as a file: who said what and when, as it was heard."""

import json
import re
from typing import Any

import pytest
from django.urls import reverse

from calls.models import Call, Turn
from calls.services.journal import apply_entries
from calls.services.transcripts import FORMATS, write_transcript
from calls.testing import JOB
from calls.tests import journal as j
from tenants.models import Tenant
from tenants.scope import tenant_scope

TIME = r"(\d\d):(\d\d):(\d\d)[.,](\d{3})"
HOSTILE = "1 < 2 & 3 --> 4\n\nWEBVTT <script>"
LONG = " ".join(f"word{number}" for number in range(40))


@pytest.fixture
def call(placed: Any, within: Any) -> Call:
    made: Call = placed(status="ended")
    entries = [
        j.turn(1, "Hello there.", speaker="agent", source="greeting", started_ms=0, ended_ms=900),
        j.turn(2, "What time do you open?", speaker="caller", source="speech", language="en", words=[("What", 1500, 1700)]),
        j.turn(3, "We open at", speaker="agent", source="reply", started_ms=3_700_000, ended_ms=3_701_000, interrupted=True),
        j.turn(4, "Hallo, hier ist Kim.", speaker="person", source="speech", language="de", started_ms=3_702_000, ended_ms=None),
    ]
    assert apply_entries(call_id=made.pk, job_id=JOB, entries=entries).refused == 0
    return made


def written(call: Call, format: str) -> str:
    with tenant_scope(call.tenant_id):
        return write_transcript(call, format=format)


def seconds(*parts: str) -> float:
    hours, minutes, whole, thousandths = map(int, parts)
    return hours * 3600 + minutes * 60 + whole + thousandths / 1000


def test_as_text(call: Call) -> None:
    assert written(call, "text") == (
        "[00:00:00] Agent: Hello there.\n"
        "[00:00:04] Caller: What time do you open?\n"
        "[01:01:40] Agent: We open at—\n"
        "[01:01:42] Person: Hallo, hier ist Kim.\n"
    )


def test_as_json(call: Call) -> None:
    told = json.loads(written(call, "json"))
    assert (told["call_id"], told["languages"]) == (call.public_id, ["de", "en"])
    assert told["turns"][1]["words"] == [{"text": "What", "started_ms": 1500, "ended_ms": 1700}]
    assert [turn["interrupted"] for turn in told["turns"]] == [False, False, True, False]
    assert [turn["speaker"] for turn in told["turns"]] == ["agent", "caller", "agent", "person"]


def test_as_subtitles(call: Call) -> None:
    blocks = written(call, "srt").strip().split("\n\n")
    assert blocks[0] == "1\n00:00:00,000 --> 00:00:00,900\nAgent: Hello there."
    assert blocks[2] == "3\n01:01:40,000 --> 01:01:41,000\nAgent: We open at—"
    assert re.fullmatch(rf"4\n{TIME} --> {TIME}\nPerson: Hallo, hier ist Kim\.", blocks[3])
    vtt = written(call, "vtt").split("\n\n")
    assert (vtt[0], vtt[1]) == ("WEBVTT", "00:00:00.000 --> 00:00:00.900\n<v Agent>Hello there.")


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_no_words_break_the_format(placed: Any, within: Any, format: str) -> None:
    made = placed(status="ended")
    apply_entries(call_id=made.pk, job_id=JOB, entries=[j.turn(1, HOSTILE), j.turn(2, ""), j.turn(3, LONG)])
    text = written(made, format)
    blocks = [block for block in text.removeprefix("WEBVTT\n\n").split("\n\n") if block.strip()]
    assert len(blocks) == text.count("-->") == 1 + 4
    assert all(len(block.splitlines()[-1]) < 110 for block in blocks)
    if format == "vtt":
        assert "<script>" not in text


def test_a_long_turn_is_split_where_its_words_are(placed: Any, within: Any) -> None:
    made = placed(status="ended")
    words = [(f"word{number}", 1000 * number, 1000 * number + 500) for number in range(40)]
    apply_entries(call_id=made.pk, job_id=JOB, entries=[j.turn(1, LONG, words=words, started_ms=0, ended_ms=40_000)])
    cues = re.findall(rf"{TIME} --> {TIME}\n<v Caller>word(\d+)", written(made, "vtt"))
    assert len(cues) == 4
    assert [seconds(*cue[:4]) for cue in cues] == [float(cue[8]) for cue in cues]


def test_the_words_of_a_masked_number_are_dropped(placed: Any, within: Any) -> None:
    made = placed(status="ended")
    words = [("4000", 0, 1), ("0000", 1, 2), ("0000", 2, 3), ("0002", 3, 4)]
    apply_entries(call_id=made.pk, job_id=JOB, entries=[j.turn(1, "4000 0000 0000 0002", words=words)])
    turn = within(Turn.objects.get)
    assert (turn.text, turn.words, turn.redacted) == ("**** **** **** 0002", [], True)


@pytest.mark.parametrize("format", FORMATS)
def test_over_the_api(call: Call, api: Any, stranger: Any, format: str) -> None:
    answer = api.get(f"calls/{call.public_id}/transcript?format={format}")
    assert (answer.status_code, answer["Cache-Control"]) == (200, "private, no-store")
    assert answer["Content-Type"] == f"{FORMATS[format].content_type}; charset=utf-8"
    assert f"{call.public_id}.{FORMATS[format].extension}" in answer["Content-Disposition"]
    assert answer.content.decode() == written(call, format)
    assert stranger.get(f"calls/{call.public_id}/transcript?format={format}").status_code == 404


def test_the_list_tells_words_and_languages(call: Call, api: Any) -> None:
    turns = api.get(f"calls/{call.public_id}/transcript").json()["data"]
    assert turns[1]["words"] == [{"text": "What", "started_ms": 1500, "ended_ms": 1700}]
    assert [turn["language"] for turn in turns][1:] == ["en", "en", "de"]


@pytest.mark.parametrize("query", ["format=pdf", "format=", "format=text&after=1"])
def test_what_cannot_be_had_is_refused(call: Call, api: Any, query: str) -> None:
    assert api.get(f"calls/{call.public_id}/transcript?{query}").status_code == 400


def test_in_the_console(call: Call, tenant: Tenant, client: Any, make_user: Any) -> None:
    client.force_login(make_user(is_staff=True, is_superuser=True))
    page = client.get(reverse("admin:calls_call_change", args=[call.pk])).content.decode()
    url = reverse("admin:calls_call_transcript", args=[call.pk])
    assert all(f"{url}?format={format}" in page for format in FORMATS)
    assert client.get(url, {"format": "srt"}).content.decode() == written(call, "srt")
    assert client.get(url, {"format": "pdf"}).status_code == 404
