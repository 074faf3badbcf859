"""The committed order of the registered formats: of today's registry, proved anew, read at once, and never stale in silence."""

from __future__ import annotations

import itertools
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction

import pytest

import qnn_theory as qt
from qnn_theory.grammar.evaluate import evaluate, relu_of_numbers
from qnn_theory.grammar.expr import affine, x
from qnn_theory.grammar.format import Format
from qnn_theory.relations.certificates import Containment, direction_to_dict
from qnn_theory.relations.containment.proof import prove_map
from qnn_theory.relations.invariants.pair import Separation
from qnn_theory.relations.registered_order import stored as module
from qnn_theory.relations.registered_order.stored import (
    entries_of,
    file_text,
    registry_hash,
    stored,
    stored_verdict,
)
from qnn_theory.relations.relation import containment_order, decide, decide_anew
from qnn_theory.relations.write_order import order_text

PAIRS = list(itertools.permutations(qt.formats(), 2))
SAMPLE = random.Random(13).sample(PAIRS, 60)
PLACE = module.resources.files("qnn_theory") / "relations" / "registered_order" / "order.json"


@pytest.fixture
def fresh() -> Iterator[Callable[[], None]]:
    """Forget what was read, now and afterwards."""

    def forget() -> None:
        module._content.cache_clear()
        stored.cache_clear()

    forget()
    yield forget
    forget()


def test_the_file_is_of_this_registry_and_complete() -> None:
    content = json.loads(PLACE.read_text(encoding="utf-8"))
    assert content["registry"] == registry_hash()
    assert {(e["source"], e["target"]) for e in content["directions"]} == {(a.id, b.id) for a, b in PAIRS}
    assert len(PLACE.read_bytes()) < 300_000


@pytest.mark.parametrize(("a", "b"), SAMPLE, ids=lambda f: f.id)
def test_a_sample_is_proved_anew(a: Format, b: Format) -> None:
    """Maps are proved again as stored; a separation is found again, and the stored function is one of the source."""
    check_stored(a, b)


@pytest.mark.slow
def test_all_of_it_is_proved_anew() -> None:
    for a, b in PAIRS:
        check_stored(a, b)
    assert order_text() == PLACE.read_text(encoding="utf-8")


def check_stored(a: Format, b: Format) -> None:
    found = stored(a, b)
    assert found is not None
    if isinstance(found, Containment):
        assert prove_map(a, b, found.map) == found.proof
        return
    assert isinstance(found, Separation)
    assert isinstance(decide_anew(a, b, minimal=False), Separation)
    shown = found.witness
    if shown is not None and not any(word in shown.function_text for word in ("relu", "sigmoid")):
        names = {f"x_{i + 1}": Fraction(i * i + 2, 3) for i in range(shown.dim)}
        values = evaluate(a.expr, list(names.values()), shown.values(a.expr), activation=relu_of_numbers)
        for output, text in shown.outputs:
            assert eval(text.replace("^", "**"), {}, names) == values[output]


def test_what_is_written_is_read_back() -> None:
    for a, b in SAMPLE:
        found, anew = stored(a, b), decide_anew(a, b)
        assert found is not None
        assert direction_to_dict(found) == direction_to_dict(anew)
        assert decide(a, b) == found


def test_a_changed_registry_is_computed_anew(monkeypatch: pytest.MonkeyPatch, fresh: Callable[[], None]) -> None:
    """The hash is that of the formulas: with another one the file says nothing."""
    t9, t5 = qt.get_format("T9"), qt.get_format("T5")
    assert stored_verdict(t9, t5) == "contained"
    monkeypatch.setattr(module, "registry_hash", lambda: "another")
    fresh()
    assert stored(t9, t5) is None
    assert stored_verdict(t9, t5) is None
    assert isinstance(decide_anew(t9, t5), Containment)
    changed = [f if f.id != "T9" else Format("T9", x * affine("W_a")) for f in qt.formats()]
    assert registry_hash(changed) != registry_hash(qt.formats())
    assert registry_hash(list(qt.formats())) == registry_hash()


def test_a_format_of_ones_own_under_a_registered_name_is_not_looked_up() -> None:
    own = Format("T9", affine("W_a") * affine("W_b") + affine("W_c") ** 2)
    assert stored(own, qt.get_format("T5")) is None
    assert isinstance(decide(own, qt.get_format("T5")), Separation)
    assert isinstance(decide(qt.get_format("T9"), qt.get_format("T5")), Containment)


def test_a_stored_map_that_means_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = qt.get_format("T9"), qt.get_format("T5")
    content = json.loads(file_text(entries_of([decide_anew(a, b)])))
    (entry,) = content["directions"]
    broken = json.loads(json.dumps(entry).replace('"W_a"]', '"W_z"]'))
    assert broken != entry
    monkeypatch.setattr(module, "_content", lambda: (content, {("T9", "T5"): broken}))
    with pytest.raises(ValueError, match="write_order"):
        stored.__wrapped__(a, b)


def test_a_wrong_stored_map_does_not_pass_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coefficient that was changed: the check of the tests above rejects it."""
    a, b = qt.get_format("T9"), qt.get_format("T5")
    content = json.loads(file_text(entries_of([decide_anew(a, b)])))
    (entry,) = content["directions"]
    broken = json.loads(json.dumps(entry).replace('"1", "W_a"', '"2", "W_a"'))
    assert broken != entry
    monkeypatch.setattr(module, "_content", lambda: (content, {("T9", "T5"): broken}))
    wrong = stored.__wrapped__(a, b)
    assert isinstance(wrong, Containment)
    with pytest.raises(ValueError, match="must turn"):
        prove_map(a, b, wrong.map)


def test_the_order_is_read_at_once() -> None:
    """In a process of its own: reading and one relation take well under a second, where computing takes ten."""
    code = (
        "import time, qnn_theory as qt; from qnn_theory.relations.relation import containment_order, decide;"
        "t = time.process_time(); qt.relation('T28', 'T29'); order = containment_order(); print(time.process_time() - t)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 1.0
    assert containment_order().open == ()
