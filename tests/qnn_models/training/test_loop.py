import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from qnn_models.data.layout import Split
from qnn_models.data.planted import Planted, planted_dataset
from qnn_models.evaluation.evaluate import Evaluation, predict_logits, resolve_device, slices
from qnn_models.models.network import CTRModel, QNNAlphaNetwork, QuadraticNetwork
from qnn_models.runtime.distributed import Processes
from qnn_models.runtime.seeds import derive
from qnn_models.training import loop as training
from qnn_models.training import state
from qnn_models.training.batches import without_single_rows
from qnn_models.training.config import TrainConfig, TrainResult
from qnn_models.training.loop import train
from qnn_models.training.losses import LossName, objective

SMALL = TrainConfig(batch_size=128, max_epochs=3, loss="self_ensemble", embedding_l2=1e-3, learning_rate=1e-2)


pytestmark = pytest.mark.usefixtures("one_thread")


def small_model(planted: Planted, *, dropout: float = 0.2, batch_norm: bool = True, seed: int = 0) -> QNNAlphaNetwork:
    return QNNAlphaNetwork(
        planted.dataset.layout, embedding_dim=4, layers=2, rows=2, dropout=dropout, batch_norm=batch_norm, seed=seed
    )


def without_times(result: TrainResult) -> object:
    history = [replace(record, train_seconds=0.0) for record in result.history]
    return replace(result, history=tuple(history), train_seconds_per_epoch=0.0, inference_us_per_row=0.0)


def assert_same_bits(a: nn.Module, b: nn.Module) -> None:
    for (name, left), right in zip(a.state_dict().items(), b.state_dict().values(), strict=True):
        assert torch.equal(left, right), name


def test_a_planted_interaction_is_learnt_close_to_the_best_possible() -> None:
    planted = planted_dataset(rows=(20_000, 4_000, 4_000), vocabulary_sizes=(8, 8, 8, 8), pairs=[(0, 1)])
    model = QNNAlphaNetwork(planted.dataset.layout, embedding_dim=8, rows=2, seed=0)
    config = TrainConfig(loss="self_ensemble", batch_size=1000, learning_rate=1e-2, max_epochs=12)
    result = train(model, planted.dataset, config, device="cpu")
    assert planted.bayes_auc - 0.02 < result.test_auc < planted.bayes_auc + 0.02
    assert result.test_logloss < planted.bayes_logloss + 0.03
    assert result.best_epoch == max(result.history, key=lambda record: record.valid_auc).epoch


def test_steps_are_those_of_the_plain_protocol(planted: Planted) -> None:
    config = replace(SMALL, loss="bce", embedding_l2=0.5, gradient_clip=0.05, max_epochs=1, batch_size=250)
    model, twin = (small_model(planted, dropout=0.0, seed=3).double() for _ in range(2))
    result = train(model, planted.dataset, config, device="cpu")

    optimizer = torch.optim.Adam(twin.parameters(), lr=config.learning_rate, fused=False, foreach=False)
    split = planted.dataset.split("train")
    order = torch.randperm(600, generator=torch.Generator().manual_seed(derive(config.seed, "shuffle", 1)))
    losses = []
    for rows in order.split(250):
        p = torch.sigmoid(twin(split.ids[rows]))
        y = split.labels[rows]
        loss = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
        losses.append(loss.item() * len(rows))
        optimizer.zero_grad()
        (loss + 0.5 / 2 * (twin.embedding.weight**2).sum()).backward()
        norm = sum((parameter.grad**2).sum() for parameter in twin.parameters()).sqrt()
        assert norm > config.gradient_clip  # so that the order of L2 term and clipping is seen
        for parameter in twin.parameters():
            parameter.grad *= config.gradient_clip / norm
        optimizer.step()
    for left, right in zip(model.parameters(), twin.parameters(), strict=True):
        # Clipping divides by the norm plus 1e-6, hence the tolerance.
        torch.testing.assert_close(left, right, rtol=1e-4, atol=1e-7)
    assert result.history[0].train_loss == pytest.approx(sum(losses) / 600, rel=1e-6)


