"""The local language model as a program: llama.cpp's OpenAI-compatible server on loopback."""

import argparse
import os
import signal
import threading
from pathlib import Path

import xllamacpp

_CONTEXT = 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--slots", type=int, default=2, help="Conversations whose prompts stay in memory")
    arguments = parser.parse_args()
    # The server stops with this object, so it lives until a signal arrives.
    server = xllamacpp.Server(server_parameters(port=arguments.port, weights=arguments.weights, slots=arguments.slots))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    print(f"Serving {arguments.weights.name} at {server.listening_address}", flush=True)  # noqa: T201 a program's own output
    stop.wait()


def server_parameters(*, port: int, weights: Path, slots: int) -> xllamacpp.CommonParams:
    cores = os.cpu_count() or 2
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {weights.stem}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_ctx = _CONTEXT
    params.n_parallel = slots
    params.kv_unified = True  # otherwise each conversation gets only its share of the context
    # Writing is bound by memory: a second thread wins nothing, and one that waits for a busy core holds up all others.
    params.cpuparams.n_threads = max(1, cores // 2)
    params.cpuparams_batch.n_threads = cores
    params.use_jinja = True
    params.cache_prompt = True
    params.endpoint_slots = True
    params.ui = False
    params.verbosity = 1
    return params


if __name__ == "__main__":
    main()
