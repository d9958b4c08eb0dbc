"""The framework alone, to compare with: a worker whose jobs join a room and hold a session on predictable stages.

In a folder of its own, because whatever imports the package `benchmarks` has Django in its processes.
"""

import asyncio

from livekit.agents import Agent, AgentServer, AgentSession, JobContext, inference

from voice_worker.providers.constant import ConstantSTT, RuleLLM, ToneTTS


async def hold(ctx: JobContext) -> None:
    await ctx.connect()
    session: AgentSession[None] = AgentSession(stt=ConstantSTT(["Hello"]), llm=RuleLLM([]), tts=ToneTTS(), vad=inference.VAD())
    await session.start(Agent(instructions="You are a friendly phone receptionist."), room=ctx.room, record=False)
    session.say("Hello there.")


def main() -> None:
    # The load of the machine is not this worker's.
    server = AgentServer(num_idle_processes=2, preload_modules=[__name__], host="127.0.0.1", port=0, load_fnc=lambda: 0.0)
    server.rtc_session(hold, agent_name="bare")
    server.on("worker_registered", lambda *_: print("registered", flush=True))
    asyncio.run(server.run())