def test_the_rate_drops_at_each_stall_and_the_second_in_a_row_ends(
    planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = iter([0.70, 0.69, 0.71, 0.71, 0.70])
    at_epoch: list[Tensor] = []

    def scripted(
        model: nn.Module, batches: Iterator[Split], *, processes: Processes, calibration: bool = False
    ) -> Evaluation:
        at_epoch.append(next(model.parameters()).detach().clone())
        return Evaluation(
            auc=next(script, 0.99), logloss=0.5, rows=1, us_per_row=1.0, mean_label=0.5, mean_prediction=0.5
        )

    monkeypatch.setattr(training, "evaluate", scripted)
    model = small_model(planted)
    result = train(model, planted.dataset, replace(SMALL, max_epochs=50, min_learning_rate=5e-4), device="cpu")
    assert [record.learning_rate for record in result.history] == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 5e-4])
    assert (result.best_epoch, result.valid_auc, result.test_auc) == (3, 0.71, 0.99)
    assert len(at_epoch) == 6  # five validations, one test
    assert torch.equal(next(model.parameters()), at_epoch[2])
    assert torch.equal(at_epoch[5], at_epoch[2])


def test_one_seed_gives_one_result_whatever_the_global_generator(planted: Planted) -> None:
    def run(config: TrainConfig, noise: int) -> tuple[TrainResult, nn.Module]:
        torch.manual_seed(noise)
        model = small_model(planted)
        return train(model, planted.dataset, config, device="cpu"), model

    first, a = run(SMALL, 1)
    second, b = run(SMALL, 2)
    assert without_times(first) == without_times(second)
    assert_same_bits(a, b)
    assert without_times(run(replace(SMALL, seed=1), 1)[0]) != without_times(first)


class Killed(BaseException):
    """Stands for the end of the process: nothing in the loop may catch it."""


@pytest.mark.parametrize("writes", range(8))
@pytest.mark.parametrize("checkpoint_steps", [None, 2])
def test_killed_at_any_write_and_resumed_ends_with_the_same_bits(
    planted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int, checkpoint_steps: int | None
) -> None:
    undisturbed = small_model(planted)
    expected = train(undisturbed, planted.dataset, SMALL, device="cpu")

    real, done = state.write_checkpoint, iter(range(100))

    def write(*args: object) -> None:
        if next(done) == writes:
            raise Killed
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(state, "write_checkpoint", write)
    ended = False
    model = small_model(planted)
    try:
        train(model, planted.dataset, SMALL, device="cpu", checkpoint=tmp_path, checkpoint_steps=checkpoint_steps)
        ended = True
    except Killed:
        model = small_model(planted, seed=99)  # its start values must not matter when there is a checkpoint
    monkeypatch.setattr(state, "write_checkpoint", real)
    if not ended:
        if not (tmp_path / state.CHECKPOINT_FILE).exists():
            model = small_model(planted)
        result = train(model, planted.dataset, SMALL, device="cpu", checkpoint=tmp_path)
        assert without_times(result) == without_times(expected)
    assert_same_bits(model, undisturbed)
    again = train(small_model(planted, seed=98), planted.dataset, SMALL, device="cpu", checkpoint=tmp_path)
    assert without_times(again) == without_times(expected)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2


def test_a_process_killed_by_the_system_resumes_with_the_same_bits(planted: Planted, tmp_path: Path) -> None:
    script = textwrap.dedent(f"""
        import os, signal, sys
        from pathlib import Path
        from tests.qnn_models.training import test_loop as t
        t.torch.set_num_threads(1)
        planted = t.planted_dataset(rows=(600, 300, 300), vocabulary_sizes=(5, 5, 5), pairs=[(0, 1)])
        real, steps = t.training._Loop._step, iter(range(100))
        def step(*args):
            if next(steps) == 8:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args)
        t.training._Loop._step = step
        t.train(t.small_model(planted), planted.dataset, t.SMALL, device="cpu", checkpoint=Path({str(tmp_path)!r}))
    """)
    ended = subprocess.run([sys.executable, "-c", script], env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False)
    assert ended.returncode == -signal.SIGKILL
    resumed, undisturbed = small_model(planted), small_model(planted)
    result = train(resumed, planted.dataset, SMALL, device="cpu", checkpoint=tmp_path)
    assert without_times(result) == without_times(train(undisturbed, planted.dataset, SMALL, device="cpu"))
    assert_same_bits(resumed, undisturbed)


