"""Several processes against one: the same updates within rounding, one opinion on when to stop, and how they end and go on."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from click.testing import CliRunner
from torch import Tensor, nn

from qnn_models.layers.batch_norm import SynchronisedBatchNorm1d, synchronised
from qnn_models.models.registry import build, model_names
from qnn_models.runtime.distributed import ALONE, Processes, ProcessLostError, explained_loss
from qnn_models.training.checkpoint import read_checkpoint
from qnn_models.training.config import TrainResult
from qnn_models.training.loop import train
from studies.cli import main
from tests.qnn_models import distributed_cases as cases

# Dropout draws other masks, and BatchNorm of two equal rows puts every channel on ReLU's kink, where rounding decides.
FOLLOWING = [name for name in cases.CASES if name not in ("dropout", "streamed_norm")]


pytestmark = pytest.mark.usefixtures("one_thread")


def torchrun(count: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}
    return subprocess.run(
        [*launcher, *arguments], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


class Outcome:
    """What the processes of one launch left."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count
        ended = torchrun(count, cases.__file__, str(folder))
        assert ended.returncode == 0, ended.stderr

    def of(self, case: str) -> list[tuple[dict[str, Tensor], dict[str, Any]]]:
        """Weights and result of each process."""
        return [read_checkpoint(self.folder / f"{case}-{rank}.safetensors") for rank in range(self.count)]


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)])
def outcome(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return Outcome(tmp_path_factory.mktemp("processes"), request.param)


@pytest.fixture(scope="module")
def alone() -> dict[str, tuple[TrainResult, nn.Module]]:
    return {case: cases.run(case) for case in FOLLOWING}


def assert_follows(weights: dict[str, Tensor], result: dict[str, Any], expected: TrainResult, model: nn.Module) -> None:
    """Weights in double precision to 1e-7: sums in another order differ by 1e-16, which Adam's division enlarges."""
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, rtol=1e-7, atol=1e-9, msg=name)
    for record, entry in zip(expected.history, result["history"], strict=True):
        assert entry["learning_rate"] == record.learning_rate
        assert entry["train_loss"] == pytest.approx(record.train_loss, rel=1e-6)
        assert entry["valid_auc"] == pytest.approx(record.valid_auc, abs=1e-9)
    assert result["best_epoch"] == expected.best_epoch
    assert result["test_auc"] == pytest.approx(expected.test_auc, abs=1e-9)
    assert result["test_logloss"] == pytest.approx(expected.test_logloss, rel=1e-6)


@pytest.mark.parametrize("case", FOLLOWING)
def test_several_processes_follow_one(
    outcome: Outcome, alone: dict[str, tuple[TrainResult, nn.Module]], case: str
) -> None:
    assert_follows(*outcome.of(case)[0], *alone[case])


def test_the_stalling_case_drops_its_rate_and_stops_early(alone: dict[str, tuple[TrainResult, nn.Module]]) -> None:
    history = alone["stalls"][0].history
    assert len(history) < cases.CASES["stalls"][2].max_epochs
    assert history[-1].learning_rate < history[0].learning_rate


@pytest.mark.parametrize("case", [*cases.CASES, "resumed"])
def test_all_processes_end_with_the_same_bits_and_metrics(outcome: Outcome, case: str) -> None:
    (weights, result), *others = outcome.of(case)
    for other_weights, other_result in others:
        for name, tensor in weights.items():
            assert torch.equal(other_weights[name], tensor), name
        assert without_times(other_result) == without_times(result)


def test_killed_within_an_epoch_and_resumed_ends_with_the_same_bits(outcome: Outcome) -> None:
    (weights, result), (resumed, resumed_result) = outcome.of("dropout")[0], outcome.of("resumed")[0]
    assert without_times(resumed_result) == without_times(result)
    for name, tensor in weights.items():
        assert torch.equal(resumed[name], tensor), name


def test_each_process_draws_masks_of_its_own(outcome: Outcome) -> None:
    streams = read_checkpoint(outcome.folder / "dropout" / "checkpoint.safetensors")[1]["dropout"]
    assert len({tuple(stream["sources"]) for stream in streams}) == outcome.count


def test_only_the_first_process_writes(outcome: Outcome) -> None:
    assert not (outcome.folder / "nowhere").exists()


def test_what_several_processes_began_one_process_ends(
    outcome: Outcome, alone: dict[str, tuple[TrainResult, nn.Module]], tmp_path: Path
) -> None:
    shutil.copytree(outcome.folder / "batch_norm", tmp_path / "kept")
    state = read_checkpoint(tmp_path / "kept" / "checkpoint.safetensors")[1]["loop"]
    assert (state["epoch"], state["batch"]) == (2, 3)
    model = cases.model("batch_norm", seed=7)
    result = train(
        model, cases.planted().dataset, cases.CASES["batch_norm"][2], device="cpu", checkpoint=tmp_path / "kept"
    )
    kept = {name: tensor.detach() for name, tensor in model.state_dict().items()}
    assert_follows(kept, as_json(result), *alone["batch_norm"])


