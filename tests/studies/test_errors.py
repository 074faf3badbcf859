"""What a user can cause is one line and no traceback; what is a bug keeps its traceback and asks for a report."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner, Result

import studies
from qnn_models.data.planted import planted_dataset
from qnn_models.models.registry import build
from qnn_models.runtime.toml import MAX_BYTES
from qnn_models.serving.trained import MODEL_FILE, save_trained
from studies.cli import LazyGroup, main
from studies.errors import EXTRAS

ROOT = Path(studies.__file__).parents[1]
TRAIN = ("train", "--dataset", "planted", "--model", "lr")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all that a user may hand over by mistake."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "file").write_text("no folder")
    (folder / "nowhere").symlink_to(folder / "gone")
    (folder / "binary.toml").write_bytes(bytes(range(256)))
    (folder / "deep.toml").write_text("a = " + "[" * 3000 + "]" * 3000)
    (folder / "utf16.toml").write_bytes('name = "x"'.encode("utf-16"))
    (folder / "digits.toml").write_text("seeds = " + "9" * 5000)
    (folder / "large.toml").write_bytes(b"#" * (MAX_BYTES + 1))
    (folder / "folder.toml").mkdir()
    (folder / "base" / "records").mkdir(parents=True)
    (folder / "base" / "tune.db").write_bytes(os.urandom(4000))
    dataset = planted_dataset(rows=(20, 20, 30)).dataset
    dataset.encoder.decode(dataset.split("test").ids).write_csv(folder / "rows.csv")
    save_trained(
        folder / "run", build("fm", dataset.layout, seed=1), dataset, name="fm", options={}, split_seed=0, report={}
    )
    save_trained(
        folder / "hurt", build("fm", dataset.layout, seed=1), dataset, name="fm", options={}, split_seed=0, report={}
    )
    content = bytearray((folder / "hurt" / MODEL_FILE).read_bytes())
    content[-1] ^= 1
    (folder / "hurt" / MODEL_FILE).write_bytes(content)
    return folder


def qnn(*arguments: str) -> Result:
    threads = torch.get_num_threads()
    try:
        return CliRunner().invoke(main, arguments)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*TRAIN, "--out", "@file"], "file is a file; name another place by --out"),
        ([*TRAIN, "--out", "@file/under"], "file is a file; name another place by --out"),
        ([*TRAIN, "--out", "@nowhere"], "is a link to nowhere"),
        ([*TRAIN, "--out", "/proc/nobody"], "/proc: "),
        ([*TRAIN, "--device", "cuda:7"], "CUDA devices, however: device='cuda:7'; use auto or cpu"),
        ([*TRAIN, "--threads", "0"], "0 is not in the range"),
        ([*TRAIN, "--set", "max_epochs=[[1]]"], "however: [[1]]"),
        ([*TRAIN, "--set", "max_epochs=" + "[" * 3000], "must be int"),
        ([*TRAIN, "--set", "max_epochs=1\nb=2"], "must be int"),
        (["study", "run", "formats", "--results", "@file"], "name another place by"),
        (["study", "run", "formats", "--store", "@file/under"], "name another place by --store"),
        (["study", "run", "formats", "--jobs", "0"], "0 is not in the range"),
        (["study", "run", "formats", "--seeds", "-3"], "1 to 10000 seeds, however: seeds=-3"),
        (["study", "run", "formats", "--seeds", "1000000000000000"], "1 to 10000 seeds"),
        (["study", "run", "@binary.toml"], "binary.toml: not TOML: byte 128 is not UTF-8"),
        (["study", "run", "@deep.toml"], "deep.toml: not TOML that can be read: it is nested too deeply"),
        (["study", "run", "@utf16.toml"], "utf16.toml: not TOML: it is text in UTF-16; save it as UTF-8"),
        (["study", "run", "@digits.toml"], "digits.toml: not TOML: Exceeds the limit"),
        (["study", "run", "@large.toml"], "large.toml: not TOML: it holds more than 4 MiB"),
        (["study", "run", "@folder.toml"], "there is no file"),
        (["study", "status", "formats", "--store", "@file"], "cannot be used: Not a directory"),
        (["study", "collect", "formats", "--results", "@file"], "name another place by --results"),
        (["tune", "@binary.toml"], "binary.toml: not TOML"),
        (["tune", "@deep.toml"], "nested too deeply"),
        (["tune", "@utf16.toml"], "UTF-16"),
        (["tune", "--results", "@file"], "name another place by --results"),
        (["tune", "--results", "@base", "--trials", "1"], "tune.db: file is not a database"),
        (["bench", "--device", "cuda:7"], "CUDA devices, however"),
        (["bench", "--out", "@file/x.json"], "name another place by --out"),
        (["predict", "@gone", "@rows.csv"], "make one with `qnn train --out`"),
        (["predict", "@file", "@rows.csv"], "make one with `qnn train --out`"),
        (["predict", "@hurt", "@rows.csv"], "model.safetensors is not (its content is not what its checksum was made of)"),
        (["predict", "@run", "@rows.csv", "--out", "@file/p.csv"], "name another place by --out"),
        (["export", "@gone"], "make one with `qnn train --out`"),
        (["export", "@hurt"], "make it again with `qnn train --out`"),
        (["export", "@run", "--out", "@file/m.pt2"], "name another place by --out"),
        (["explain", "@gone"], "make one with `qnn train --out`"),
        (["explain", "@hurt"], "make it again with `qnn train --out`"),
        (["explain", "@run", "--out", "@file/x"], "name another place by --out"),
        (["figures", "--out", "@file/x"], "name another place by --out"),
        (["report", "--out", "@file/x.html"], "name another place by --out"),
        (["reproduce", "--results", "@file/x"], "name another place by --results"),
        (["reproduce", "--jobs", "0"], "0 is not in the range"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(value)[:60],
)  # fmt: skip
def test_what_a_user_can_cause_is_one_line_before_the_work(arguments: list[str], message: str, place: Path) -> None:
    result = qnn(*(f"{place}/{argument[1:]}" if argument.startswith("@") else argument for argument in arguments))
    assert result.exit_code == 2, result.output
    assert isinstance(result.exception, SystemExit)
    assert message in result.output
    assert "bug" not in result.output


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999999999"])
def test_every_whole_number_is_a_seed(seed: str) -> None:
    result = qnn(*TRAIN, "--seed", seed, "--split-seed", seed, "--set", "max_epochs=1")
    assert result.exit_code == 0, result.output


def _go(code: str) -> Result:
    """A command whose body is this code, as a module of ours."""
    body = compile(code, "studies/commands/made_up.py", "exec")

    @click.command(context_settings={"ignore_unknown_options": True})
    @click.argument("words", nargs=-1)
    def go(words: tuple[str, ...]) -> None:
        exec(body, {"__name__": "studies.commands.made_up"})

    group = LazyGroup("qnn")
    group.add_command(go, "go")
    group.get_command = lambda context, name: go  # type: ignore[method-assign]
    return CliRunner().invoke(group, ["go", "--out", "a b"])


@pytest.mark.parametrize(
    ("code", "exit_code", "message"),
    [
        ("raise ValueError('Rule, however: value; remedy.')", 2, "Error: Rule, however: value; remedy.\n"),
        ("raise KeyError('Rule, however: value.')", 2, "Error: Rule, however: value.\n"),
        (
            "raise FloatingPointError('The loss is finite, however: nan.')",
            1,
            "Error: The loss is finite, however: nan.\n",
        ),
        ("raise MemoryError('The batch fits, however: not.')", 1, "Error: The batch fits, however: not.\n"),
        (
            "raise OSError(28, 'No space left on device')",
            2,
            "The disk cannot be used: No space left on device; free some space",
        ),
        ("open('/nowhere/at/all')", 2, "/nowhere/at/all cannot be used: No such file or directory"),
        ("import numpy; numpy.empty(2**50)", 1, "The machine has too little memory for this (Unable to allocate"),
        (
            "import not_there",
            1,
            "This needs the library not_there, however it is not installed: pip install not_there.",
        ),
    ],
)
def test_messages(code: str, exit_code: int, message: str) -> None:
    result = _go(code)
    assert result.exit_code == exit_code, result.output
    assert message in result.output


@pytest.mark.parametrize(
    "code",
    [
        "max(())",  # a built-in's ValueError is no message of ours, though it is raised in our frame
        "int('a b')",
        "{}['a key of ours']",
        "raise TypeError('not what it takes')",
        "raise ValueError('bare')",
        "import json; json.loads('no json')",
        "import studies.not_there",
        "assert False, 'it must hold'",
    ],
)
def test_a_bug_keeps_its_traceback_and_asks_for_a_report(code: str) -> None:
    result = _go(code)
    assert result.exit_code == 1
    assert result.exception is not None
    (note,) = result.exception.__notes__
    assert "Please report it" in note
    assert "command  qnn go --out 'a b'" in note
    assert re.search(r"version  \S+", note)


def test_the_extras_are_those_of_the_distribution() -> None:
    imported = {"scikit-learn": "sklearn", "tomli-w": "tomli_w"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        extra: {
            imported.get(name, name)
            for name in (re.split(r"[<>=\[;\s]", requirement)[0] for requirement in requirements)
            if name != "qnn-toolkit"
        }
        for extra, requirements in project["optional-dependencies"].items()
        if extra != "dev"
    }
    assert {extra: set(modules) for extra, modules in EXTRAS.items()} == declared


WITHOUT = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from studies.cli import main
main({arguments!r})
"""
HEAVY = (*EXTRAS["models"], *EXTRAS["studies"])


