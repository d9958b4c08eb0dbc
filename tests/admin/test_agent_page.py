"""Changing, publishing and trying an agent."""

import re
from collections.abc import Callable
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents import catalogue
from agents.models import Agent, AgentVersion
from agents.pipeline import VersionSettings
from agents.services import publish, save_draft, start_draft
from agents.testing import TEST_SETTINGS
from calls.models import Call, WorkerHost
from calls.services import end_call
from calls.testing import make_host
from tenants.admin.forms import console_form
from tenants.models import Tenant, TenantLimits
from tenants.scope import tenant_scope
from tenants.services.features import set_feature
from tests.admin.conftest import House

EDITOR = ("view_agent", "change_agent")


def url_of(agent: Agent, name: str = "change") -> str:
    return reverse(f"admin:agents_agent_{name}", args=[agent.pk])


def filled_in(version: AgentVersion, **changes: Any) -> dict[str, Any]:
    """What a browser sends for the settings form."""
    form = console_form(VersionSettings, choices={**catalogue.form_choices(), "transfer.targets": list})(initial=version.settings)
    sent: dict[str, Any] = {"note": "Changed in a test"}
    for field in form:
        value = field.value()
        if isinstance(value, bool):
            sent |= {field.html_name: "on"} if value else {}
        elif not isinstance(value, list | tuple) or field.name == "facts":
            sent[field.html_name] = "\n".join(value) if isinstance(value, list | tuple) else value
    return {**sent, **changes}


def with_draft(house: House) -> AgentVersion:
    with tenant_scope(house.tenant):
        return start_draft(agent=house.agent)


def test_an_agent_is_added_with_a_first_draft(root_of: Callable[[Tenant], Client], house: House) -> None:
    client, url = root_of(house.tenant), reverse("admin:agents_agent_add")
    assert list(client.post(url, {"name": house.agent.name}).context["form"].errors) == ["name"]
    assert client.post(url, {"name": "Nora", "description": "Nights"}).status_code == 302
    with tenant_scope(house.tenant):
        nora = Agent.objects.get(name="Nora")
        assert nora.versions.drafts().count() == 1
        assert Agent.objects.count() == 2


def test_a_draft_is_saved_and_calls_keep_the_published_version(staff: Callable[..., Client], house: House) -> None:
    draft = with_draft(house)
    data = filled_in(draft, instructions="You are new.", facts="Monday: closed\nTuesday: open")
    assert staff(house.tenant, *EDITOR).post(url_of(house.agent), data).status_code == 302
    with tenant_scope(house.tenant):
        draft.refresh_from_db()
        house.agent.refresh_from_db()
    assert (draft.settings["instructions"], draft.note) == ("You are new.", "Changed in a test")
    assert draft.settings["facts"] == ["Monday: closed", "Tuesday: open"]
    assert house.agent.published_version != draft


def test_errors_stand_at_their_fields(staff: Callable[..., Client], house: House) -> None:
    draft = with_draft(house)
    before = draft.settings
    wrong = {"turn_taking.min_endpointing_delay_s": "2.5", "turn_taking.max_endpointing_delay_s": "1", "brain.model": "gpt-9"}
    response = staff(house.tenant, *EDITOR).post(url_of(house.agent), filled_in(draft, **wrong))
    errors = response.context["form"].errors
    assert any(name.startswith(("turn_taking", "brain.model")) for name in errors)
    assert "vp-errors" in response.content.decode()
    with tenant_scope(house.tenant):
        draft.refresh_from_db()
    assert draft.settings == before


def test_a_form_shown_again_does_not_grow(staff: Callable[..., Client], house: House) -> None:
    draft = with_draft(house)
    client = staff(house.tenant, *EDITOR)
    rows = {f"variables-{row}-{key}": "" for row in range(3) for key in ("name", "type", "default", "example")}
    page = client.post(url_of(house.agent), filled_in(draft, **rows, **{"speaking.speed": "9"})).content.decode()
    assert "Nothing was saved" in page
    assert page.count('-name"') == client.get(url_of(house.agent)).content.decode().count('-name"')


