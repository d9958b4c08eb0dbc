import pytest

from voice_worker.listening import is_backchannel


@pytest.mark.parametrize("heard", ["Mm-hmm.", "Uh-huh", "Okay.", "Yeah, right.", "Mom.", "Mama", "Mom. Mom.", "Emma."])
def test_assent_while_the_agent_speaks_is_attention(heard):
    assert is_backchannel(heard)


@pytest.mark.parametrize(
    "heard", ["No.", "Stop!", "Wait.", "Wait. Wait.", "Hello?", "Nine.", "Hold on.", "Monday", "My name is Emma"]
)
def test_words_with_a_meaning_stop_the_agent(heard):
    assert not is_backchannel(heard)


@pytest.mark.parametrize("heard", ["Yes.", "Okay", "Emma", "9"])
def test_an_answer_to_a_question_is_no_attention(heard):
    assert not is_backchannel(heard, answers=True, confidence=0.4)


@pytest.mark.parametrize(
    ("heard", "confidence", "attention"),
    [("Man", 0.33, True), ("No, no.", 0.31, True), ("No.", 0.61, False), ("No.", 0.0, False), ("I said no.", 0.31, False)],
)
def test_what_was_hardly_understood_does_not_stop_the_agent(heard, confidence, attention):
    """A confidence of 0 is told by recognisers that know none."""
    assert is_backchannel(heard, confidence=confidence) is attention
