"""`shardwright engines`: list, install, verify and remove the CPU environments of engines."""

from __future__ import annotations

from typing import Any

import click

from shardwright.cli.options import output_option, print_json
from shardwright.drive import environment
from shardwright.engines.cpu_environment import EngineLock, find_lock
from shardwright.model.errors import ExitCode

_engine_argument = click.argument("engine", default="vllm")


@click.group(name="engines")
def command() -> None:
    """Manage the engines that rehearsals run on this machine's CPU.

    They live in environments of their own below ~/.cache/shardwright. SHARDWRIGHT_VLLM points to
    the Python of another environment that has vLLM.
    """


@command.command(name="list")
@output_option
def list_engines(output: str) -> None:
    """List engines, their versions and whether they are installed."""
    rows = [_row(lock) for lock in environment.all_locks()]
    if output == "json":
        print_json("engines", {"engines": rows})
        return
    for row in rows:
        click.echo(f"{row['engine']} {row['version']}  {row['state']}  {row['path']}")


@command.command()
@click.argument("engines", nargs=-1)
def install(engines: tuple[str, ...]) -> None:
    """Install ENGINES (vllm unless named), or finish an install that was interrupted."""
    for lock in [find_lock(each) for each in engines or ("vllm",)]:
        ready = environment.install(lock, say)
        click.echo(str(ready.programs.parent))


@command.command()
@_engine_argument
@output_option
def verify(engine: str, output: str) -> None:
    """Check every file of an installed engine, and that it can be imported."""
    wrong = environment.verify(find_lock(engine))
    if output == "json":
        print_json("engine-check", {"engine": engine, "wrong": list(wrong)})
    else:
        click.echo("\n".join(wrong) if wrong else f"{engine}: every file is there, and it starts")
    if wrong:
        say(f"mend it: shardwright engines remove {engine} && shardwright engines install {engine}")
        raise SystemExit(ExitCode.VERDICT_NO)


@command.command()
@_engine_argument
def remove(engine: str) -> None:
    """Remove an installed engine."""
    lock = find_lock(engine)
    was_there = environment.remove(lock)
    click.echo(f"{engine} {lock.version}: {'removed' if was_there else 'was not installed'}")


def say(line: str) -> None:
    """Tell progress: talk goes to stderr."""
    click.echo(line, err=True)


def _row(lock: EngineLock) -> dict[str, Any]:
    chosen = environment.pointed_to(lock.engine)
    if chosen is not None:
        path, state = chosen.programs.parent, f"chosen by SHARDWRIGHT_{lock.engine.upper()}"
        return {"engine": lock.engine, "version": chosen.version, "state": state, "path": str(path)}
    return {
        "engine": lock.engine,
        "version": lock.version,
        "state": environment.state(lock).value,
        "path": str(environment.directory(lock)),
        "download_bytes": lock.download_bytes,
        "disk_bytes": lock.disk_bytes,
    }