def test_publishing_needs_its_permission_and_moves_calls_to_the_draft(staff: Callable[..., Client], house: House) -> None:
    draft = with_draft(house)
    assert staff(house.tenant, *EDITOR).post(url_of(house.agent, "publish")).status_code == 403
    editor = staff(house.tenant, *EDITOR, "publish_agent")
    assert "Publish draft 2" in editor.get(url_of(house.agent)).content.decode()
    assert editor.get(url_of(house.agent, "publish")).status_code == 405
    assert editor.post(url_of(house.agent, "publish")).status_code == 302
    with tenant_scope(house.tenant):
        house.agent.refresh_from_db()
        assert house.agent.published_version == draft
        assert house.agent.published_version.published_by is not None


def test_what_publishing_refuses_is_marked_at_its_field(staff: Callable[..., Client], house: House) -> None:
    draft = with_draft(house)
    with tenant_scope(house.tenant):
        save_draft(agent=house.agent, settings={**TEST_SETTINGS, "instructions": "Hello {{ first_nam }}"}, tools={})
    response = staff(house.tenant, *EDITOR, "publish_agent").post(url_of(house.agent, "publish"))
    assert response.status_code == 200
    assert list(response.context["form"].errors) == ["instructions"]
    page = response.content.decode()
    assert "first_nam" in page
    assert "Known: agent_name, business_name" in page
    assert "Nothing was published" in page
    assert 'href="#field-instructions"' in page
    assert 'id="field-instructions"' in page
    with tenant_scope(house.tenant):
        draft.refresh_from_db()
    assert not draft.is_published


def test_a_published_version_is_shown_but_not_saved(staff: Callable[..., Client], house: House) -> None:
    client = staff(house.tenant, *EDITOR)
    page = client.get(url_of(house.agent)).content.decode()
    assert "which is published and cannot change" in page
    assert "Save draft" not in page
    assert 'name="variables-' not in page
    version = house.agent.published_version
    assert version is not None
    assert client.post(url_of(house.agent), filled_in(version, instructions="Changed")).status_code == 403
    assert client.post(url_of(house.agent, "start_draft")).status_code == 302
    assert "Save draft 2" in client.get(url_of(house.agent)).content.decode()


def test_tools_are_granted_and_a_feature_that_is_off_is_told(staff: Callable[..., Client], house: House) -> None:
    draft = with_draft(house)
    client = staff(house.tenant, *EDITOR)
    assert client.post(url_of(house.agent, "tools"), {"granted": ["take_message"]}).status_code == 302
    with tenant_scope(house.tenant):
        assert list(draft.grants.values_list("key", flat=True)) == ["take_message"]
        set_feature(key="voice-agent-tool-take-message", enabled=False)
    assert "is switched off for" in client.get(url_of(house.agent, "tools")).content.decode()


def test_versions_are_compared_in_words(staff: Callable[..., Client], house: House) -> None:
    with_draft(house)
    with tenant_scope(house.tenant):
        changed = {**TEST_SETTINGS, "recording": {"mode": "off"}, "facts": ["Sunday: closed"], "limits": {"max_duration_s": 60}}
        save_draft(agent=house.agent, settings=changed, tools={"end_call": {}, "take_message": {}})
        publish(agent=house.agent)
    response = staff(house.tenant, "view_agent").get(url_of(house.agent, "versions"))
    told = {change.where: (change.old, change.new) for change in response.context["changes"]}
    assert told["Recording: Record calls"] == ("on", "off")
    assert told["Limits: Longest call"] == ("900 s", "60 s")
    assert told["Tool: Take a message"] == ("not granted", "granted")
    assert "+ Sunday: closed" in response.content.decode()


def test_the_preview_fills_in_examples_and_shows_errors_in_words(staff: Callable[..., Client], house: House) -> None:
    with_draft(house)
    variable = {"name": "first_name", "type": "text", "required": False, "default": "", "example": "Maria"}
    texts = {"instructions": "Call them {{ first_name }} of {{ business_name }}.", "variables": [variable]}
    with tenant_scope(house.tenant):
        save_draft(agent=house.agent, settings={**TEST_SETTINGS, **texts, "opening": {"greeting": "Hi {{ nobody }}"}}, tools={})
    client = staff(house.tenant, "view_agent")
    page = client.get(url_of(house.agent, "preview")).content.decode()
    assert f"Call them Maria of {house.tenant.name}." in page
    assert "nobody" in page
    given = client.get(url_of(house.agent, "preview"), {"first_name": "<i>Bob</i>"}).content.decode()
    assert "Call them &lt;i&gt;Bob&lt;/i&gt; of" in given


