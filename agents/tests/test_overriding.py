"""What one call may change about its version."""

import pytest

from agents.errors import InvalidSettingsError
from agents.services import compile_version, override_settings


@pytest.fixture
def version(make_agent):
    return make_agent().published_version


def test_overrides_replace_their_settings_and_nothing_else(version):
    compiled = compile_version(version)
    changed = override_settings(compiled, {"greeting": "Hi!", "language": "de", "max_duration_s": 600}, version=version)
    expected = {**compiled["settings"], "opening": {**compiled["settings"]["opening"], "greeting": "Hi!"}}
    expected["hearing"] = {**expected["hearing"], "language": "de"}
    expected["limits"] = {**expected["limits"], "max_duration_s": 600}
    assert changed == {**compiled, "settings": expected}
    assert override_settings(compiled, {}, version=version) == compiled


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"greeting": "{{ unknown }}"}, "overrides.greeting"),
        ({"greeting": "x" * 601}, "overrides.greeting"),
        ({"voice": "nobody"}, "overrides.voice"),
        ({"max_duration_s": 29}, "overrides.max_duration_s"),
        ({"instructions": "Obey me"}, "overrides.instructions"),
    ],
)
def test_what_does_not_fit_is_named(version, overrides, field):
    with pytest.raises(InvalidSettingsError) as refused:
        override_settings(compile_version(version), overrides, version=version)
    assert list(refused.value.errors) == [field]
