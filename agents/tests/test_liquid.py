"""Templates written by tenants: what works, what is explained, what is stopped."""

import tracemalloc

import pytest

from agents.errors import LiquidError
from agents.liquid import SIZE_LIMIT, check_template, render, unknown_variables

DAY = {"today": "2026-11-23", "first_name": "Ann", "age": 41, "vip": True, "nothing": None}


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("Hello {{ first_name }}!", "Hello Ann!"),
        ("{{ first_name | upcase | append: '…' }}", "ANN…"),
        ("{{ today | date: '%A, %d %B' }}", "Monday, 23 November"),
        ("{% if vip %}yes{% else %}no{% endif %}{{ nothing }}", "yes"),
        ("{{ age | plus: 1 }}/{{ 'a,b' | split: ',' | join: '+' }}", "42/a+b"),
        ("{% assign greeting = 'Hi' %}{% for i in (1..3) %}{{ greeting }}{{ i }} {% endfor %}", "Hi1 Hi2 Hi3 "),
        ("{% liquid\n echo first_name\n%}", "Ann"),
        ("Здравствуйте, {{ first_name }} — こんにちは 🎉", "Здравствуйте, Ann — こんにちは 🎉"),
    ],
)
def test_templates_are_rendered(template: str, text: str) -> None:
    assert render(template, DAY) == text


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ 'aaaaaaaaaa'" + " | replace: 'a', 'aaaaaaaaaa'" * 9 + " }}", "replace: the result is too large"),
        ("{{ 'aaaa' | split: '' | join: '" + "b" * 90_000 + "' }}", "join: the result is too large"),
        ("{{ (1..99999999) | join: ',' }}", "join: the result is too large"),
        ("{{ 9" + " | times: 99999999999" * 300 + " }}", "times: the result is too large"),
        ("{% assign x = 'aaaaaaaaaa' %}" + "{% assign x = x | append: x %}" * 40, "append: the result is too large"),
        ("{% for i in (1..999999999) %}x{% endfor %}", "loop iteration limit reached"),
        ("{% for i in (1..999) %}{% for j in (1..999) %}x{% endfor %}{% endfor %}", "loop iteration limit reached"),
        ("{% for i in (1..900) %}" + "x" * 300 + "{% endfor %}", "output stream limit reached"),
        ("{% if vip %}" * 500, "block nesting limit reached"),
        ("{{ first_name" + "[first_name" * 2000 + "]" * 2000 + "}}", "parsing error"),
        ("{{ first_name.__class__ }}", "undefined"),
        ("{% render 'secrets' %}", "unexpected tag 'render'"),
        ("{{ first_name | base64_encode }}", "unknown filter"),
        ("{{ '99999999999999999999' | date: '%Y' }}", "cannot be rendered"),
    ],
)
@pytest.mark.timeout(10)
def test_work_without_end_and_ways_out_are_stopped(template: str, message: str) -> None:
    with pytest.raises(LiquidError, match=message):
        render(template, DAY)


@pytest.mark.parametrize("step", ["replace: 'a', '{}'", "split: '' | join: '{}'"])
def test_one_step_cannot_fill_the_memory(step: str) -> None:
    template = "{{ '" + "a" * 15_000 + "' | " + step.format("b" * 15_000) + " }}"
    tracemalloc.start()
    try:
        with pytest.raises(LiquidError, match="the result is too large"):
            render(template, DAY)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000


def test_a_long_text_within_the_limit_is_rendered() -> None:
    assert len(render("{{ text }}", {"text": "é" * (SIZE_LIMIT // 2)})) == SIZE_LIMIT // 2


def test_an_unknown_name_is_shown_with_its_place_and_the_known_ones() -> None:
    with pytest.raises(LiquidError) as caught:
        check_template("Hello\nDear {{ first_nam }},\n{{ lst }}", {"first_name", "today"})
    assert str(caught.value) == (
        "'first_nam' is not a known variable. Known: first_name, today.\n"
        "Line 2, column 9:\n"
        "2 | Dear {{ first_nam }},\n"
        "  |         ^^^^^^^^^"
    )


def test_a_long_line_is_shown_around_the_place() -> None:
    with pytest.raises(LiquidError) as caught:
        check_template("x" * 500 + "{{ nope }}" + "y" * 500, {"yes"})
    shown, carets = str(caught.value).splitlines()[2:]
    assert len(shown) < 140
    assert shown[carets.index("^") : carets.rindex("^") + 1] == "nope"


def test_names_a_template_makes_itself_are_known() -> None:
    template = (
        "{% assign a = b %}{{ a }}{% for c in d %}{{ c }}{{ forloop.index }}{% endfor %}{% capture e %}{% endcapture %}{{ e }}"
    )
    assert unknown_variables(template, {"b"}) == ["d"]
    check_template(template, {"b", "d"})


def test_names_on_paths_not_taken_are_checked_too() -> None:
    assert unknown_variables("{% if vip %}{% else %}{{ nobody | append: other }}{% endif %}", {"vip"}) == ["nobody", "other"]
