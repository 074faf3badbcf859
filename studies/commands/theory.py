"""`qnn formats | show | relate | claims`: the theory on the terminal. Starts without torch."""

from __future__ import annotations

from collections.abc import Callable
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
@_rendering_options
def formats(rendering: Rendering | None) -> None:
    """List the registered formats: formula, cost and smoothness class of one layer."""
    from qnn_theory.cards.overviews import formats_table

    _print(formats_table(), rendering)


@click.command()
@click.argument("format")
@click.option("--dim", type=int, help="Input width d for sizes and dimensions; the smallest from 4 up that fits.")
@click.option("--depth", type=int, default=1, show_default=True, help="Number of layers.")
@click.option("--relations", is_flag=True, help="Place it among all registered formats as well; takes seconds.")
@_rendering_options
def show(format: str, dim: int | None, depth: int, relations: bool, rendering: Rendering | None) -> None:
    """Show everything known of one FORMAT, for instance T9, or T19~gelu+relu (mid- and post-activation)."""
    from qnn_theory.cards.format_card import format_card

    _print(format_card(format, dim=dim, depth=depth, relations=relations), rendering)


@click.command()
@click.argument("first")
@click.argument("second")
@_rendering_options
def relate(first: str, second: str, rendering: Rendering | None) -> None:
    """Compare what FIRST and SECOND can express, for instance T9 T22, and print the certificate."""
    from qnn_theory.cards.overviews import relation_table
    from qnn_theory.cards.read_format import read_format
    from qnn_theory.relations.relation import relation

    _print(relation_table(relation(read_format(first), read_format(second))), rendering)


@click.command()
@_rendering_options
def claims(rendering: Rendering | None) -> None:
    """Check the paper's computable claims: verdict, evidence, and where each was computed."""
    from qnn_theory.cards.overviews import claims_table
    from qnn_theory.paper_claims.claims import claims as all_claims

    _print(claims_table(all_claims()), rendering)
