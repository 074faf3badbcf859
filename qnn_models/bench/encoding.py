"""Encoding measured: rows per second and peak memory on made-up text in Criteo's format, in a fresh process.

``python -m qnn_models.bench.encoding --rows 1000000`` makes the text, encodes it and prints the figures as JSON. With
``--train``, a second process then trains for an epoch on what was encoded, streamed from disk, and its figures follow.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import polars as pl

from qnn_models.runtime.fresh_process import module_command
from qnn_models.runtime.seeds import derive

if TYPE_CHECKING:
    import torch

    from qnn_models.data.encoding.encoded import EncodedDataset
    from qnn_models.data.layout import Split

_Figures = TypeVar("_Figures")

# Distinct raw tokens of the 26 categorical fields of Criteo's display advertising data.
CARDINALITIES = (
    *(1_460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5_683, 8_351_593, 3_194),
    *(27, 14_992, 5_461_306, 10, 5_652, 2_173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572),
)
_WRITE_ROWS = 250_000
_SAMPLES = 10
# Parameters, their gradient, Adam's two moments, and the copy of the best epoch's parameters.
_STATE_COPIES = 5


@dataclass(frozen=True, slots=True)
class EncodeFigures:
    """What one encoding took.

    Attributes:
        rows: rows encoded.
        text_mib: size of the text.
        seconds: from text to the stored data set.
        rows_per_second: rows / seconds.
        cpu_seconds: processor time, of all threads.
        base_mib: resident memory before the encoding, libraries loaded.
        peak_mib: most resident memory of the process, `base_mib` included.
        total_ids: ids of all vocabularies.
    """

    rows: int
    text_mib: float
    seconds: float
    rows_per_second: float
    cpu_seconds: float
    base_mib: float
    peak_mib: float
    total_ids: int


@dataclass(frozen=True, slots=True)
class TrainFigures:
    """What one epoch of training took, all splits streamed from disk.

    Attributes:
        rows: rows trained on; a quarter as many were scored, for validation and test.
        seconds: of the epoch, without scoring.
        rows_per_second: rows / seconds.
        total_ids: ids of all vocabularies.
        base_mib: resident memory with libraries loaded and nothing else.
        opened_mib: resident memory with the data set open: its vocabularies are read, its rows are not.
        state_mib: reckoned, not measured: parameters, gradient, Adam's moments and the best epoch's copy.
        epoch_mib: resident memory after each tenth of the epoch's rows.
        epoch_peak_mib: most resident memory until the epoch's last row.
        peak_mib: most resident memory of the process, scoring included.
    """

    rows: int
    seconds: float
    rows_per_second: float
    total_ids: int
    base_mib: float
    opened_mib: float
    state_mib: float
    epoch_mib: tuple[float, ...]
    epoch_peak_mib: float
    peak_mib: float


def write_criteo_like(path: Path, *, rows: int, seed: int = 0) -> None:
    """Write text in the format of Criteo's `train.txt`.

    Tokens of a field follow Zipf's law (probability ∝ 1/rank) over as many ranks as Criteo has tokens, so that new ones keep
    coming as rows do; numbers are log-normal; a fifth of the numbers, and a tenth of the tokens of half the fields, is missing.
    """
    draw = np.random.default_rng(derive(seed, "criteo-like text"))
    hexadecimal = pl.Series([f"{number:04x}" for number in range(2**16)])
    with path.open("wb") as stream:
        for start in range(0, rows, _WRITE_ROWS):
            count = min(_WRITE_ROWS, rows - start)
            columns = {"label": pl.Series(draw.random(count) < 0.25).cast(pl.Int8)}
            for position in range(13):
                numbers = pl.Series(np.exp(draw.normal(2, 2, count)).astype(np.int64) - (position == 1))
                columns[f"I{position}"] = numbers.set(pl.Series(draw.random(count) < 0.2), None)
            for position, cardinality in enumerate(CARDINALITIES):
                rank = np.exp(draw.random(count) * np.log(cardinality + 1)).astype(np.uint64)
                mixed = (rank * np.uint64(2_654_435_761) + np.uint64(position)) & np.uint64(0xFFFFFFFF)
                tokens = hexadecimal.gather(mixed >> np.uint64(16)) + hexadecimal.gather(mixed & np.uint64(0xFFFF))
                if position % 2:
                    tokens = tokens.set(pl.Series(draw.random(count) < 0.1), None)
                columns[f"C{position}"] = tokens
            pl.DataFrame(columns).write_csv(stream, separator="\t", include_header=False)


def measure(folder: Path) -> EncodeFigures:
    """Encode `folder`/train.txt in a process of its own.

    Args:
        folder: holds the text; the data set is stored in its subfolder `cache`, anew.
    """
    return _in_fresh_process("--encode", folder, EncodeFigures)


def measure_training(folder: Path) -> TrainFigures:
    """Train a small QNN-α for one epoch in a process of its own, every split streamed from disk.

    Args:
        folder: as `measure` left it.
    """
    return _in_fresh_process("--train-on", folder, TrainFigures)


def _in_fresh_process(option: str, folder: Path, figures: type[_Figures]) -> _Figures:
    command = module_command("qnn_models.bench.encoding", option, str(folder))
    ran = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return figures(**json.loads(ran.stdout))


def _encode(folder: Path) -> EncodeFigures:
    from qnn_models.data.registry import prepare

    base = _status_mib("VmRSS")
    start, cpu = time.perf_counter(), time.process_time()
    dataset = prepare("criteo", source=folder, cache_dir=folder / "cache", force=True, progress=False)
    seconds = time.perf_counter() - start
    rows = sum(dataset.num_rows(split) for split in ("train", "valid", "test"))
    return EncodeFigures(
        rows=rows,
        text_mib=(folder / "train.txt").stat().st_size / 2**20,
        seconds=seconds,
        rows_per_second=rows / seconds,
        cpu_seconds=time.process_time() - cpu,
        base_mib=base,
        peak_mib=_status_mib("VmHWM"),
        total_ids=dataset.layout.total_ids,
    )


def _train(folder: Path) -> TrainFigures:
    import qnn_models.kernels.numba_loops  # noqa: F401  # a library too, loaded at its first use otherwise
    from qnn_models.data.registry import prepare
    from qnn_models.models.registry import build
    from qnn_models.training.config import TrainConfig
    from qnn_models.training.loop import train

    base = _status_mib("VmRSS")
    dataset = _Watched(prepare("criteo", cache_dir=folder / "cache", progress=False))
    opened = _status_mib("VmRSS")
    model = build("qnn-alpha", dataset.layout, seed=0, embedding_dim=4, layers=1, rows=1)
    # No split fits this little memory, so that all are streamed.
    result = train(model, dataset, TrainConfig(batch_size=10_000, max_epochs=1, memory_gib=1e-9), device="cpu")
    rows, seconds = dataset.num_rows("train"), result.train_seconds_per_epoch
    return TrainFigures(
        rows=rows,
        seconds=seconds,
        rows_per_second=rows / seconds,
        total_ids=dataset.layout.total_ids,
        base_mib=base,
        opened_mib=opened,
        state_mib=_STATE_COPIES * 4 * result.num_parameters / 2**20,
        epoch_mib=tuple(dataset.epoch_mib),
        epoch_peak_mib=dataset.epoch_peak_mib,
        peak_mib=_status_mib("VmHWM"),
    )


class _Watched:
    """A data set that can only be streamed, and takes down the size of the process as its training rows go by."""

    def __init__(self, dataset: EncodedDataset) -> None:
        self._dataset = dataset
        self.layout, self.content_hash = dataset.layout, dataset.content_hash
        self.epoch_mib: list[float] = []
        self.epoch_peak_mib = float("nan")

    def num_rows(self, split: str) -> int:
        return self._dataset.num_rows(split)

    def split(self, split: str) -> Split:
        raise AssertionError(f"{split} is to be streamed, but was read into memory")

    def batches(self, split: str, *, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Split]:
        batches = self._dataset.batches(split, batch_size=batch_size, generator=generator)
        return self._watched(batches) if split == "train" else batches

    def _watched(self, batches: Iterator[Split]) -> Iterator[Split]:
        seen, rows = 0, self.num_rows("train")
        for batch in batches:
            yield batch
            seen += len(batch)
            while len(self.epoch_mib) < seen * _SAMPLES // rows:
                self.epoch_mib.append(_status_mib("VmRSS"))
        self.epoch_peak_mib = _status_mib("VmHWM")


def _status_mib(key: str) -> float:
    """A figure of /proc/self/status in MiB (`getrusage` would report the parent's peak to a child)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def main() -> None:
    """Make the text, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--train", action="store_true", help="also train on what was encoded")
    parser.add_argument("--encode", type=Path, help="encode this folder's train.txt in this process")
    parser.add_argument("--train-on", type=Path, help="train on this folder's data set in this process")
    arguments = parser.parse_args()
    if arguments.encode is not None:
        _print(_encode(arguments.encode))
    elif arguments.train_on is not None:
        _print(_train(arguments.train_on))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            write_criteo_like(folder / "train.txt", rows=arguments.rows)
            _print(measure(folder))
            if arguments.train:
                _print(measure_training(folder))


def _print(figures: EncodeFigures | TrainFigures) -> None:
    sys.stdout.write(json.dumps(asdict(figures)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
