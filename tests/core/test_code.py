"""What counts as an edit: code by its meaning, XML without comments, everything else byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from manyseeds.core.code import Code, digests, python_text, some

SOURCE = '''"""Says what it is."""
import math


def area(r):
    """Return it."""
    return math.pi * r**2  # in m^2
'''
SAME = [
    SOURCE.replace("# in m^2", "# square metres"),
    SOURCE.replace("Says what it is.", "Says more."),
    SOURCE.replace('    """Return it."""\n', ""),
    SOURCE.replace("math.pi * r**2", "(math.pi\n            * r ** 2)"),
    SOURCE.replace("\n\n\n", "\n"),
]
OTHER = [
    SOURCE.replace("r**2", "r**3"),
    SOURCE.replace("math.pi", "3.14"),
    SOURCE.replace("r**2", "r**2.0"),
    SOURCE.replace("def area(r):", "def area(r=1):"),
    SOURCE.replace("import math", "import cmath as math"),
    SOURCE + "\narea = None\n",
]


def digest(folder, name, text):
    (folder / name).write_text(text)
    return digests({name: folder / name})[name]


@pytest.mark.parametrize("text", SAME)
def test_comments_docstrings_and_layout_change_no_digest(tmp_path, text):
    assert digest(tmp_path, "a.py", text) == digest(tmp_path, "a.py", SOURCE)


@pytest.mark.parametrize("text", OTHER)
def test_any_other_edit_changes_it(tmp_path, text):
    assert digest(tmp_path, "a.py", text) != digest(tmp_path, "a.py", SOURCE)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_two_numbers_are_the_same_code_only_where_they_are_the_same_bits(a, b):
    same = repr(a) == repr(b)
    assert (python_text(f"x = {a!r}".encode()) == python_text(f"x = {b!r}".encode())) == same


def test_a_text_in_the_code_is_no_docstring(tmp_path):
    assert digest(tmp_path, "a.py", "x = 'one'\n") != digest(tmp_path, "a.py", "x = 'two'\n")


def test_code_that_cannot_be_parsed_counts_byte_by_byte(tmp_path):
    assert digest(tmp_path, "a.py", "def (") != digest(tmp_path, "a.py", "def ( # other")


def test_xml_counts_without_comments_and_with_every_attribute(tmp_path):
    one = '<mujoco><!-- light --><geom mass="0.1"  type="box"/></mujoco>'
    assert digest(tmp_path, "a.xml", one) == digest(tmp_path, "a.xml", one.replace("light", "heavy"))
    assert digest(tmp_path, "a.xml", one) == digest(tmp_path, "a.xml", '<mujoco><geom type="box" mass="0.1"/></mujoco>')
    assert digest(tmp_path, "a.xml", one) != digest(tmp_path, "a.xml", one.replace("0.1", "0.8"))


def test_other_files_count_byte_by_byte(tmp_path):
    assert digest(tmp_path, "a.stl", "solid") != digest(tmp_path, "a.stl", "solid ")


def test_changes_are_named_and_a_package_counts_where_both_know_it():
    was = Code({"task/a.xml": "1", "task/gone.py": "2"}, {"torch": "2.11", "numba": "0.6"})
    now = Code({"task/a.xml": "9", "task/new.py": "3"}, {"torch": "2.12"})
    assert was.changes(now) == ["task/a.xml", "task/gone.py", "task/new.py", "torch (2.11, now 2.12)"]
    assert some(was.changes(now), 2) == "task/a.xml, task/gone.py and 2 more"
    assert was.changes(Code(was.files, {})) == [] and was.digest != Code(was.files, {}).digest
    assert (
        Code.from_dict(was.to_dict()) == was and Code.from_dict({"files": 1}) is None and Code.from_dict(None) is None
    )