@pytest.mark.parametrize(
    ("absent", "arguments", "extra"),
    [
        (HEAVY, ["train", "--dataset", "planted"], "models"),
        (HEAVY, ["data", "list"], "models"),
        (HEAVY, ["predict", "run", "rows.csv"], "models"),
        (HEAVY, ["export", "run"], "models"),
        (HEAVY, ["bench"], "models"),
        (EXTRAS["studies"], ["study", "list"], "studies"),
        (EXTRAS["studies"], ["study", "run", "formats"], "studies"),
        (EXTRAS["studies"], ["figures", "--list"], "studies"),
        (EXTRAS["studies"], ["report"], "studies"),
        (EXTRAS["tune"], ["tune"], "tune"),
    ],
    ids=lambda value: " ".join(value)[:40],
)
def test_a_missing_extra_is_named(absent: tuple[str, ...], arguments: list[str], extra: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-P", "-c", WITHOUT.format(absent=set(absent), arguments=arguments)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 1, ran.stderr
    assert f"however it is not installed: pip install 'qnn-toolkit[{extra}]'." in ran.stderr
    assert "Traceback" not in ran.stderr


FULL = """
import resource, signal
from studies.cli import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
main({arguments!r})
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", "--dataset", "planted", "--model", "dnn", "--set", "max_epochs=1", "--out", "OUT"],
        ["predict", "RUN", "ROWS", "--out", "OUT/p.csv"],
        ["export", "RUN", "--out", "OUT/m.pt2"],
    ],
    ids=lambda arguments: " ".join(arguments[:1] + arguments[-1:]),
)
def test_a_disk_that_becomes_full_is_one_line_and_leaves_no_half_file(
    arguments: list[str], place: Path, tmp_path: Path
) -> None:
    rows = (place / "rows.csv").read_text().splitlines()
    (tmp_path / "rows.csv").write_text("\n".join([rows[0], *(rows[1:] * 60)]) + "\n")
    out = tmp_path / "out"
    names = {"OUT": str(out), "RUN": str(place / "run"), "ROWS": str(tmp_path / "rows.csv")}
    given = [re.sub("^(OUT|RUN|ROWS)", lambda found: names[found[0]], argument) for argument in arguments]
    ran = subprocess.run(
        [sys.executable, "-c", FULL.format(arguments=given)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 2, ran.stderr
    assert "Traceback" not in ran.stderr
    assert "lift the limit of the size of files" in ran.stderr
    # The few lines that tell of the run are there, and whole.
    assert [path for path in out.rglob("*") if path.is_file() and path.name != "run.toml"] == []
