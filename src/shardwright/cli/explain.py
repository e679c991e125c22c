"""`shardwright explain CODE`: the page of one of the doctor's causes."""

from __future__ import annotations

import click

from shardwright.diagnose.causes import load_causes
from shardwright.diagnose.pages import page
from shardwright.model.errors import usage_error


@click.command(name="explain")
@click.argument("code", required=False)
def command(code: str | None) -> None:
    """Print the page of a cause; without CODE, list them all."""
    causes = {cause.code: cause for cause in load_causes()}
    if code is None:
        width = max(map(len, causes))
        for each in causes.values():
            click.echo(f"{each.code:{width}}  {each.title}")
        return
    if code not in causes:
        raise usage_error(
            "unknown-cause",
            f"there is no cause {code!r}",
            remedy="`shardwright explain` lists them",
        )
    click.echo(page(causes[code]))