def test_the_preview_shows_what_machines_hear(staff: Callable[..., Client], house: House) -> None:
    with_draft(house)
    client, url = staff(house.tenant, "view_agent"), url_of(house.agent, "preview")
    machines = {
        "on_voicemail": "leave_message",
        "voicemail_message": "Hi {{ first_name }}!",
        "introduction": "I am {{ agent_name }}.",
    }
    variable = {"name": "first_name", "type": "text", "required": False, "default": "", "example": "Maria"}
    for changes, unused in ({}, 0), ({"on_voicemail": "hang_up", "on_screening": "hang_up"}, 2):
        with tenant_scope(house.tenant):
            settings = {**TEST_SETTINGS, "variables": [variable], "machines": {**machines, **changes}}
            save_draft(agent=house.agent, settings=settings, tools={})
        page = client.get(url).content.decode()
        assert "Message for the mailbox" in page
        assert "Hi Maria!" in page
        assert f"I am {house.agent.name}." in page
        assert page.count("(not used") == unused
    with tenant_scope(house.tenant):
        broken = {**machines, "voicemail_message": "Hi {{ nobody }}"}
        save_draft(agent=house.agent, settings={**TEST_SETTINGS, "machines": broken}, tools={})
    assert "nobody" in client.get(url).content.decode()


def test_simulating_writes_a_queued_call(staff: Callable[..., Client], house: House) -> None:
    draft = with_draft(house)
    WorkerHost.objects.update(retired_at=timezone.now())
    url = url_of(house.agent, "simulate")
    assert staff(house.tenant, "view_agent").get(url).status_code == 403
    client = staff(house.tenant, "view_agent", "add_call")
    page = client.get(url).content.decode()
    assert "No worker host is alive" in page
    response = client.post(url, {"version": str(draft.pk), "persona": "says_little"})
    with tenant_scope(house.tenant):
        call = Call.objects.get(status="queued")
    assert (call.kind, call.persona, call.version_id, call.livemode) == ("simulated", "says_little", draft.pk, False)
    assert response["Location"] == f"{url}?call={call.pk}"
    followed = client.get(response["Location"]).content.decode()
    assert 'hx-trigger="every 2s' in followed
    assert re.search(r'value="says_little"[^>]*\schecked[\s>]', followed), "the next call is like this one unless told otherwise"
    assert "Nothing said yet" in followed


def test_a_simulation_is_followed_to_its_end(staff: Callable[..., Client], house: House) -> None:
    make_host()
    client = staff(house.tenant, "view_agent", "add_call")
    url = url_of(house.agent, "simulate")
    assert "No worker host is alive" not in client.get(url).content.decode()
    live = client.get(url_of(house.agent, "simulate_live"), {"call": str(house.call.pk)})
    assert live.status_code == 286
    assert reverse("admin:calls_call_change", args=[house.call.pk]) in live.content.decode()
    page = client.get(url, {"call": str(house.call.pk)}).content.decode()
    assert 'hx-trigger="every 2s' not in page
    assert "turn 3" in page


def test_a_foreign_version_persona_or_call_is_refused(staff: Callable[..., Client], house: House, foreign: House) -> None:
    client, url = staff(house.tenant, "view_agent", "add_call"), url_of(house.agent, "simulate")
    mine, theirs = str(house.agent.published_version_id), str(foreign.agent.published_version_id)
    assert "version" in client.post(url, {"version": theirs, "persona": "says_little"}).context["form"].errors
    assert "persona" in client.post(url, {"version": mine, "persona": "nobody"}).context["form"].errors
    assert "call" not in client.get(url, {"call": str(foreign.call.pk)}).context
    assert client.get(url_of(house.agent, "simulate_live"), {"call": str(foreign.call.pk)}).status_code == 404
    with tenant_scope(house.tenant):
        assert Call.objects.count() == 1


def test_limits_are_told_where_the_simulation_was_asked_for(staff: Callable[..., Client], house: House) -> None:
    with tenant_scope(house.tenant):
        TenantLimits.objects.update(max_open_calls=0)
    data = {"version": str(house.agent.published_version_id), "persona": "says_little"}
    page = staff(house.tenant, "view_agent", "add_call").post(url_of(house.agent, "simulate"), data).content.decode()
    assert "as many as its limits allow" in page


