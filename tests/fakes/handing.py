"""A tool that hands a call over as the settings of a test's worker say: under the name of one that versions may be granted."""

import dataclasses
from functools import partial
from typing import Any
from uuid import UUID

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
    from agents.transfers import TransferPolicy
    from voice_worker.database import in_database
    from voice_worker.tools.base import Result

    plan, talk = settings.VP_TEST_TRANSFERS[values["digits"]], use.desk._talk
    talk._script = dataclasses.replace(talk._script, transfers=TransferPolicy(**plan.get("policy", {})))
    targets = await in_database(partial(_kept, use.desk._people._call_id, plan["targets"]))
    done = await talk.hand_over(targets=targets, reason=settings.VP_TEST_REASON, summary="They waited.")
    said = " ".join(["Tried:", *(each.outcome for each in done.tried)])
    return Result(status="ok", output={"ok": done.joined is not None, "say": said})


def _kept(call_id: UUID, wanted: list[dict[str, Any]]) -> list[Any]:
    from agents.models import TransferTarget
    from calls.resolving import scope_of_call

    with scope_of_call(call_id):
        rows = [TransferTarget.objects.get_or_create(name=each["phone"], defaults={"phone": each["phone"]})[0] for each in wanted]
        return [row.as_target().model_copy(update=each) for row, each in zip(rows, wanted, strict=True)]
