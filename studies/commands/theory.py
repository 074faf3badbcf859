"""`qnn formats | show | relate | check | claims`: the theory on the terminal. Starts without torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from qnn_theory.cards.tables import Rendering, Table

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _rendering_options(command: _Command) -> _Command:
    """``--json``, ``--markdown``, ``--latex``: the last one given counts; none is the terminal."""
    for name, help in (("latex", "LaTeX, booktabs"), ("markdown", "a Markdown table"), ("json", "JSON")):
        command = click.option(f"--{name}", "rendering", flag_value=name, help=f"Print {help}.")(command)
    return command


def _print(table: Table, rendering: Rendering | None) -> None:
    from qnn_theory.cards.tables import render

    click.echo(render(table, rendering or "text"))


@click.command()
@click.option("--grammar", is_flag=True, help="The grammar alone, as JSON, Markdown or LaTeX too.")
@click.option("--references", is_flag=True, help="The well-known layers alone, as JSON, Markdown or LaTeX too.")
@_rendering_options
def formats(grammar: bool, references: bool, rendering: Rendering | None) -> None:
    """List the formats, with cost and smoothness class of one layer, well-known layers that have a name, and the grammar.

    As JSON, Markdown or LaTeX it is the formats alone, unless --references or --grammar asks for these.
    """
    from qnn_theory.cards.grammar_table import grammar_table
    from qnn_theory.cards.overviews import formats_table, references_table

    chosen = [table for table, asked in ((references_table, references), (grammar_table, grammar)) if asked]
    if not chosen:
        chosen = [formats_table] if rendering else [formats_table, references_table, grammar_table]
    if len(chosen) > 1 and rendering == "json":
        raise click.UsageError("JSON is one table, however: --references and --grammar were both given; ask for one.")
    for number, table in enumerate(chosen):
        if number:
            click.echo()
        _print(table(), rendering)


@click.command()
@click.argument("format")
@click.option("--dim", type=int, help="Input width d for sizes and dimensions; the smallest from 4 up that fits.")
@click.option("--depth", type=int, default=1, show_default=True, help="Number of layers.")
@click.option("--relations", is_flag=True, help="Place it among all registered formats as well; takes seconds.")
@click.option(
    "--nearest/--no-nearest",
    default=True,
    help="Whether the nearest formats and well-known layers are named; they are.",
)
@_rendering_options
def show(format: str, dim: int | None, depth: int, relations: bool, nearest: bool, rendering: Rendering | None) -> None:
    """Show everything known of one FORMAT: an id as T9, T19~gelu+relu (mid- and post-activation), a name as SwiGLU, or a formula.

    qnn show 'x * relu(affine("W_a")) + x'
    The nearest formats of a formula are found in a few seconds; --no-nearest leaves them out.
    """
    from qnn_theory.cards.format_card import format_card

    _print(format_card(format, dim=dim, depth=depth, relations=relations, neighbours=nearest), rendering)


@click.command()
@click.argument("first")
@click.argument("second")
@click.option("--depth", type=int, default=1, show_default=True, help="Compare stacks of this many layers.")
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    help="Seconds for the pair.",
)
@click.option(
    "--certificate",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Also write the certificate as JSON, for `qnn check`.",
)
@_rendering_options
def relate(first: str, second: str, depth: int, budget: float, file: Path | None, rendering: Rendering | None) -> None:
    """Compare what FIRST and SECOND can express, for instance T9 T22, and print the certificate.

    Each is an id or a formula: qnn relate 'x * affine("V", affine("U", width=1/2)) + x' T9
    A direction that is not decided within the budget is open and says so.
    """
    from qnn_theory.cards.overviews import relation_table
    from qnn_theory.relations.relation import relation

    found = relation(first, second, depth=depth, budget=budget)
    _print(relation_table(found), rendering)
    if file is not None:
        from qnn_theory.relations.certificate_files import certificate_text
        from studies.running.record import write_whole

        write_whole(file, certificate_text(first, second, found))


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--budget", type=click.FloatRange(min=0), help="CPU seconds for each direction; 60.")
def check(file: Path, budget: float | None) -> None:
    """Accept or reject the certificate in FILE, which `qnn relate A B --certificate FILE` wrote.

    The checker is a program of its own, which shares no code with the search for certificates. Exit code 0: accepted;
    1: rejected; 3: nothing is wrong, but a direction is open or of a kind that cannot be checked.
    """
    from qnn_theory.checking.document import SECONDS, check_text
    from qnn_theory.grammar.readings.formula_text import to_formula
    from qnn_theory.registry import get_format

    def formula_of(name: str) -> str | None:
        try:
            return to_formula(get_format(name).expr)
        except (KeyError, ValueError):
            return None

    seconds = SECONDS if budget is None else budget
    found = check_text(file.read_bytes(), formula_of=formula_of, seconds=seconds)
    for line in found.lines:
        click.echo(line)
    click.get_current_context().exit({"accepted": 0, "rejected": 1, "not checked": 3}[found.status])


@click.command()
@_rendering_options
def claims(rendering: Rendering | None) -> None:
    """Check the paper's computable claims: verdict, evidence, and where each was computed."""
    from qnn_theory.cards.overviews import claims_table
    from qnn_theory.paper_claims.claims import claims as all_claims

    _print(claims_table(all_claims()), rendering)
