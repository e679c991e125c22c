"""`python -m testbed able|up|newest|down|status|kubeconfig|logs|images|build`."""

from __future__ import annotations

import argparse
import json
import os
import sys

from testbed import ability, bed, newest
from testbed.layout import kubeconfig_path, newest_kubeconfig_path, state_dir
from testbed.shell import TestbedError

ADDONS = ("kube-router", "kuberay", "kwok", "lws")
UNABLE = 4
"""Exit code of `able` where no bed can run."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m testbed", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring the bed up, or leave it if it stands")
    up.add_argument("--nodes", type=int, default=2)
    up.add_argument("--gpus", type=int, default=8, help="nvidia.com/gpu of each node")
    build = commands.add_parser("build", help="compile what `up` needs")
    for command in (up, build):
        command.add_argument(
            "--with",
            dest="addons",
            default="kuberay,lws",
            help=f"controllers and firewall, by comma: {', '.join(ADDONS)}; or none",
        )
    commands.add_parser("able", help="say what keeps a bed from running here: 4, or 0 if nothing")
    commands.add_parser("newest", help="add the newest API server, which judges manifests only")
    commands.add_parser("down", help="remove everything")
    commands.add_parser("status", help="say what stands, as JSON")
    commands.add_parser("images", help="build the images anew where needed and import them")
    config = commands.add_parser("kubeconfig", help="print the path of the administrator's")
    config.add_argument("--newest", action="store_true", help="that of the newest API server")
    logs = commands.add_parser("logs", help="print the end of the services' logs")
    logs.add_argument("name", nargs="?", default="", help="machine, or machine/service")
    logs.add_argument("--lines", type=int, default=20)
    return parser


def _addons(text: str) -> tuple[str, ...]:
    names = tuple(sorted(name for name in text.split(",") if name and name != "none"))
    if unknown := set(names) - set(ADDONS):
        raise TestbedError(
            f"unknown controller {', '.join(unknown)}; there are {', '.join(ADDONS)}"
        )
    return names


def _print_logs(name: str, lines: int) -> None:
    for path in sorted(state_dir().glob("*/logs/*.log")):
        label = f"{path.parts[-3]}/{path.stem}"
        if label.startswith(name):
            print(f"==> {label} ({path})")
            print("\n".join(path.read_text(errors="replace").splitlines()[-lines:]))


def _able() -> int:
    found = list(ability.obstacles())
    print("\n".join(found or ["a bed can run here"]))
    return UNABLE if found else 0


def _change(options: argparse.Namespace) -> None:
    """Build, bring up, add to, or remove."""
    match options.command:
        case "up":
            bed.up(
                bed.Wish(
                    num_nodes=options.nodes,
                    gpus_per_node=options.gpus,
                    addons=_addons(options.addons),
                )
            )
        case "build":
            bed.build(frozenset(_addons(options.addons)))
        case "down":
            bed.down()
        case "images":
            bed.load_images(bed.standing())
        case "newest":
            newest.up()


def main() -> int:
    """Run one command; 3 when the bed fails, 4 when none can run here."""
    options = _parser().parse_args()
    try:
        code = _run(options)
        sys.stdout.flush()
    except TestbedError as error:
        print(f"error: {error}", file=sys.stderr)
        return 3
    except BrokenPipeError:  # as in `status | head`: nobody reads on, and Python would flush again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _run(options: argparse.Namespace) -> int:
    match options.command:
        case "able":
            return _able()
        case "status":
            print(json.dumps(bed.status(), indent=2, sort_keys=True))
        case "kubeconfig":
            print(newest_kubeconfig_path() if options.newest else kubeconfig_path())
        case "logs":
            _print_logs(options.name, options.lines)
        case _:
            _change(options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
