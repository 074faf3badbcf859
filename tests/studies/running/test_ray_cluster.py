"""The same plan on a Ray cluster of two nodes: each run once, on both nodes, and none lost with a node."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from studies.running.execute import Call
from studies.running.record import Record, Store
from studies.running.runner import run_specs
from tests.studies.fakes import CountedRun, specs

ray = pytest.importorskip("ray", reason="ray is not installed: pip install -e '.[cluster]'")
pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("default")]


@dataclass(frozen=True)
class NodeRun:
    """A counted run that notes the node it was on."""

    counted: CountedRun
    nodes: Path

    def __call__(self, call: Call) -> tuple[Record, ...]:
        with self.nodes.open("a") as file:
            file.write(f"{ray.get_runtime_context().get_node_id()}\n")
        return self.counted(call)


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = started.add_node(num_cpus=1)
    ray.init(address=started.address, log_to_driver=False)
    started.wait_for_nodes()
    try:
        yield started, second
    finally:
        ray.shutdown()
        started.shutdown()


def test_two_nodes_share_a_plan(cluster: Any, tmp_path: Path) -> None:
    execute = NodeRun(CountedRun(tmp_path / "log", seconds=0.3, failing=(3,)), tmp_path / "nodes")
    store = Store(tmp_path / "store")
    summary = run_specs(specs(10), store, jobs=2, backend="ray", execute=execute, progress=False)
    assert (summary.done, summary.failed, summary.ran) == (9, 1, 10)
    assert execute.counted.counts() == dict.fromkeys(range(10), 1)
    assert len(set((tmp_path / "nodes").read_text().split())) == 2
    assert run_specs(specs(10), store, jobs=2, backend="ray", execute=execute, progress=False).ran == 0


def test_a_node_that_is_lost_loses_no_run(cluster: Any, tmp_path: Path) -> None:
    whole, second = cluster
    execute = CountedRun(tmp_path / "log", seconds=1.0)

    def lose_a_node() -> None:
        while len(execute.counts()) < 2:
            time.sleep(0.05)
        whole.remove_node(second)

    thread = threading.Thread(target=lose_a_node)
    thread.start()
    summary = run_specs(specs(5), Store(tmp_path / "store"), jobs=2, backend="ray", execute=execute, progress=False)
    thread.join()
    assert (summary.done, summary.failed) == (5, 0)
