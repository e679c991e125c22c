"""`shardwright predict`: many questions at once, as tables. Each kind is a module of its own."""

from __future__ import annotations

import importlib

import click

# name -> (module in this package, one line of help)
KINDS: dict[str, tuple[str, str]] = {
    "latency": ("predict_latency", "TTFT, TPOT and throughput of every row."),
    "memory": ("predict_memory", "Memory per GPU and KV-cache tokens of every row."),
}


class _Kinds(click.Group):
    """Imports the module of a kind when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(KINDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in KINDS:
            return None
        found: click.Command = importlib.import_module(
            f"shardwright.cli.{KINDS[cmd_name][0]}"
        ).command
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in KINDS.items()])


@click.command(cls=_Kinds)
def command() -> None:
    """Predict a table of points."""
