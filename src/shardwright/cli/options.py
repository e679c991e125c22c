"""Options and arguments that commands share, and how a spec file is read from disk."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from shardwright.model.answers import versioned
from shardwright.model.errors import Place, ShardwrightError, usage_error

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the result on stdout.",
)

calibration_option = click.option(
    "--local-calibration/--no-local-calibration",
    "with_local_fits",
    default=True,
    show_default=True,
    help="Let your own measurements correct the speed, as shardwright calibrate fitted them.",
)

spec_argument = click.argument("spec", metavar="SPEC.yaml", type=click.Path(path_type=Path))


def read_text(path: Path) -> str:
    """Read a user's text file. Raises ShardwrightError with what to do instead."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        remedy = "pass /dev/stdin for standard input" if str(path) == "-" else "check the path"
        raise _unreadable(path, "there is no such file", remedy) from error
    except IsADirectoryError as error:
        raise _unreadable(path, "it is a directory", "name a file in it") from error
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8 text", "save it as UTF-8") from error
    except OSError as error:
        raise _unreadable(path, str(error.strerror), "check its permissions") from error


def write_text(path: Path, text: str) -> None:
    """Write a file the user named. Raises ShardwrightError with what to do instead."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise not_writable(path, str(error.strerror)) from error


def not_writable(path: Path, why: str) -> ShardwrightError:
    """Say that a file the user named cannot be written."""
    return usage_error(
        "file-not-writable", f"{path} cannot be written: {why}",
        remedy="check the folder and its permissions",
    )  # fmt: skip


def _unreadable(path: Path, what: str, remedy: str) -> ShardwrightError:
    error = usage_error("file-not-readable", f"{path} cannot be read: {what}", remedy=remedy)
    error.place = Place(file=str(path))
    return error


def print_json(kind: str, body: Mapping[str, Any]) -> None:
    """Print a result as a JSON document of its kind, keys sorted: same input, same bytes."""
    click.echo(json_text(versioned(kind, body)), nl=False)


def json_text(value: Any) -> str:
    """Write JSON as every command prints it."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def terminal_width() -> int | None:
    """Return the columns of the terminal, or of COLUMNS; None where the output goes elsewhere."""
    return shutil.get_terminal_size(fallback=(0, 0)).columns or None
