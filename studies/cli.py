"""The `qnn` command line: a table of commands, each loaded only when it is called.

`qnn --help` and the theory commands start without torch. A new command is one line in `COMMANDS`; a line whose module
is missing is not listed.
"""

from __future__ import annotations

import importlib
import itertools
import os
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from types import TracebackType
from typing import Any

import click


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """Where a command lives, and what the overview says of it without loading it.

    Attributes:
        target: ``module:object``.
        section: heading of the overview it stands under.
        summary: one line of help.
    """

    target: str
    section: str
    summary: str

    @property
    def module(self) -> str:
        """The module of `target`."""
        return self.target.partition(":")[0]

    def exists(self) -> bool:
        """Whether the module is there; it is not imported to find out."""
        return find_spec(self.module) is not None

    def load(self) -> click.Command:
        """Import the module and take the command out of it."""
        command = getattr(importlib.import_module(self.module), self.target.partition(":")[2])
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.target} must be a click command, however: {type(command).__name__}.")
        return command


def _commands(module: str, section: str, **summaries: str) -> dict[str, LazyCommand]:
    return {
        name: LazyCommand(f"studies.commands.{module}:{name}", section, summary) for name, summary in summaries.items()
    }


# Commands of figures are by name only: an import would point from studies to figures, which the layers forbid.
COMMANDS: dict[str, LazyCommand] = {
    **_commands(
        "theory",
        "Theory",
        formats="List the registered formats.",
        show="Show everything known of one format: its card.",
        relate="Compare two formats and print the certificate.",
        claims="Check the paper's claims.",
    ),
    **_commands("data", "Models", data="List and prepare data sets."),
    **_commands("train", "Models", train="Train one model on one data set."),
    **_commands("predict", "Models", predict="Score new rows with a trained model."),
    **_commands("export", "Models", export="Write a trained model as torch.export program or ONNX."),
    "explain": LazyCommand(
        "figures.commands.explain_command:explain", "Models", "Show the field interactions of a trained model."
    ),
    **_commands("study", "Studies", study="Run a declared study, see its progress, collect its results."),
    **_commands("tune", "Studies", tune="Search hyper-parameters."),
    "reproduce": LazyCommand(
        "figures.commands.reproduce:reproduce", "Studies", "The main job: data, format study, table, figures."
    ),
    "figures": LazyCommand(
        "figures.commands.figures_command:figures", "Figures", "Draw figures and tables from results."
    ),
    "report": LazyCommand("figures.commands.figures_command:report", "Figures", "Write the HTML report."),
    **_commands("bench", "Performance", bench="Measure speed and memory against the baseline."),
}

OWN_PACKAGES = ("qnn_theory", "qnn_models", "studies", "figures")


class LazyGroup(click.Group):
    """A group that knows its commands by name and loads one when it is called."""

    def __init__(self, *args: Any, lazy: dict[str, LazyCommand] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lazy = lazy or {}

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """``--formats FILE`` may stand anywhere, as it is about every command."""
        first, rest = [], []
        words = iter(args)
        for word in words:
            if word == "--":
                rest += [word, *words]
            elif word == "--formats":
                first += [word, *itertools.islice(words, 1)]
            elif word.startswith("--formats="):
                first.append(word)
            else:
                rest.append(word)
        return super().parse_args(ctx, first + rest)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names whose module is there, in the order of the table."""
        return [name for name, command in self.lazy.items() if command.exists()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command; None where there is none of this name.

        Raises:
            click.ClickException: the command needs a library that is not installed.
        """
        entry = self.lazy.get(cmd_name)
        if entry is None or not entry.exists():
            return None
        try:
            return entry.load()
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in OWN_PACKAGES:
                raise
            raise click.ClickException(
                f"`qnn {cmd_name}` needs the library {error.name}; install it with: pip install 'qnn-toolkit[studies]'."
            ) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the overview, section by section, without loading a command."""
        names = self.list_commands(ctx)
        width = max(map(len, names), default=0)
        for section in dict.fromkeys(self.lazy[name].section for name in names):
            with formatter.section(section):
                formatter.write_dl(
                    [
                        (name.ljust(width), self.lazy[name].summary)
                        for name in names
                        if self.lazy[name].section == section
                    ]
                )

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a mistake of the user is one line on stderr and exit code 2, without a traceback."""
        try:
            return super().invoke(ctx)
        except (ValueError, KeyError, OSError) as error:
            if os.environ.get("QNN_DEBUG") or not is_user_error(error):
                raise
            raise _UserError(error) from error


class _UserError(click.ClickException):
    exit_code = 2

    def __init__(self, error: Exception) -> None:
        # str() of a KeyError is the repr of its text.
        super().__init__(str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error))


def is_user_error(error: Exception) -> bool:
    """Whether our own code raised it as a message to the user; a library's error is a bug and keeps its traceback.

    A file that cannot be read or written is the user's to mend, wherever it was noticed.
    """
    if isinstance(error, OSError) and error.filename is not None:
        return True
    return _raised_in(error.__traceback__).partition(".")[0] in OWN_PACKAGES and _is_message(error)


def _is_message(error: Exception) -> bool:
    """A sentence, not the bare key of a failed look-up."""
    return bool(error.args) and isinstance(error.args[0], str) and " " in error.args[0]


def _raised_in(traceback: TracebackType | None) -> str:
    name = ""
    while traceback is not None:
        name = str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next
    return name


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(package_name="qnn-toolkit", prog_name="qnn")
@click.option(
    "--formats",
    "format_files",
    multiple=True,
    metavar="FILE",
    help="Know the formats of a .toml or .py file by name (a .py file is run); may stand after the command, and more than once.",
)
def main(format_files: tuple[str, ...]) -> None:
    """Quadratic neural networks for click-through-rate prediction: theory, training, studies, figures.

    Wherever a format is asked for, an id such as T9 or a formula such as 'x * affine("W") + x' will do; `qnn formats` lists both.
    """
    if format_files:
        from qnn_theory.format_files import load_formats
        from qnn_theory.registry import add_formats

        for file in format_files:
            add_formats(load_formats(file))


if __name__ == "__main__":
    sys.exit(main())
