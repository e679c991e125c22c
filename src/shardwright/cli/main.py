"""The `shardwright` command: a table of lazily imported subcommands, and the one place errors end.

A command's module is imported only when that command runs, so `--help` costs little more than
Python itself. Each module in this package defines `command`, a click command.
"""

from __future__ import annotations

import errno
import importlib
import os
import sys
import traceback
from typing import NoReturn

import click

from shardwright import __version__
from shardwright.model.errors import ExitCode, ShardwrightError

# name -> (module in this package, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Write a commented first spec."),
    "plan": ("plan", "Decide the layout, and say why."),
    "sizing": ("sizing", "Print how many GPUs common models need."),
    "rehearse": ("rehearse", "Run it here, small, with the real engine."),
    "artifacts": ("artifacts", "List the images and files to mirror."),
    "render": ("render", "Write the Kubernetes manifests."),
    "lint": ("lint", "Find what will fail in Kubernetes manifests."),
    "diff": ("diff", "Show what a deployment would change."),
    "preflight": ("preflight", "Check a cluster, and its hardware, before deploying."),
    "deploy": ("deploy", "Deploy to Kubernetes and wait until it serves."),
    "status": ("status", "Say how an endpoint is."),
    "list": ("list", "List the endpoints of a cluster."),
    "logs": ("logs", "Print the log of a rank or a member."),
    "delete": ("delete", "Remove an endpoint."),
    "doctor": ("doctor", "Name the cause of a failure, from logs, events and manifests."),
    "bundle": ("bundle", "Pack the evidence of a failure to pass on, secrets taken out."),
    "explain": ("explain", "Print the page of one of the doctor's causes."),
    "bench": ("bench", "Load an endpoint and judge it against the objective."),
    "calibrate": ("calibrate", "Fit predictions to your own measurements."),
    "verdict": ("verdict", "Judge a load test against the objective."),
    "predict": ("predict", "Predict a table of points."),
    "accuracy": ("accuracy", "Compare predictions with your own measurements."),
    "engines": ("engines", "Manage the engines that rehearsals run on this machine."),
    "schema": ("schema", "Print the JSON Schema of a spec."),
}


class LazyGroup(click.Group):
    """A click group that imports a subcommand's module when it is first needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command, in the order of the table."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"shardwright.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List commands from the table alone, without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="shardwright")
def shardwright() -> None:
    """Plan, rehearse, deploy and verify distributed LLM inference on Kubernetes."""


def main() -> NoReturn:
    """Run the command line and exit with one of the documented codes."""
    try:
        code = shardwright.main(prog_name="shardwright", standalone_mode=False)
    except click.exceptions.Abort as abort:
        if isinstance(abort.__context__, EOFError):
            _leave("\nstandard input has ended: pass the answer as an option", ExitCode.USAGE)
        _leave("interrupted", ExitCode.INTERRUPTED)
    except KeyboardInterrupt:
        _leave("interrupted", ExitCode.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except ShardwrightError as error:
        _leave(error.render(), error.exit_code)
    except BrokenPipeError:
        # the reader of our stdout went away (`shardwright plan | head`): not an error
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(ExitCode.DONE)
    except OSError as error:
        if error.errno not in _REFUSED_BY_SYSTEM:
            _leave_as_bug()
        _leave(refused_by_system(error).render(), ExitCode.FAILURE)
    except Exception:  # noqa: BLE001  (the last stop: a bug keeps its traceback and its own code)
        _leave_as_bug()
    sys.exit(code if isinstance(code, int) else ExitCode.DONE)


_REFUSED_BY_SYSTEM = frozenset(
    {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.EIO}
)
"""What a machine refuses whoever asks: rights, a full or read-only disk, too many open files."""


def refused_by_system(error: OSError) -> ShardwrightError:
    """Say which file was refused, wherever it happened."""
    return ShardwrightError(
        code="refused-by-system",
        what=f"{error.filename or 'a file'}: {error.strerror}",
        remedy="check its permissions and the room on its disk; XDG_CACHE_HOME and XDG_DATA_HOME "
        "say where shardwright keeps its own files",
    )


def _leave_as_bug() -> NoReturn:
    traceback.print_exc()
    _leave("this is a bug in shardwright; please report the lines above", ExitCode.BUG)


def _leave(message: str, code: ExitCode) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(code)
