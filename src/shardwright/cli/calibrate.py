"""`shardwright calibrate`: the speed model fitted to the user's own measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from shardwright.cli.options import not_writable, output_option, print_json, write_text
from shardwright.cli.records import read_records
from shardwright.model.errors import ExitCode, usage_error

if TYPE_CHECKING:
    from shardwright.planner.calibration import Outcome


MEASURED = ("engine", "isl", "osl", "ttft_ms", "tpot_ms")


@click.command()
@click.argument("records", metavar="[RECORDS.csv]", required=False,
                type=click.Path(path_type=Path))  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Show the errors, and change nothing.")
@click.option("--forget", is_flag=True, help="Remove the calibration: predict as shipped again.")
@click.option("--export", type=click.Path(path_type=Path), metavar="FILE.csv",
              help="Write the records as CSV, in the columns of predict, and stop.")  # fmt: skip
@output_option
def command(
    records: Path | None, dry_run: bool, forget: bool, export: Path | None, output: str
) -> int:
    """Fit predictions to your own hardware, from the records that `bench` keeps, or RECORDS.csv.

    Five factors, held near 1, for each GPU and engine. Whole groups of rows are left out in turn;
    a fit that does not predict them better than what ships is refused. Later plans say that they
    use it.

    Exit code 0: fitted; 1: refused.
    """
    import datetime

    from shardwright.cli.resolve import model_shape
    from shardwright.drive.local_fits import fits_file, write_fits
    from shardwright.model.plain import plain
    from shardwright.planner.calibration import calibrate
    from shardwright.planner.coefficients import use

    if forget:
        try:
            fits_file().unlink(missing_ok=True)
        except OSError as error:
            raise not_writable(fits_file(), str(error.strerror)) from error
        click.echo("predictions are as shipped again", err=True)
        return ExitCode.DONE
    rows = read_records(records, () if export else MEASURED)
    if export:
        from shardwright.bench.records import rows_to_csv

        write_text(export, rows_to_csv(rows))
        click.echo(f"{len(rows)} rows written to {export}", err=True)
        return ExitCode.DONE
    if not rows:
        raise usage_error(
            "nothing-measured", "there is no measurement to fit to",
            remedy="run shardwright bench SPEC.yaml --sweep first, or pass a table",
        )  # fmt: skip
    use(())  # what ships is what is corrected
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    outcomes, notes = calibrate(rows, model_shape, today)
    for note in notes:
        click.echo(f"left out: {note}", err=True)
    if not outcomes:
        raise usage_error(
            "nothing-to-fit", f"none of {len(rows)} rows can be used; why is said above",
            remedy="give them the columns of predict latency, and ttft_ms and tpot_ms",
        )  # fmt: skip
    fits = tuple(each.fit for each in outcomes if each.fit is not None)
    if fits and not dry_run:
        click.echo(f"written to {write_fits(fits)}", err=True)
    if output == "json":
        body = {"outcomes": plain(outcomes), "left_out": list(notes), "kept": not dry_run}
        print_json("calibration", body)
    else:
        for each in outcomes:
            click.echo(_text(each), nl=False)
    return ExitCode.DONE if fits else ExitCode.VERDICT_NO


def _text(found: Outcome) -> str:
    rows = f"{found.num_points} row{'' if found.num_points == 1 else 's'}"
    groups = found.grouped_by if found.num_groups > 1 else found.grouped_by.removesuffix("s")
    head = f"{found.gpu}, {found.engine}: {rows} of {found.num_groups} {groups}"
    lines = [head, "  mean error                TTFT    TPOT"]
    errors = (("as shipped", found.before), ("fitted", found.after),
              ("groups it has not seen", found.held_out))  # fmt: skip
    lines += [f"  {name:<22} {t:>7.1%} {p:>7.1%}" for name, e in errors if e for t, p in [e]]
    if found.factors:
        lines.append(
            "  factors  " + ", ".join(f"{name} {value:g}" for name, value in found.factors)
        )
    lines += [f"  left out: {doubt}" for doubt in found.doubts]
    if found.reason:
        lines.append(f"  refused: {found.reason}")
    elif found.grouped_by == "loads":
        lines.append("  all of few deployments: what other layouts do is not tested")
    return "\n".join(lines) + "\n"
