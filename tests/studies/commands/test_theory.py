"""`qnn` starts light, lists what is there, says clearly what is wrong; the theory commands print what the theory computes."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import qnn_theory as qt
from qnn_theory import registry
from qnn_theory.feature_spaces.feature_space import feature_space
from studies import cli
from studies.cli import COMMANDS, LazyCommand, LazyGroup, main

THEORY = [
    ["formats"],
    ["show", "T9"],
    ["show", "T19~gelu+relu", "--latex", "--no-nearest"],
    ["relate", "T9", "T22"],
    ["claims"],
]


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("arguments", [["--help"], *THEORY], ids=" ".join)
def test_theory_never_imports_torch(arguments: list[str]) -> None:
    code = f"""
import sys
from pathlib import Path
from studies.cli import main
try:
    main({arguments!r})
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = {{"torch", "polars", "pyarrow", "matplotlib", "sklearn"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_imports_neither_sympy_nor_numpy() -> None:
    code = "import sys; from studies.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "assert not {'sympy', 'numpy', 'flint'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_overview_lists_the_commands_by_section() -> None:
    output = run("--help")
    assert output.index("Theory:") < output.index("  formats ") < output.index("  claims ")
    for name, command in COMMANDS.items():
        assert (f"  {name} " in output) == command.exists()


@pytest.mark.parametrize("name", [name for name, command in COMMANDS.items() if command.exists()])
def test_every_listed_command_loads_and_explains_itself(name: str) -> None:
    assert "Usage:" in run(name, "--help")
    assert COMMANDS[name].summary.endswith(".")


def lazy(**targets: str) -> LazyGroup:
    return LazyGroup("qnn", lazy={name: LazyCommand(target, "Section", "Does it.") for name, target in targets.items()})


def test_a_missing_module_is_not_listed_and_not_found() -> None:
    group = lazy(gone="studies.commands.not_there:gone", show="studies.commands.theory:show")
    output = CliRunner().invoke(group, ["--help"]).output
    assert "show" in output
    assert "gone" not in output
    assert CliRunner().invoke(group, ["gone"]).exit_code == 2


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: LazyCommand) -> click.Command:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(cli.LazyCommand, "load", load)
    result = CliRunner().invoke(lazy(show="studies.commands.theory:show"), ["show", "T9"])
    assert result.exit_code == 1
    assert "needs the library torch, however it is not installed: pip install 'qnn-toolkit[models]'" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "T99"], "'T99'; the nearest is 'T9'"),
        (["show", "T13", "--dim", "7"], "T13 joins two half-width parts, so d must be even, however: d=7."),
        (["show", "T9+softmax"], "one of relu, relu6"),
        (["show", "T9", "--depth", "0"], "The depth is a positive integer, however: depth=0."),
    ],
)
def test_a_mistake_is_one_line_without_traceback(
    arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert result.output.startswith("Error: ")
    assert message in result.output
    assert result.output.count("\n") == 1
    monkeypatch.setenv("QNN_DEBUG", "1")
    assert isinstance(CliRunner().invoke(main, arguments).exception, ValueError | KeyError)


def test_a_bug_keeps_its_traceback() -> None:
    @click.command()
    def broken() -> None:
        json.loads("no json")  # raised by a library, not by us

    @click.command()
    def look_up() -> None:
        {}["key"]  # a bare key is no message

    for command, error in ((broken, json.JSONDecodeError), (look_up, KeyError)):
        group = LazyGroup("qnn")
        group.add_command(command, "go")
        group.get_command = lambda context, name, command=command: command  # type: ignore[method-assign]
        assert isinstance(CliRunner().invoke(group, ["go"]).exception, error)


def test_an_unreadable_file_is_the_users_to_mend() -> None:
    @click.command()
    def read() -> None:
        Path("/nowhere/at/all.toml").read_text(encoding="utf-8")

    group = LazyGroup("qnn")
    group.get_command = lambda context, name: read  # type: ignore[method-assign]
    result = CliRunner().invoke(group, ["read"])
    assert result.exit_code == 2
    assert "/nowhere/at/all.toml cannot be used: No such file or directory" in result.output


def test_formats_lists_the_registry_in_order() -> None:
    listed = json.loads(run("formats", "--json"))
    assert [entry["id"] for entry in listed] == [format.id for format in qt.formats()]
    text = run("formats")
    assert all(format.id in text for format in qt.formats())
    assert run("formats", "--latex").count(r"\\") == len(qt.formats()) + 1
    assert run("formats", "--markdown").count("\n| ") == len(qt.formats()) + 2


@pytest.mark.parametrize("rendering", ["--json", "--markdown", "--latex"])
def test_show_in_every_rendering(rendering: str) -> None:
    output = run("show", "T28", rendering)
    if rendering == "--json":
        card = json.loads(output)
        assert card["smoothness"]["order"] == 1
        assert card["effective_dimension"] == card["effective_dimension"] | {"parameters": 40, "dimension": 40}
    elif rendering == "--latex":
        assert output.count(r"\toprule") == output.count(r"\bottomrule") == 1
    else:
        assert output.startswith("**T28")


def test_show_takes_width_and_depth() -> None:
    card = json.loads(run("show", "T9", "--dim", "3", "--depth", "2", "--json"))
    assert (card["dim"], card["depth"]) == (3, 2)
    assert card["support"]["size"] == feature_space("T9", dim=3, depth=2).dimension


def test_relate_prints_the_certificate() -> None:
    assert "alpha' = 0" in run("relate", "T9", "T22")
    assert json.loads(run("relate", "T4+relu", "T4", "--json"))["kind"] == "equivalent"
    assert "W\\_\\allowbreak{}a" in run("relate", "T9", "T22", "--latex")
    assert run("relate", "T9", "T5", "--markdown").startswith("**T9 is contained in T5")


def test_certificates_are_written_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "new" / "T9-T5.json"
    run("relate", "T9", "T5", "--certificate", str(file))
    accepted = run("check", str(file)).splitlines()
    assert [line.split(" (")[0] for line in accepted] == ["accepted: T9 ⊆ T5", "accepted: T5 ⊄ T9"]
    text = file.read_text()
    for changed, code, said in (
        (text.replace("T9", "T8"), 1, "rejected: 'T8' is not"),
        (text.replace('"dim": 4', '"dim": 5'), 1, "rejected: the file was changed"),
        ("", 1, "rejected: the file is no JSON text"),
    ):
        file.write_text(changed)
        result = CliRunner().invoke(main, ["check", str(file)])
        assert (result.exit_code, result.output.startswith(said)) == (code, True), result.output
    run("relate", "x * silu(affine('W'))", "T9", "--certificate", str(file))
    result = CliRunner().invoke(main, ["check", str(file)])
    assert result.exit_code == (3 if "not checked" in result.output else 0)
    assert "accepted: x * silu" in result.output
    missing = CliRunner().invoke(main, ["check", str(tmp_path / "none.json")])
    assert (missing.exit_code, "does not exist" in missing.output) == (2, True)


def test_certificates_of_named_formats_need_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_own", {})
    formats, file = tmp_path / "mine.toml", tmp_path / "mine.json"
    formats.write_text("[formats]\nmine = 'x * affine(\"W\") + x'\n")
    run("relate", "mine", "T9", "--formats", str(formats), "--certificate", str(file))
    assert run("check", str(file), "--formats", str(formats)).count("accepted: ") == 2
    monkeypatch.setattr(registry, "_own", {})
    result = CliRunner().invoke(main, ["check", str(file)])
    assert (result.exit_code, "no format that is known here" in result.output) == (1, True)


def test_claims_state_verdict_and_evidence() -> None:
    listed = json.loads(run("claims", "--json"))
    assert {entry["verdict"] for entry in listed} <= {"holds", "fails", "not decidable here"}
    assert {"T22-differs-from-T9": "fails", "rows-inert": "holds"}.items() <= {
        entry["id"]: entry["verdict"] for entry in listed
    }.items()
    assert all(entry["evidence"] and entry["computed_by"] for entry in listed)
    assert run("claims", "--latex").isascii()


def cpu_seconds(*arguments: str) -> float:
    """CPU time of the whole process, so that a busy machine does not matter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "studies.cli", *arguments], capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.parametrize("arguments", [["show", "T9"], ["relate", "T9", "T22"], ["formats"]], ids=" ".join)
def test_theory_commands_start_in_under_a_second(arguments: list[str]) -> None:
    assert any(cpu_seconds(*arguments) < 1 for _ in range(3))


def test_formulas_and_named_formats_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_own", {})
    assert "equivalent" in run("relate", 'x * affine("V") + x', "T9")
    assert "x ⊙ relu(W_a x) + x" in run("show", 'x * relu(affine("W_a")) + x')
    file = tmp_path / "mine.toml"
    file.write_text("[formats]\nmine = 'x * affine(\"W\") + x'\n")
    assert "equivalent" in run("relate", "mine", "T9", "--formats", str(file))
    assert "mine" in run(f"--formats={file}", "formats")
    assert [entry["example"] for entry in json.loads(run("formats", "--grammar", "--json"))]
    result = CliRunner().invoke(cli.main, ["show", 'x * afine("W")'])
    assert result.exit_code == 2
    assert "column 5" in result.output
    assert result.output.rstrip().endswith("^")
