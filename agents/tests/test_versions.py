import pytest


def test_smoke(make_agent):
    agent = make_agent()
    assert agent.published_version.number == 1
