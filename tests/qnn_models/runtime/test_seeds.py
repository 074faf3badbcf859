import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_models.runtime.seeds import derive


@given(st.integers(0, 2**70), st.lists(st.one_of(st.text(max_size=5), st.integers(0, 99)), min_size=1, max_size=3))
def test_seeds_fit_torch_and_repeat(root: int, purpose: list[str | int]) -> None:
    assert 0 <= derive(root, *purpose) < 2**63
    assert derive(root, *purpose) == derive(root, *purpose)


def test_purposes_differ_in_every_part() -> None:
    seeds = [
        derive(0, "a"),
        derive(1, "a"),
        derive(0, "b"),
        derive(0, "a", 1),
        derive(0, "a", "1"),
        derive(0, "a", 1, 2),
    ]
    assert len(set(seeds)) == len(seeds)


def test_the_hash_is_fixed_for_good() -> None:
    # Stored splits and results depend on it. By hand: printf "(0, 'split')" | sha256sum, first 16 digits.
    assert derive(0, "split") == 0xA2B12A6311274013 >> 1
    with pytest.raises(ValueError, match="for a purpose"):
        derive(0)
