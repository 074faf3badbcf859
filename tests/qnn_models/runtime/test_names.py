"""Names that become parts of paths."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn_models.runtime.names import MAX_NAME_LENGTH, check_name


@pytest.mark.parametrize("name", ["ml-100k", "a", "_x", "T9.relu", "A_b-c.1", "7", "a..b", "x" * MAX_NAME_LENGTH])
def test_plain_names_come_back(name: str) -> None:
    assert check_name(name, what="a name") == name


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../../evil", "/etc/passwd", "a/b", "a\\b", "C:evil", ".hidden", "-rf", " a", "a b", "a\n"),
        *("a\x00b", "é", "ａ", "<script>", "~root", "$HOME", "x" * (MAX_NAME_LENGTH + 1), None, 7, ["a"]),
    ],
    ids=repr,
)
def test_other_names_are_refused_with_rule_value_and_remedy(name: object) -> None:
    with pytest.raises(ValueError, match=r"the arm of a study becomes part of a path.*however: .*; rename it") as error:
        check_name(name, what="the arm of a study")
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


@given(st.text(max_size=12))
def test_what_passes_stays_in_its_folder(name: str) -> None:
    try:
        check_name(name, what="a name")
    except ValueError:
        return
    folder = Path("/some/folder")
    assert (folder / name).resolve().parent == folder