def test_a_killed_process_ends_the_run_and_the_same_command_resumes_it(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(
        textwrap.dedent("""
        import os, signal, sys
        from qnn_models.training import loop as training
        from studies.cli import main
        real, steps = training._Loop._step, iter(range(100))
        def step(*arguments):
            if next(steps) == 7 and os.environ["RANK"] == "1":
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments)
        training._Loop._step = step
        main()
    """)
    )
    command = ["train", "--dataset", "planted", "--model", "quadratic", "--set", "layers=1", "--set", "dropout=0.0"]
    command += ["--set", "max_epochs=2", "--threads", "1", "--device", "cpu", "--json", "--out", str(tmp_path / "run")]
    ended = torchrun(2, str(script), *command)
    assert ended.returncode != 0
    assert ended.stdout == ""
    assert "process 0 of 2 lost the others" in ended.stderr
    assert "start the same command again" in ended.stderr
    kept = read_checkpoint(tmp_path / "run" / "checkpoint" / "checkpoint.safetensors")[1]["loop"]
    assert (kept["epoch"], len(kept["history"])) == (2, 1)
    alone = CliRunner().invoke(main, command)
    assert alone.exit_code == 0, alone.output
    assert (tmp_path / "run" / "model.safetensors").is_file()
    undisturbed = json.loads(CliRunner().invoke(main, command[: command.index("--out")]).stdout)
    # In single precision.
    assert json.loads(alone.stdout)["test_auc"] == pytest.approx(undisturbed["test_auc"], abs=2e-3)


def test_a_process_says_why_it_ends_when_it_is_terminated_within_a_computation() -> None:
    script = textwrap.dedent("""
        import os, signal, time
        from qnn_models.runtime.distributed import Processes, _told_when_terminated
        with _told_when_terminated(Processes(rank=1, count=2)):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
    """)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 128 + signal.SIGTERM
    assert "process 1 of 2 lost the others (SIGTERM" in ended.stderr


def test_shares_are_consecutive_whole_and_even() -> None:
    for rows in range(8):
        batch = list(range(rows))
        shares = [batch[Processes(rank=rank, count=3).share(rows)] for rank in range(3)]
        assert [row for share in shares for row in share] == batch
        assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_alone_every_exchange_returns_what_it_was_given() -> None:
    rows = torch.arange(3.0)
    ALONE.add([rows])
    assert ALONE.gather_rows(rows) is rows
    assert ALONE.gather_json({"a": 1}) == [{"a": 1}]
    assert ALONE.from_first({"rows": rows}, None) == ({"rows": rows}, None)


def test_only_errors_of_the_transport_are_explained() -> None:
    several, explained = (
        Processes(rank=1, count=2),
        r"process 1 of 2 lost the others \(gone\); start the same command again",
    )
    with pytest.raises(ProcessLostError, match=explained), explained_loss(several):
        raise dist.DistNetworkError("[/a/pair.cc:5] gone. Look into the log.\nstack")
    with pytest.raises(RuntimeError, match=r"^shapes differ$"), explained_loss(several):
        raise RuntimeError("shapes differ")


@pytest.fixture
def group_of_one() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("shape", [(6, 3), (6, 3, 4)])
@pytest.mark.usefixtures("group_of_one")
def test_synchronised_norm_of_one_process_is_batch_norm(shape: tuple[int, ...]) -> None:
    plain, own = nn.BatchNorm1d(3).double(), nn.BatchNorm1d(3).double()
    own.__class__ = SynchronisedBatchNorm1d
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    for norm, given in zip((plain, own), inputs, strict=True):
        with torch.no_grad():
            norm.weight.copy_(torch.tensor([0.5, 1.0, 2.0]))
        norm(given).pow(3).sum().backward()
    for left, right in [
        *zip(plain.parameters(), own.parameters(), strict=True),
        *zip(plain.buffers(), own.buffers(), strict=True),
    ]:
        torch.testing.assert_close(left, right)
        torch.testing.assert_close(left.grad, right.grad)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(plain.eval()(x), own.eval()(x))


@pytest.mark.parametrize("name", model_names())
def test_every_model_takes_a_batch_without_rows(name: str) -> None:
    def gradients(rows: int) -> dict[str, Tensor]:
        model = build(name, cases.planted().dataset.layout, seed=0)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.eval()  # no process at all having rows, there are no statistics
        ids = torch.ones(rows, 3, dtype=torch.int32)
        first, second = model.forward_pair(ids)
        assert first.shape == second.shape == (rows,)
        own = model.regularisation(ids)
        loss = first.sum() + second.sum() + model(ids).sum()
        (loss if own is None else loss + rows * own).backward()
        return {name: parameter.grad for name, parameter in model.named_parameters() if parameter.grad is not None}

    none = gradients(0)
    assert none.keys() == gradients(2).keys(), "all processes exchange the same gradients"
    assert not any(gradient.any() for gradient in none.values())


def test_the_classes_of_the_norms_come_back() -> None:
    model = cases.model("batch_norm")
    with synchronised(model, Processes(count=2)):
        assert sum(isinstance(module, SynchronisedBatchNorm1d) for module in model.modules()) == 2
    assert not any(isinstance(module, SynchronisedBatchNorm1d) for module in model.modules())


def test_other_batch_norms_are_refused() -> None:
    model, refusal = nn.Sequential(nn.BatchNorm2d(2)), r"BatchNorm1d alone, however: BatchNorm2d; train in one process"
    with pytest.raises(ValueError, match=refusal), synchronised(model, Processes(count=2)):
        pass


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    history = [{**entry, "train_seconds": 0.0} for entry in result["history"]]
    return {**result, "history": history, "train_seconds_per_epoch": 0.0, "inference_us_per_row": 0.0}


def as_json(result: TrainResult) -> dict[str, Any]:
    return asdict(result)
