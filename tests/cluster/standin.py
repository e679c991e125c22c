"""A small process in an engine's place: reads the weights, meets the other members, serves.

It takes the engine's own command line and environment, so that whatever is wrong with them is wrong
for it too: the library that reads the weights and the one by which ranks meet are the engine's.
Runs in pods, with the engine's Python; one rank per member.
"""

import argparse
import datetime
import http.server
import os
import pathlib
import sys

os.environ["TORCH_CPP_LOG_LEVEL"] = "INFO"  # say why a meeting fails, as an engine would

import safetensors
import torch
import torch.distributed


def main() -> None:
    """Start as an engine does."""
    parser = argparse.ArgumentParser()
    parser.add_argument("command")
    parser.add_argument("model", type=pathlib.Path)
    for name in ("nnodes", "node-rank", "master-port", "port", "distributed-timeout-seconds"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--master-addr")
    options, _ = parser.parse_known_args()
    for file in sorted(options.model.glob("*.safetensors")):
        with safetensors.safe_open(file, "pt") as weights:
            print(f"{file.name}: {len(weights.keys())} tensors", flush=True)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"tcp://{options.master_addr}:{options.master_port}",
        rank=options.node_rank,
        world_size=options.nnodes,
        timeout=datetime.timedelta(seconds=options.distributed_timeout_seconds),
    )
    total = torch.ones(1)
    torch.distributed.all_reduce(total)
    print(f"node {options.node_rank} met {int(total)} of {options.nnodes}", flush=True)
    if options.port is None:
        torch.distributed.recv(total, src=0)  # until the leader ends
        sys.exit("the leader is gone")
    address = ("0.0.0.0", options.port)
    http.server.ThreadingHTTPServer(address, Health).serve_forever()


class Health(http.server.BaseHTTPRequestHandler):
    """Answers every path, as a health check wants it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()


main()
