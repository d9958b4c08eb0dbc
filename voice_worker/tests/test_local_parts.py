"""The parts of the local language model's adapter: what is offered, shown, read and believed."""

import json

import pytest
from livekit.agents import llm

from agents.tools import TOOLS
from voice_worker.providers.local_contract import Action, acted, contract_text, grammar, read_actions, said, unknown_reply
from voice_worker.providers.local_guard import SlotMemory, is_grounded
from voice_worker.providers.local_messages import render_messages, spoken_output
from voice_worker.providers.local_offers import answers_offer, confirmed, make_offer
from voice_worker.providers.local_reply import Reply
from voice_worker.tests.test_local_llm import FULL, RULES, UNKNOWN, WANTED, talk, tools

ASKED_NAME, ASKED_PHONE = "May I have your name, please?", "What number can we reach you on?"


def actions() -> list[Action]:
    return read_actions(tools=tools(), specs=TOOLS)


def form() -> Action:
    return next(action for action in actions() if action.name == "take_message")


def offered(*turns: str, choice: llm.ToolChoice = "auto", asked: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    offer = make_offer(actions=actions(), choice=choice, chat_ctx=talk(*turns), asked=asked)
    return [action.name for action in offer.actions], offer.talk


def test_a_tool_is_offered_only_where_it_is_cued() -> None:
    assert offered("Are you open?") == ([], True)
    assert offered(WANTED) == (["take_message"], True)
    assert offered("Goodbye.") == (["end_call"], True)
    assert offered("Goodbye.", "Anything else?", "What is the price?") == ([], True)


def test_a_form_that_was_begun_is_gone_on_with_unless_the_caller_turns_away() -> None:
    begun = (WANTED, ASKED_NAME)
    assert offered(*begun, "Maria Garcia.", asked=(ASKED_NAME,)) == (["take_message"], False)
    assert offered(*begun, "No, never mind.", asked=(ASKED_NAME,))[1] is True
    assert offered(*begun, "Why do you need it?", asked=(ASKED_NAME,))[1] is True


def test_keys_to_press_do_not_hold_up_a_form() -> None:
    all_of_them = read_actions(tools=tools(*TOOLS), specs=TOOLS)
    begun = talk(WANTED, ASKED_NAME, "Maria Garcia.")
    offer = make_offer(actions=all_of_them, choice="auto", chat_ctx=begun, asked=(ASKED_NAME,))
    assert [action.name for action in offer.actions] == ["take_message"]
    menu = make_offer(actions=all_of_them, choice="auto", chat_ctx=talk("For sales, press 1."), asked=())
    assert [action.name for action in menu.actions] == ["press_digits"]


def test_the_framework_may_choose_the_tool() -> None:
    assert offered("Goodbye.", choice="none") == ([], True)
    assert offered("Hello.", choice="required") == (["take_message", "end_call"], False)
    only: llm.ToolChoice = {"type": "function", "function": {"name": "end_call"}}
    assert offered("Hello.", choice=only) == (["end_call"], False)


def test_taking_up_an_offer_is_told_from_another_question() -> None:
    taken = {
        text: answers_offer(actions=actions(), chat_ctx=talk(text)) for text in ("Yes, please.", WANTED, "Do you sell hats?")
    }
    assert taken == {"Yes, please.": True, WANTED: True, "Do you sell hats?": False}


def test_the_grammar_admits_the_forms_on_offer() -> None:
    rules = dict(line.split(" ::= ", 1) for line in grammar(actions()).splitlines())
    assert rules["root"] == "talk | act0 | act1"
    for slot in FULL:
        assert rf"\"{slot}\": " in rules["act0"]
    assert grammar([form()], talk=False).startswith("root ::= act0\n")
    choice = Action(name="a", when="", properties={"day": {"enum": ["mon", "tue"]}, "n": {"type": "integer"}}, required=[])
    assert r'("\"mon\"" | "\"tue\"" | "\"\"")' in grammar([choice])
    assert '[0-9]+ | "null"' in grammar([choice])


def test_the_contract_shows_each_form_and_what_to_say_without_an_answer() -> None:
    text = contract_text(actions())
    assert acted("take_message", dict.fromkeys(FULL, "...")) in text
    assert unknown_reply(actions()) == UNKNOWN
    assert f'say "{UNKNOWN}"' in text
    assert "take a message" not in contract_text([]).lower()


@pytest.mark.parametrize(
    ("slot", "value", "grounded"),
    [
        ("phone", "512 555 0143", True),
        ("phone", "512 555 0199", False),
        ("caller_name", "Maria Garcia", True),
        ("caller_name", "Hi", False),
        ("caller_name", "John Smith", False),
        ("reason", "insurance question", True),
        ("reason", "a toothache", False),
        ("party_size", 4, True),
        ("party_size", None, False),
    ],
)
def test_only_what_the_caller_said_counts(slot: str, value: object, grounded: bool) -> None:
    heard = ["Hi, this is Maria Garcia.", "five one two, five five five, oh one four three", "It is about my insurance."]
    assert is_grounded(slot=slot, value=value, said=heard) is grounded


def complete(memory: SlotMemory, given: dict[str, str], *turns: str) -> tuple[dict[str, str], str]:
    return memory.complete(action=form(), raw="{}", given=given, chat_ctx=talk(*turns))


def test_values_are_kept_from_turn_to_turn() -> None:
    memory = SlotMemory()
    assert complete(memory, {"reason": "insurance"}, WANTED) == ({"reason": "insurance"}, ASKED_NAME)
    turns = [WANTED, ASKED_NAME, "Maria Garcia"]
    assert complete(memory, {"caller_name": "Maria Garcia"}, *turns)[1] == ASKED_PHONE
    values, question = complete(memory, {"phone": "512 555 0143"}, *turns, ASKED_PHONE, "512 555 0143")
    assert (values, question) == ({"caller_name": "Maria Garcia", "phone": "512 555 0143", "reason": "insurance"}, "")
    assert list(memory.attempts) == [ASKED_NAME, ASKED_PHONE]


@pytest.mark.parametrize(
    ("answer", "asked", "again"),
    [
        ("Yes, that's right.", True, True),
        ("Yeah.", True, True),
        ("Yes, please.", False, False),
        ("Yes, but the number is wrong.", True, False),
        ("No, that's not right.", True, False),
    ],
)
def test_a_yes_to_what_was_read_back_needs_no_model(answer: str, asked: bool, again: bool) -> None:
    say = "I have Maria. Is that right?" if asked else "Your message is noted. Is there anything else?"
    output = json.dumps({"ok": True, "say": say} | ({"to_be_confirmed": True} if asked else {}))
    context = talk(WANTED)
    context.insert(llm.FunctionCall(call_id="1", name="take_message", arguments='{"caller_name": "Maria"}'))
    context.insert(llm.FunctionCallOutput(call_id="1", name="take_message", output=output, is_error=False))
    context.add_message(role="assistant", content=say)
    context.add_message(role="user", content=answer)
    found = confirmed(actions=actions(), chat_ctx=context)
    assert (found is not None and found.name == "take_message") == again


def test_any_answer_to_an_open_question_counts() -> None:
    """A model that leaves the reason empty again and again would otherwise have the caller repeat it for ever."""
    given = {"caller_name": "Maria", "phone": "512 555 0143", "reason": ""}
    asked = form().question("reason")
    said = ["I am Maria, 512 555 0143.", asked, "Well. It's about my insurance.", "Please call me back."]
    context = talk(*said[:3])
    context.add_message(role="user", content=said[3])
    values, question = SlotMemory().complete(action=form(), raw="{}", given=given, chat_ctx=context)
    assert (values["reason"], question) == ("my insurance", "")
    assert SlotMemory().complete(action=form(), raw="{}", given=given, chat_ctx=talk(*said[:2], "Well."))[1] == asked


def test_a_number_may_come_in_two_breaths() -> None:
    context = talk(WANTED, ASKED_PHONE, "512 555", "I have 5 1 2, 5 5 5. Is that right?")
    used = json.dumps({"caller_name": "Maria", "phone": "512 555", "reason": "insurance"})
    context.insert(llm.FunctionCall(call_id="1", name="take_message", arguments=used))
    context.add_message(role="user", content="0143")
    values, question = SlotMemory().complete(action=form(), raw="{}", given={"phone": "0143"}, chat_ctx=context)
    assert ("".join(filter(str.isdigit, values["phone"])), question) == ("5125550143", "")


def test_a_conversation_is_shown_as_the_model_wrote_it() -> None:
    attempts = {ASKED_NAME: acted("take_message", {"caller_name": ""})}
    shown = render_messages(talk(WANTED, ASKED_NAME, "Maria."), contract="Contract.", attempts=attempts)
    assert [message["content"] for message in shown] == [
        f"{RULES}\n\nContract.", WANTED, attempts[ASKED_NAME], said(ASKED_NAME), "Maria.",
    ]  # fmt: skip
    assert render_messages(talk("Hi.", "Hello."), contract="")[-1] == {"role": "user", "content": "(silence)"}


def test_unanswered_questions_and_old_talk_are_forgotten() -> None:
    shown = render_messages(talk("Do you sell hats?", UNKNOWN, "Are you open?"), contract="", forget=UNKNOWN)
    assert [message["content"] for message in shown[1:]] == ["Are you open?"]
    turns = [f"{number} {'word ' * 150}" for number in range(61)]
    kept = render_messages(talk(*turns), contract="")[1:]
    assert len(kept) == 21
    assert kept[-1]["content"] == turns[-1].strip()


def test_of_several_offers_only_the_one_that_is_taken_up_is_shown() -> None:
    """What has been left out once stays out, so that the model's memory of what it has read stays good."""
    context = talk("Do you sell hats?", UNKNOWN, "Do you sell shoes?", UNKNOWN, "Yes, please.")
    shown = render_messages(context, contract="", forget=UNKNOWN, offered=True)
    assert [message["content"] for message in shown[1:]] == ["Do you sell shoes?", said(UNKNOWN), "Yes, please."]


def test_half_a_sentence_is_not_shown_as_the_models_own() -> None:
    context = talk("Your hours?", "We are open from", "What does a check-up cost?")
    context.items[2].interrupted = True
    shown = [(message["role"], message["content"]) for message in render_messages(context, contract="")[1:]]
    assert shown[1] == ("user", "(You were interrupted after: We are open from)")
    assert [role for role, _ in shown] == ["user"] * 3


def test_a_tool_s_own_words_are_told_from_its_data() -> None:
    outputs = ['{"say": "Done."}', '{"ok": true}', '{"say": 7}', "[]", "Done."]
    made = [llm.FunctionCallOutput(call_id="1", name="t", output=output, is_error=False) for output in outputs]
    assert [spoken_output(output) for output in made] == ["Done.", None, None, None, None]


def feed(text: str, *, step: int = 1) -> list[str]:
    reply = Reply()
    return [sentence for at in range(0, len(text), step) for sentence in reply.feed(text[at : at + step])]


@pytest.mark.parametrize("step", [1, 4, 500])
def test_sentences_come_out_as_soon_as_they_are_complete(step: int) -> None:
    text = said('That is the cost. Dr. Smith said "yes" at 9 a.m. on Monday! É?')
    assert feed(text, step=step) == ["That is the cost. ", 'Dr. Smith said "yes" at 9 a.m. on Monday! ', "É?"]
    assert feed(json.dumps({"action": "none", "say": "Café. É?"}), step=step) == ["Café. ", "É?"]


def test_what_was_begun_is_known_and_a_cut_object_has_no_values() -> None:
    reply = Reply()
    assert reply.feed('{"action": "take_message", "caller_name": "Ma') == []
    assert (reply.action, reply.values(), reply.rest(), reply.said_all) == ("take_message", {}, "", False)
    reply.feed('ria", "phone": ""}')
    assert reply.values() == {"caller_name": "Maria", "phone": ""}
