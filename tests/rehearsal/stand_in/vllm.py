"""A stand-in for `vllm serve`: ranks as processes, shared memory left behind, HTTP on the leader.

It behaves as badly as engines do: children in sessions of their own, one deaf to SIGTERM, files in
/dev/shm that nobody removes. It computes nothing.
"""

import http.server
import json
import os
import signal
import subprocess
import sys
import time
from multiprocessing import resource_tracker, shared_memory

SLOW_S = float(os.environ.get("STAND_IN_SLOW_S", "0.2"))


def value(flag, default):
    return sys.argv[sys.argv.index(flag) + 1] if flag in sys.argv else default


def litter():
    name = f"shardwright_test_{os.getpid()}"
    memory = shared_memory.SharedMemory(name, create=True, size=1 << 20)
    resource_tracker.unregister(memory._name, "shared_memory")
    memory.buf[: 1 << 20] = b"x" * (1 << 20)
    return memory


def rank(index, local, stage, tensor):
    """Start a rank in a session of its own; it hears no SIGTERM."""
    code = (
        "import os, signal, time\n"
        "from multiprocessing import shared_memory, resource_tracker\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "m = shared_memory.SharedMemory(f'shardwright_test_{os.getpid()}', True, 1 << 20)\n"
        "resource_tracker.unregister(m._name, 'shared_memory')\n"
        "m.buf[:4096] = b'x' * 4096\n"
        "time.sleep(1000)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    where = f"world_size=4 rank={index} local_rank={local} distributed_init_method=tcp://x"
    print(f"(Worker pid={child.pid}) INFO {where} backend=gloo")
    print(
        f"(Worker_PP{stage}_TP{tensor} pid={child.pid}) INFO Starting to load model /m", flush=True
    )
    return child


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"data": [{"id": value("--served-model-name", "m")}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        count = body["max_tokens"]
        if body.get("stream"):
            self.send_response(200)
            self.end_headers()
            for _ in range(count):
                chunk = {"choices": [{"delta": {"content": "x"}}]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
                self.wfile.flush()
                time.sleep(SLOW_S / 10)
            self.wfile.write(b"data: [DONE]\n\n")
            return
        tokens = {"tokens": ["token_id:1"] * count, "token_logprobs": [-6.0] * count}
        choice = {"message": {"content": "x"}, "logprobs": tokens}
        prompt = [None] + [{"1": {"logprob": -6.0}}] * (len(body.get("prompt", ())) - 1)
        choice["prompt_logprobs"] = prompt
        self.answer({"choices": [choice], "usage": {"completion_tokens": count}})

    def answer(self, value_):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(value_).encode())

    def log_message(self, *_):
        pass


def main():
    kept = litter()
    node, tensor = int(value("--node-rank", "0")), int(value("--tensor-parallel-size", "1"))
    time.sleep(SLOW_S)
    ranks = [rank(node * tensor + i, i, node, i) for i in range(tensor)]
    time.sleep(SLOW_S)
    print("INFO Loading weights took 0.1 seconds", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if os.environ.get("STAND_IN_DIES") == str(node):
        print("ERROR RuntimeError: no room in /dev/shm", flush=True)
        sys.exit(7)
    if "--headless" in sys.argv:
        while all(child.poll() is None for child in ranks):
            time.sleep(0.1)
        sys.exit(1)
    print("INFO CPU KV cache size: 100 tokens\nINFO Application startup complete.", flush=True)
    address = (value("--host", "127.0.0.1"), int(value("--port", "8000")))
    server = http.server.ThreadingHTTPServer(address, Handler)
    server.serve_forever()
    del kept


main()