def test_a_checkpoint_of_another_training_is_refused(planted: Planted, tmp_path: Path) -> None:
    train(small_model(planted), planted.dataset, SMALL, device="cpu", checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"config.batch_size=128 and this training 64; give another folder"):
        train(small_model(planted), planted.dataset, replace(SMALL, batch_size=64), device="cpu", checkpoint=tmp_path)
    other = QNNAlphaNetwork(planted.dataset.layout, embedding_dim=8, layers=2, rows=2)
    with pytest.raises(ValueError, match="build the model with the same options"):
        train(other, planted.dataset, SMALL, device="cpu", checkpoint=tmp_path)


@pytest.mark.parametrize("loss", ["bce", "self_ensemble"])
def test_chunks_add_up_to_the_whole_batch(planted: Planted, loss: str) -> None:
    whole, chunked = (small_model(planted, dropout=0.0, batch_norm=False).double() for _ in range(2))
    config = replace(SMALL, loss=loss, max_epochs=2)
    a = train(whole, planted.dataset, config, device="cpu")
    b = train(chunked, planted.dataset, replace(config, chunk_rows=50), device="cpu")
    assert a.test_auc == pytest.approx(b.test_auc, abs=1e-9)
    for left, right in zip(whole.parameters(), chunked.parameters(), strict=True):
        torch.testing.assert_close(left, right)


class WithOwnTerm(QNNAlphaNetwork):
    """Adds the mean of its rows' squared first coordinates, and ten times the square of a parameter."""

    def regularisation(self, ids: Tensor) -> Tensor:
        return self.embed(ids)[:, 0, 0].square().mean() + 10 * self.embedding.weight[3, 1].square()


@pytest.mark.parametrize("loss", ["bce", "self_ensemble"])
def test_a_models_own_term_is_part_of_what_training_minimises(planted: Planted, loss: LossName) -> None:
    options = {"embedding_dim": 4, "layers": 1, "rows": 2, "dropout": 0.0, "batch_norm": False, "seed": 0}
    plain, whole, chunked = (
        kind(planted.dataset.layout, **options).double()  # type: ignore[arg-type]
        for kind in (QNNAlphaNetwork, WithOwnTerm, WithOwnTerm)
    )
    with torch.no_grad():
        for model in (plain, whole, chunked):
            model.embedding.weight += 0.5
    split = planted.dataset.split("train")
    ids, labels = split.ids, split.labels.double()
    bare = objective(plain.forward, plain.forward_pair, plain.regularisation, loss)(ids, labels)
    found = objective(whole.forward, whole.forward_pair, whole.regularisation, loss)(ids, labels)
    table = whole.embedding.weight.detach()
    firsts = [table[int(row[0]), 0].item() ** 2 for row in ids]
    assert found.item() - bare.item() == pytest.approx(sum(firsts) / len(firsts) + 10 * table[3, 1].item() ** 2)

    config = replace(SMALL, loss=loss, max_epochs=2)
    result = train(whole, planted.dataset, config, device="cpu")
    assert result.history[0].train_loss > train(plain, planted.dataset, config, device="cpu").history[0].train_loss
    train(chunked, planted.dataset, replace(config, chunk_rows=50), device="cpu")
    for left, right in zip(whole.parameters(), chunked.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-9, atol=1e-9)


def test_chunks_and_batch_norm_exclude_each_other(planted: Planted) -> None:
    with pytest.raises(ValueError, match="chunk_rows=50 and 2 BatchNorm layers; leave chunk_rows out"):
        train(small_model(planted), planted.dataset, replace(SMALL, chunk_rows=50), device="cpu")


def test_a_last_batch_of_one_row_joins_the_one_before(planted: Planted) -> None:
    batches = slices(Split(torch.arange(13).view(13, 1), torch.zeros(13)), 4)
    joined = list(without_single_rows(batches))
    assert [len(batch) for batch in joined] == [4, 4, 5]
    assert torch.equal(torch.cat([batch.ids for batch in joined]).flatten(), torch.arange(13))
    train(small_model(planted), planted.dataset, replace(SMALL, batch_size=599, max_epochs=1), device="cpu")


def test_a_split_beyond_the_memory_limit_is_streamed_to_the_same_quality(planted: Planted) -> None:
    calls = []

    class Watched:
        layout, content_hash = planted.dataset.layout, planted.dataset.content_hash
        num_rows, split = planted.dataset.num_rows, None

        def batches(self, split: str, **settings: object) -> Iterator[Split]:
            calls.append(split)
            return planted.dataset.batches(split, **settings)

    config = replace(SMALL, memory_gib=1e-9)
    streamed = train(small_model(planted), Watched(), config, device="cpu")  # type: ignore[arg-type]
    assert calls == ["train", "valid"] * 3 + ["test"]
    assert without_times(streamed) == without_times(train(small_model(planted), Watched(), config, device="cpu"))  # type: ignore[arg-type]
    resident = train(small_model(planted), planted.dataset, SMALL, device="cpu")
    assert streamed.test_auc == pytest.approx(resident.test_auc, abs=0.1)


