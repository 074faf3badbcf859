"""Encoding measured: rows per second and peak memory on made-up text in Criteo's format, in a fresh process.

``python -m qnn_models.data.bench_encode --rows 1000000`` makes the text, encodes it and prints the figures as JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl

from qnn_models.seeds import derive

# Distinct raw tokens of the 26 categorical fields of Criteo's display advertising data.
CARDINALITIES = (
    *(1_460, 583, 10_131_227, 2_202_608, 305, 24, 12_517, 633, 3, 93_145, 5_683, 8_351_593, 3_194),
    *(27, 14_992, 5_461_306, 10, 5_652, 2_173, 4, 7_046_547, 18, 15, 286_181, 105, 142_572),
)
_WRITE_ROWS = 250_000


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
    command = [sys.executable, "-m", "qnn_models.data.bench_encode", "--encode", str(folder)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return EncodeFigures(**json.loads(ran.stdout))


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


def _status_mib(key: str) -> float:
    """A figure of /proc/self/status in MiB (`getrusage` would report the parent's peak to a child)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) / 1024


def main() -> None:
    """Make the text, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--encode", type=Path, help="encode this folder's train.txt in this process")
    arguments = parser.parse_args()
    if arguments.encode is not None:
        figures = _encode(arguments.encode)
    else:
        with tempfile.TemporaryDirectory() as temporary:
            write_criteo_like(Path(temporary) / "train.txt", rows=arguments.rows)
            figures = measure(Path(temporary))
    sys.stdout.write(json.dumps(asdict(figures)) + "\n")


if __name__ == "__main__":
    main()
