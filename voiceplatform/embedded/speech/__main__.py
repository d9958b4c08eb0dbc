"""The speech process: `python -m voiceplatform.embedded.speech --port 8200`."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from functools import partial
from pathlib import Path

from aiohttp import web

from voiceplatform.embedded.models import ModelError, find
from voiceplatform.embedded.speech.errors import SpeechError
from voiceplatform.embedded.speech.recognition import Recogniser
from voiceplatform.embedded.speech.server import SpeechServer
from voiceplatform.embedded.speech.synthesis import Engine, choose_engine


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    try:
        engine = choose_engine(piper_weights=find("voice-joe"))
        asyncio.run(serve(port=arguments.port, hearing=hearing_model(), engine=engine))
    except (ModelError, SpeechError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def hearing_model() -> Path:
    folder = find("whisper-base")
    if folder is None:
        raise SpeechError("The model whisper-base is not in the store. Run: manage.py models fetch whisper-base")
    return folder


async def serve(*, port: int, hearing: Path, engine: Engine) -> None:
    server = SpeechServer(load=partial(_load, hearing, engine))
    # Handlers end when their client goes away: nobody waits for speech that nobody hears.
    runner = web.AppRunner(server.application(), handler_cancellation=True, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await server.load()
        await stop.wait()
    finally:
        await runner.cleanup()
        await server.close()


def _load(hearing: Path, engine: Engine) -> tuple[Recogniser, Engine]:
    return Recogniser(folder=hearing, threads=os.cpu_count() or 2), engine


if __name__ == "__main__":
    sys.exit(main())