def test_a_loss_that_is_not_finite_names_where_and_with_what(planted: Planted) -> None:
    class Poisoned(QuadraticNetwork):
        steps = 0

        def score(self, embedded: Tensor) -> Tensor:
            self.steps += self.training
            logits = super().score(embedded)
            return logits / 0.0 if self.steps == 8 else logits

    model = Poisoned(planted.dataset.layout, "T9", embedding_dim=4, layers=1)
    config = replace(SMALL, loss="bce")
    with pytest.raises(
        FloatingPointError, match=r"loss=(nan|inf).* in epoch 2, batch 3 \(loss bce, learning_rate=0.01"
    ):
        train(model, planted.dataset, config, device="cpu")


def test_lack_of_memory_says_what_to_lower(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    def forward_pair(ids: Tensor) -> tuple[Tensor, Tensor]:
        return torch.empty(2**55), torch.empty(0)

    model = small_model(planted)
    monkeypatch.setattr(model, "forward_pair", forward_pair)
    with pytest.raises(MemoryError, match=r"batch_size=128, chunk_rows=None; lower chunk_rows"):
        train(model, planted.dataset, SMALL, device="cpu")


def test_other_errors_pass_through(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model(planted)
    monkeypatch.setattr(model, "forward_pair", lambda ids: torch.ones(2) + torch.ones(3))
    with pytest.raises(RuntimeError, match="must match the size"):
        train(model, planted.dataset, SMALL, device="cpu")


def test_bfloat16_stays_close(planted: Planted) -> None:
    result = train(small_model(planted), planted.dataset, replace(SMALL, precision="bfloat16"), device="cpu")
    assert result.test_auc == pytest.approx(
        train(small_model(planted), planted.dataset, SMALL, device="cpu").test_auc, abs=0.05
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised inside torch's own compiler
def test_a_compiled_forward_pass_gives_the_same(planted: Planted) -> None:
    plain, compiled = (small_model(planted, dropout=0.0).double() for _ in range(2))
    train(plain, planted.dataset, SMALL, device="cpu")
    train(compiled, planted.dataset, replace(SMALL, compile=True), device="cpu")
    for left, right in zip(plain.parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-9)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_repeats_itself_and_agrees_with_the_cpu(planted: Planted) -> None:
    first = train(small_model(planted), planted.dataset, SMALL, device="cuda")
    assert without_times(first) == without_times(train(small_model(planted), planted.dataset, SMALL, device="cuda"))
    config = replace(SMALL, loss="bce")
    pair = [train(small_model(planted, dropout=0.0), planted.dataset, config, device=name) for name in ("cpu", "cuda")]
    assert pair[0].test_auc == pytest.approx(pair[1].test_auc, abs=1e-3)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("batch_size", 0),
        ("patience", 0),
        ("max_epochs", 0),
        ("chunk_rows", 0),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("gradient_clip", -1.0),
        ("embedding_l2", -0.1),
        ("learning_rate_decay", 1.5),
        ("precision", "float16"),
        ("loss", "hinge"),
    ],
)
def test_impossible_settings_are_named(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"however: .*{value}"):
        TrainConfig(**{setting: value})  # type: ignore[arg-type]


def test_devices_that_are_not_here_are_named() -> None:
    assert resolve_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="however: 'gpu'"):
        resolve_device("gpu")
    with pytest.raises(ValueError, match="CUDA devices, however: device='cuda:99'"):
        resolve_device("cuda:99")


def test_prediction_keeps_the_order_and_the_mode_of_the_model(planted: Planted) -> None:
    model = small_model(planted)
    split = planted.dataset.split("test")
    logits = predict_logits(model, slices(split, 7))
    assert model.training
    model.eval()
    torch.testing.assert_close(logits, model(split.ids).detach())
    assert predict_logits(model, []).shape == (0,)


def test_the_settings_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.seed = 1  # type: ignore[misc]
    assert issubclass(QNNAlphaNetwork, CTRModel)
