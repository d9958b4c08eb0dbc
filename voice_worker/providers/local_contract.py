"""The agreement with the local language model: one JSON object per turn, its action first, forced by a grammar.

A small model never calls tools by itself, but fills in a form reliably. The action comes first because the model then
decides before it talks, and because a turn that uses a tool needs no words of the model's own: the tool speaks.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from livekit.agents import llm

from agents.tools import ToolExample, ToolSpec

NONE = "none"
_CALL_BACK = "I do not have that information. Shall I take a message?"
_SORRY = "I am sorry, I do not have that information."
_QUESTIONS = {
    "name": "May I have your name, please?",
    "phone": "What number can we reach you on?",
    "reason": "What is it about?",
}


@dataclass(frozen=True, kw_only=True)
class Action:
    """A tool as the model sees it. Without parameters the model says something with it; with them the tool speaks."""

    name: str
    when: str
    properties: Mapping[str, Mapping[str, Any]]
    required: Sequence[str]
    cues: str = ""
    examples: Sequence[ToolExample] = ()

    @property
    def speaks(self) -> bool:
        return not self.properties

    def question(self, slot: str) -> str:
        """What to ask when this slot is missing."""
        if asked := self.properties[slot].get("question"):
            return str(asked)
        known = next((text for part, text in _QUESTIONS.items() if part in slot), "")
        return known or f"What is the {slot.replace('_', ' ')}?"


def read_actions(*, tools: Iterable[llm.Tool], specs: Mapping[str, ToolSpec]) -> list[Action]:
    """The tools of a request; `specs` tell the small model when to use those it knows."""
    actions = []
    for tool in tools:
        if not isinstance(tool, llm.FunctionTool | llm.RawFunctionTool):
            continue
        schema = _schema(tool)
        parameters = schema.get("parameters") or {}
        properties = parameters.get("properties", {})
        spec = specs.get(schema["name"])
        examples = (spec.early_example, spec.example) if spec else ()
        actions.append(
            Action(
                name=schema["name"],
                when=spec.when if spec else f"to do this: {schema.get('description') or schema['name']}",
                properties=properties,
                required=list(parameters.get("required", properties)),
                cues=spec.cues if spec else "",
                examples=[example for example in examples if example],
            )
        )
    return sorted(actions, key=lambda action: action.speaks)


def _schema(tool: llm.FunctionTool | llm.RawFunctionTool) -> dict[str, Any]:
    if isinstance(tool, llm.RawFunctionTool):
        return tool.info.raw_schema
    return dict(llm.utils.build_legacy_openai_schema(tool, internally_tagged=True))


def unknown_reply(actions: Sequence[Action]) -> str:
    """What is said when the facts hold no answer."""
    return _CALL_BACK if any(action.name == "take_message" for action in actions) else _SORRY


def said(text: str) -> str:
    return json.dumps({"action": NONE, "say": text}, ensure_ascii=False)


def acted(action: str, values: Mapping[str, Any]) -> str:
    return json.dumps({"action": action, **values}, ensure_ascii=False)


def contract_text(actions: Sequence[Action]) -> str:
    """The part of the system message that this adapter adds to the agent's own instructions."""
    unknown = unknown_reply(actions)
    forms = [f"{said('...')} to answer or to ask, in one or two short spoken sentences."]
    # The order shows that an unanswerable question does not make the next one so, nor the other way round.
    shown = [
        ("Do you sell hats?", said(unknown)),
        ("What time are you open on Tuesday?", said("On Tuesday we are open from 8 AM to noon.")),
        ("Do you repair shoes? How much is that?", said(unknown)),
        ("And how much is an umbrella?", said("An umbrella is 15 dollars.")),
        ("Are you open on Wednesday?", said("No, we are closed on Wednesday.")),
    ]
    for action in actions:
        forms.append(f"{_form(action)} {action.when}")
        shown += [(example.caller, _shown(action, example)) for example in action.examples]
    return "\n".join(
        [
            "Reply with one JSON object, one of:",
            *forms,
            f'Answer only from the facts, with numbers exactly as written there. If the facts do not answer, say "{unknown}"',
            'Examples, as if the only facts were "umbrella: 15 dollars", "Tuesday: open 8 AM to noon" and "Wednesday: closed":',
            *(f'caller: "{caller}" {reply}' for caller, reply in shown),
        ]
    )


def _form(action: Action) -> str:
    return acted(action.name, {"say": "..."} if action.speaks else dict.fromkeys(action.properties, "..."))


def _shown(action: Action, example: ToolExample) -> str:
    if action.speaks:
        return acted(action.name, {"say": example.say})
    return acted(action.name, {slot: example.slots.get(slot, "") for slot in action.properties})


def grammar(actions: Sequence[Action], *, talk: bool = True) -> str:
    """GBNF that admits exactly the forms above, spaces included, so that what was generated is found in the cache again."""
    rules, names = [], []
    if talk:
        names.append("talk")
        rules.append(f"talk ::= {_literal(said('')[:-2])} text {_literal(_END)}")
    for number, action in enumerate(actions):
        names.append(f"act{number}")
        rules.append(f"act{number} ::= {_action_rule(action)}")
    rules.append(r'text ::= ([^"\\\x00-\x1F] | "\\" ["\\/n])+')
    rules.append(r'slot ::= ([^"\\\x00-\x1F])*')
    return "\n".join([f"root ::= {' | '.join(names)}", *rules])


_END = '"}'


def _action_rule(action: Action) -> str:
    start = json.dumps({"action": action.name})[:-1]
    if action.speaks:
        return f"{_literal(start + ', ' + _key('say'))} {_literal(_QUOTE)} text {_literal(_END)}"
    parts = [_literal(start)]
    for slot, schema in action.properties.items():
        parts += [_literal(f", {_key(slot)}"), _value(schema)]
    return " ".join([*parts, _literal("}")])


_QUOTE = '"'


def _key(name: str) -> str:
    return f"{json.dumps(name)}: "


def _value(schema: Mapping[str, Any]) -> str:
    if choices := schema.get("enum"):
        return "(" + " | ".join(_literal(json.dumps(choice)) for choice in [*choices, ""]) + ")"
    kind = schema.get("type")
    if kind in {"integer", "number"}:
        return '("-"? [0-9]+ | "null")'
    if kind == "boolean":
        return '("true" | "false" | "null")'
    return f"{_literal(_QUOTE)} slot {_literal(_QUOTE)}"


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
