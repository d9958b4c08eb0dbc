"""What a call's stored recording sounds like."""

import av
import numpy as np

from calls.models import Call, Recording
from tenants.models import Tenant
from tests.livekit.platform import Worker, as_tenant
from tests.livekit.rig import until
from voice_worker.audio import RATE
from voice_worker.simulation.carrier import sounds


async def tokens(worker: Worker, tenant: Tenant, call: Call, *, channel: int) -> list[int]:
    """Those on one side of it, in order, once it is stored."""
    found = await until(
        lambda: as_tenant(tenant, lambda: Recording.objects.filter(call=call, state="stored").first()), seconds=30
    )
    with av.open(str(worker.folder / "files" / "recordings" / found.file)) as container:
        sound = np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)
    told: list[int] = []
    sounds.TokenEar(told.append).push((sound[channel, :: 48_000 // RATE] * 32767).astype(np.int16))
    return told
