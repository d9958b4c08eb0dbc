"""What agents can be made of, as the API lists it."""

import jsonschema

from agents.api.settings_schema import inline_settings_schema
from agents.catalogue import STAGES
from agents.pipeline import VersionSettings
from agents.testing import TEST_SETTINGS
from agents.tools import TAKE_MESSAGE, TOOLS
from tenants.scope import tenant_scope
from tenants.services.features import set_feature


def entries(api, resource):
    answer = api.get(resource).json()
    assert (answer["object"], answer["has_more"], answer["next"]) == ("list", False, None)
    return answer["data"]


def test_voices_say_what_is_missing_for_them(api, settings):
    settings.VP_SPEECH_URL, settings.GOOGLE_CLOUD_PROJECT, settings.GOOGLE_CLOUD_CREDENTIALS = "http://127.0.0.1:1", "p", ""
    by_id = {(voice["provider"], voice["id"]): voice for voice in entries(api, "voices")}
    assert by_id["local", "joe"] == {
        "provider": "local",
        "id": "joe",
        "label": "Joe (US English)",
        "available": True,
        "missing": [],
    }
    kore = by_id["google", "en-US-Chirp3-HD-Kore"]
    assert (kore["available"], kore["missing"]) == (False, ["GOOGLE_CLOUD_CREDENTIALS"])


def test_a_listed_voice_can_be_chosen(api, agent):
    [voice] = [voice for voice in entries(api, "voices") if voice["id"] == "robin"]
    speaking = {"provider": voice["provider"], "voice": voice["id"], "model": "piper"}
    assert api.patch(f"agents/{agent.public_id}/draft", {"settings": {"speaking": speaking}}).status_code == 200


def test_providers_are_listed_by_stage_with_their_models(api, settings):
    settings.OPENAI_API_KEY = ""
    found = {(row["stage"], row["id"]): row for row in entries(api, "providers")}
    assert set(found) >= {(stage, key) for stage, known in STAGES.items() for key in known}
    openai = found["llm", "openai"]
    assert (openai["section"], openai["missing"], openai["available"]) == ("brain", ["OPENAI_API_KEY"], False)
    assert {"id": "gpt-6-luna", "label": "GPT-6 Luna"} in openai["models"]
    assert "de" in found["stt", "local"]["languages"]


def test_tools_say_whether_the_tenant_may_use_them(api, stranger, tenant):
    shown = {tool["key"]: tool for tool in entries(api, "tools")}
    assert set(shown) == set(TOOLS)
    message = shown["take_message"]
    assert (message["risk"], message["feature_key"], message["enabled"]) == ("writes", TAKE_MESSAGE.feature_key, True)
    assert message["parameters_schema"] == TAKE_MESSAGE.parameters
    assert message["config_schema"]["additionalProperties"] is False
    with tenant_scope(tenant):
        set_feature(key=TAKE_MESSAGE.feature_key, enabled=False)
    enabled = [{tool["key"]: tool["enabled"] for tool in entries(client, "tools")} for client in (api, stranger)]
    keys = ("end_call", "press_digits", "pause_recording", "resume_recording", "hand_over_to_person")
    always = dict.fromkeys(keys, True)
    assert enabled == [{**always, "take_message": False}, {**always, "take_message": True}]


def test_features_decide_nothing_where_the_backend_does_not_decide(api, tenant, settings):
    settings.TOOLS_DECIDED_BY_BACKEND = False
    with tenant_scope(tenant):
        set_feature(key=TAKE_MESSAGE.feature_key, enabled=False)
    assert all(tool["enabled"] for tool in entries(api, "tools"))


def test_the_schema_of_settings_tells_valid_from_invalid(api):
    schema = api.get("settings_schema").json()
    for document in (schema, inline_settings_schema()):
        check = jsonschema.Draft202012Validator(document)
        assert check.is_valid(VersionSettings().model_dump(mode="json"))
        assert check.is_valid(dict(TEST_SETTINGS))
        assert not check.is_valid({"brain": {"temperature": 3}})
        assert not check.is_valid({"colour": "red"})
        assert not check.is_valid({"variables": [{"name": "First"}]})
    assert "$ref" not in str(inline_settings_schema())
    limits = inline_settings_schema()["properties"]["limits"]["properties"]
    assert (limits["max_duration_s"]["unit"], "unit" in limits["silence_prompts"]) == ("s", False)