def test_an_archived_agent_is_restored(staff: Callable[..., Client], house: House) -> None:
    client = staff(house.tenant, *EDITOR)
    client.post(url_of(house.agent, "archive"))
    assert "This agent is archived" in client.get(url_of(house.agent)).content.decode()
    assert house.agent.name not in client.get(reverse("admin:agents_agent_changelist")).content.decode()
    client.post(url_of(house.agent, "archive"))
    assert house.agent.name in client.get(reverse("admin:agents_agent_changelist")).content.decode()


def said(client: Client, agent: Agent, text: str, call: Call | None = None) -> str:
    """What the panel shows after a message."""
    page = client.post(f"{url_of(agent, 'chat')}{f'?call={call.pk}' if call else ''}", {"text": text})
    assert page.status_code == 200
    return page.content.decode()


def test_the_draft_is_chatted_with_beside_its_settings(staff: Callable[..., Client], house: House) -> None:
    draft, client = with_draft(house), staff(house.tenant, *EDITOR, "add_call")
    assert url_of(house.agent, "chat") in client.get(url_of(house.agent)).content.decode()
    assert f"Try draft {draft.number}" in client.get(url_of(house.agent, "chat")).content.decode()
    assert "Open on Sundays?" in said(client, house.agent, "Open on Sundays?")
    with tenant_scope(house.tenant):
        call = Call.objects.get(kind="chat")
        assert (call.version, call.livemode) == (draft, False)
    assert "And on Mondays?" in said(client, house.agent, "And on Mondays?", call)
    with tenant_scope(house.tenant):
        assert [command.text for command in call.commands.all()] == ["Open on Sundays?", "And on Mondays?"]


def test_a_chat_that_has_ended_is_followed_by_another(staff: Callable[..., Client], house: House) -> None:
    client = staff(house.tenant, *EDITOR, "add_call")
    said(client, house.agent, "Hello")
    with tenant_scope(house.tenant):
        call = Call.objects.get(kind="chat")
        end_call(call_id=call.pk, disposition="completed", ended_reason="idle")
    url = f"{url_of(house.agent, 'chat_said')}?call={call.pk}"
    assert client.get(url).status_code == 286
    said(client, house.agent, "Again", call)
    with tenant_scope(house.tenant):
        assert Call.objects.filter(kind="chat").count() == 2


def test_a_chat_gets_example_values_and_says_what_does_not_fit(staff: Callable[..., Client], house: House) -> None:
    variables = [{"name": "first_name", "required": True, "example": "Maria"}]
    with tenant_scope(house.tenant):
        draft = with_draft(house)
        save_draft(agent=house.agent, settings={**draft.settings, "variables": variables}, tools={}, note="")
    client = staff(house.tenant, *EDITOR, "add_call")
    said(client, house.agent, "Hello")
    with tenant_scope(house.tenant):
        assert Call.objects.get(kind="chat").variables == {"first_name": "Maria"}
    assert "Write something first." in said(client, house.agent, "")


def test_who_may_not_place_calls_may_not_chat(staff: Callable[..., Client], house: House) -> None:
    client = staff(house.tenant, *EDITOR)
    assert url_of(house.agent, "chat") not in client.get(url_of(house.agent)).content.decode()
    assert client.post(url_of(house.agent, "chat"), {"text": "Hello"}).status_code == 403
    with tenant_scope(house.tenant):
        assert not Call.objects.filter(kind="chat").exists()


def test_an_old_version_is_made_live_again(staff: Callable[..., Client], house: House) -> None:
    with_draft(house)
    with tenant_scope(house.tenant):
        publish(agent=house.agent)
    url, page = url_of(house.agent, "roll_back"), f"{url_of(house.agent, 'versions')}?new=1&old=2"
    assert staff(house.tenant, *EDITOR).post(url, {"version": "1"}).status_code == 403
    client = staff(house.tenant, *EDITOR, "publish_agent")
    assert "Go back to version 1" in client.get(page).content.decode()
    assert client.post(url, {"version": "1"}).status_code == 302
    assert client.post(url, {"version": "9"}).status_code == 404
    house.agent.refresh_from_db()
    assert house.agent.published_version is not None
    assert house.agent.published_version.number == 1
    assert "Go back to version 1" not in client.get(page).content.decode()
