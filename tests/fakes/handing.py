"""A tool that hands a call over as the settings of a test's worker say: under the name of one that versions may be granted."""

import dataclasses
from typing import Any

from django.apps import AppConfig
from django.conf import settings


class HandingConfig(AppConfig):
    name = "tests.fakes.handing"
    label = "fake_handing"
    path = __file__

    def ready(self) -> None:
        from agents.tools import TOOLS
        from voice_worker.tools import builder

        spec = TOOLS["press_digits"]
        longest = {"longest_s": 300.0} if hasattr(spec, "longest_s") else {}
        TOOLS["press_digits"] = dataclasses.replace(spec, presses_keys=False, **longest)  # type: ignore[index]
        builder.IMPLEMENTATIONS["press_digits"] = _hand_over  # type: ignore[index]
        builder.TIMEOUT_S = 300.0  # type: ignore[misc]


async def _hand_over(values: Any, use: Any) -> Any:
    from agents.transfers import Target, TransferPolicy
    from voice_worker.tools.base import Result

    plan, talk = settings.VP_TEST_TRANSFERS[values["digits"]], use.desk._talk
    talk._script = dataclasses.replace(talk._script, transfers=TransferPolicy(**plan.get("policy", {})))
    targets = [Target(id=target["phone"][-2:], name="somebody", **target) for target in plan["targets"]]
    done = await talk.hand_over(targets=targets, reason=settings.VP_TEST_REASON, summary="They waited.")
    said = " ".join(["Tried:", *(each.outcome for each in done.tried)])
    return Result(status="ok", output={"ok": done.joined is not None, "say": said})
