"""``qnn bench``: speed and memory against the plain baseline, as ratios of paired runs on this machine."""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from studies.commands.outputs import output_file

if TYPE_CHECKING:
    from qnn_models.bench.cases import Case


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians over paired repetitions; `ratio` is how many times better ours is."""

    name: str
    unit: str
    ours: float
    baseline: float
    ratio: float
    ratio_low: float
    ratio_high: float
    target: float | None
    repeats: int


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
@click.option("--threads", type=click.IntRange(min=1), help="Threads of torch. [default: torch's own]")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Also write the figures as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of the table.")
@click.option("--list", "only_list", is_flag=True, help="List the cases.")
@click.option(
    "--profile", "with_profile", is_flag=True, help="Print each operation's share of a training step instead."
)
def bench(
    names: tuple[str, ...], device: str, threads: int | None, out: Path | None, as_json: bool, only_list: bool,
    with_profile: bool,
) -> None:  # fmt: skip
    """Measure training, inference, evaluation and AUC against a baseline built in the reference's manner.

    Ours and the baseline alternate; the ratio is the median of paired ratios, with quartiles. A NAME is a part of a
    case's name, for instance `training` or `criteo`.
    """
    import torch
    from tqdm import tqdm

    from qnn_models.bench.cases import all_cases
    from qnn_models.evaluation.evaluate import resolve_device
    from studies.running.environment import environment
    from studies.running.record import write_whole

    if out is not None:
        output_file(out)
    resolve_device(device)
    if threads:
        torch.set_num_threads(threads)
    cases = [case for case in all_cases() if not names or any(name in case.name for name in names)]
    if not cases:
        raise ValueError(
            f"A name is a part of a case's name, however: {', '.join(names)}; `qnn bench --list` lists them."
        )
    if only_list:
        click.echo("\n".join(case.name for case in cases))
        return
    if with_profile:
        from qnn_models.bench.profile import shares

        for shape in ("ml-100k", "criteo"):
            if not names or shape in names:
                click.echo(shares(shape, device=device))
        return
    measured = []
    with tqdm(cases, unit="case", disable=None) as bar:
        for case in bar:
            bar.set_description(case.name)
            measured.append(_measure(case, device))
    report = {
        "environment": {**environment(threads=torch.get_num_threads()), "device": device},
        "cases": [asdict(m) for m in measured],
    }
    if out is not None:
        write_whole(out, json.dumps(report, indent=1) + "\n")
    click.echo(json.dumps(report) if as_json else _table(measured))


def _measure(case: Case, device: str) -> Measured:
    ours, baseline = case.prepare(device)
    if case.repeats > 1:  # the first call of each also fills caches
        ours(), baseline()
    pairs = [(ours(), baseline()) for _ in range(case.repeats)]
    larger_is_better = case.unit.endswith("/s")
    ratios = [mine / theirs if larger_is_better else theirs / mine for mine, theirs in pairs]
    low, high = (min(ratios), max(ratios)) if len(ratios) < 4 else statistics.quantiles(ratios, n=4)[::2]
    return Measured(
        name=case.name,
        unit=case.unit,
        ours=statistics.median(mine for mine, _ in pairs),
        baseline=statistics.median(theirs for _, theirs in pairs),
        ratio=statistics.median(ratios),
        ratio_low=low,
        ratio_high=high,
        target=case.target,
        repeats=case.repeats,
    )


def _table(measured: list[Measured]) -> str:
    width = max(len(m.name) for m in measured)
    lines = [
        f"{'case':<{width}}  {'ours':>12}  {'baseline':>12}  {'unit':<9}  {'ratio':>6}  {'(quartiles)':<15}  target"
    ]
    for m in measured:
        target = "" if m.target is None else f"{m.target:.1f} {'reached' if m.ratio >= m.target else 'missed'}"
        lines.append(
            f"{m.name:<{width}}  {m.ours:>12,.1f}  {m.baseline:>12,.1f}  {m.unit:<9}  {m.ratio:>6.2f}  "
            f"{f'({m.ratio_low:.2f}-{m.ratio_high:.2f})':<15}  {target}".rstrip()
        )
    return "\n".join(lines)
