"""Plans are pure, ids come from content alone, and splits never depend on the model."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from qnn_theory import registry
from qnn_theory.grammar.expr import affine, x
from qnn_theory.grammar.format import Format
from studies.declaring.config import Arm, Quick, StudyConfig
from studies.declaring.load import load_config, with_changes
from studies.declaring.plan import plan
from studies.tasks.spec import LATER_OPTIONS, RunSpec

CONFIG = StudyConfig(
    name="tiny",
    title="tiny",
    task="boundary",
    datasets=("moons", "circles"),
    seeds=(0, 1, 2),
    arms=(Arm(model="quadratic", label="{format}", options={"format": ("T9", "T19", "T24"), "hidden": 4}),),
    training={"epochs": 5},
    quick=Quick(train_rows=50, training={"epochs": 2}),
)


def test_the_same_study_gives_the_same_runs() -> None:
    assert plan(CONFIG) == plan(CONFIG)
    assert [spec.id for spec in plan(CONFIG)] == [spec.id for spec in plan(CONFIG)]


def test_ids_do_not_depend_on_the_process() -> None:
    code = "from tests.studies.declaring.test_plan import CONFIG, plan; print(' '.join(s.id for s in plan(CONFIG)))"
    environment = {"PYTHONHASHSEED": "7", "PATH": "", "OMP_NUM_THREADS": "1"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert other.stdout.split() == [spec.id for spec in plan(CONFIG)]


def test_all_runs_differ_in_id() -> None:
    specs = [*plan(CONFIG), *plan(CONFIG, quick=True)]
    assert len({spec.id for spec in specs}) == len(specs) == 2 * 2 * 3 * 3


def test_splits_do_not_depend_on_the_model_and_seeds_do() -> None:
    specs = plan(replace(CONFIG, splits="per-seed"))
    for dataset in ("moons", "circles"):
        for seed in CONFIG.seeds:
            same = [spec for spec in specs if (spec.dataset, spec.seed) == (dataset, seed)]
            assert len({spec.split_seed for spec in same}) == 1
            assert len({spec.root_seed for spec in same}) == len(same) == 3
    assert len({spec.split_seed for spec in specs}) == len(CONFIG.seeds)
    assert {spec.split_seed for spec in plan(CONFIG)} == {0}


def test_the_label_is_no_part_of_a_run() -> None:
    spec = plan(CONFIG)[0]
    assert replace(spec, label="other").id == spec.id
    assert replace(spec, seed=9).id != spec.id
    assert replace(spec, seed=9, split_seed=4).arm == spec.arm
    assert replace(spec, train_rows=10).arm != spec.arm


def test_a_timed_run_is_never_the_record_of_one_that_shared_the_machine() -> None:
    """But it is the same training: the same seeds, hence the same scores."""
    shared, alone = plan(CONFIG), plan(replace(CONFIG, one_at_a_time=True))
    assert not {spec.id for spec in shared} & {spec.id for spec in alone}
    assert [spec.root_seed for spec in shared] == [spec.root_seed for spec in alone]
    assert "alone" not in shared[0].content()
    assert RunSpec.from_content(json.loads(json.dumps(alone[0].content()))).alone


def test_defaults_are_written_out() -> None:
    spec = plan(CONFIG)[0]
    assert dict(spec.options) == {"format": "T9", "hidden": 4, "layers": 2, "post_activation": None, "deep": False}
    assert dict(spec.training) == {"epochs": 5, "learning_rate": 0.01}


def test_quick_runs_are_shortened_and_marked() -> None:
    for spec in plan(CONFIG, quick=True):
        assert (spec.quick, spec.train_rows, dict(spec.training)["epochs"]) == (True, 50, 2)


@pytest.mark.parametrize("spec", plan(CONFIG)[:3])
def test_content_round_trip(spec: RunSpec) -> None:
    again = RunSpec.from_content(json.loads(json.dumps(spec.content())), label=spec.label)
    assert again == spec
    assert again.id == spec.id


@pytest.mark.parametrize("name", ["main", "ablation", "compatibility", "formats"])
@pytest.mark.parametrize(
    ("other", "known"), [("criteo-h5", "criteo"), ("kkbox-h5", "kkbox"), ("ipinyou-published", "ipinyou")]
)
def test_the_same_rows_encoded_by_others_are_trained_on_alike(name: str, other: str, known: str) -> None:
    """The released runs read these files, and the published numbers stand beside them."""
    ours, theirs = (plan(with_changes(load_config(name), dataset=dataset, seeds=1)) for dataset in (known, other))
    assert [replace(spec, dataset=known) for spec in theirs] == list(ours)


def test_criteos_runs_had_no_batch_norm() -> None:
    for name in ("main", "ablation", "depth", "losses", "mid_activations", "heads", "rows"):
        for spec in plan(with_changes(load_config(name), dataset="criteo", seeds=1)):
            assert not (spec.model == "qnn-alpha" and spec.option("batch_norm")), (name, spec.label)


def test_a_formula_stands_where_an_id_does() -> None:
    arm = Arm(
        model="quadratic", label="{format}", options={"format": ("T9", "x*affine('W')+x", "T1*", "!T1"), "hidden": 4}
    )
    specs = plan(replace(CONFIG, arms=(arm,), datasets=("moons",), seeds=(0,)))
    assert [dict(spec.options)["format"] for spec in specs][:2] == ["T9", 'x * affine("W") + x']
    assert [spec.label for spec in specs][:2] == ["T9", "x*affine('W')+x"]
    assert {"T10", "T19"} < {spec.label for spec in specs}
    with pytest.raises(ValueError, match="column 3"):
        plan(replace(CONFIG, arms=(replace(arm, options={"format": "x*y"}),)))


def test_a_format_of_ones_own_is_stored_as_its_formula(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers and records know no name that only the declaring process was told."""
    monkeypatch.setattr(registry, "_own", {})
    registry.add_formats([Format("mine", x * affine("W") + x)])
    arm = Arm(model="quadratic", label="{format}", options={"format": ("mine", "min*"), "hidden": 4})
    (spec,) = plan(replace(CONFIG, arms=(arm,), datasets=("moons",), seeds=(0,)))
    assert (dict(spec.options)["format"], spec.label) == ('x * affine("W") + x', "mine")


@pytest.mark.parametrize("model", ["quadratic", "qnn-alpha"])
def test_options_that_came_later_leave_runs_what_they_were(model: str) -> None:
    """Ids, start values and records are those of before, while an option has the value that was there before."""
    arm = Arm(model=model, options={"format": "T9"} if model == "quadratic" else {})
    config = replace(CONFIG, task="train", datasets=("planted",), arms=(arm,), seeds=(0,), training={})
    (now,) = plan(config)
    before = replace(now, options=tuple(pair for pair in now.options if pair[0] not in LATER_OPTIONS))
    assert LATER_OPTIONS.items() <= dict(now.options).items(), "each is still the default"
    assert (now.id, now.arm, now.root_seed) == (before.id, before.arm, before.root_seed)
    for name, value in (("init", "unit-gain"), ("operating_std", 0.2), ("embedding_std", 0.3)):
        (other,) = plan(replace(config, arms=(replace(arm, options={**arm.options, name: value}),)))
        assert other.id != now.id
        assert other.root_seed != now.root_seed
        assert RunSpec.from_content(other.content()).id == other.id


def test_a_run_of_before_these_options_has_its_id() -> None:
    config = StudyConfig(
        name="one",
        title="one",
        task="train",
        datasets=("planted",),
        arms=(Arm(model="quadratic", options={"format": "T9"}),),
    )
    assert plan(config)[0].id == "ad06096145be8b66"
