"""The versions that developers and the checks use."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.pins import PINS, Versions, lines


PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))


def pins() -> list[Requirement]:
    """Return what the file says."""
    written = PINS.read_text("utf-8").splitlines()
    return [Requirement(line) for line in written if not line.startswith("#")]


@pytest.mark.parametrize(
    ("choices", "expected"),
    [
        ({"3.11": {"b": "2", "a": "1"}, "3.12": {"a": "1", "b": "2"}}, ["a==1", "b==2"]),
        ({"3.11": {"a": "1"}, "3.12": {}, "3.13": {"a": "1"}}, ["a==1"]),
        (
            {"3.11": {"a": "1"}, "3.12": {"a": "1"}, "3.13": {"a": "2"}},
            ['a==1 ; python_version < "3.13"', 'a==2 ; python_version >= "3.13"'],
        ),
        (
            {"3.11": {"a": "1"}, "3.12": {"a": "2"}, "3.13": {"a": "3"}},
            [
                'a==1 ; python_version < "3.12"',
                'a==2 ; python_version >= "3.12" and python_version < "3.13"',
                'a==3 ; python_version >= "3.13"',
            ],
        ),
        ({"3.11": {}, "3.12": {"a": "1"}}, ["a==1"]),
    ],
)
def test_lines(choices: dict[str, Versions], expected: list[str]) -> None:
    """A package has one line, or one for each version, of which exactly one applies to each Python."""
    assert expected == lines(choices)
    for python, versions in choices.items():
        for name, version in versions.items():
            requirements = [Requirement(line) for line in expected if line.startswith(f"{name}==")]
            applying = [one for one in requirements if _applies(one, python)]
            assert [f"=={version}"] == [str(one.specifier) for one in applying]


def _applies(requirement: Requirement, python: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"python_version": python})


def test_the_file() -> None:
    """The file says nothing but versions, each package's once for each Python, in order."""
    for pin in pins():
        assert pin.url is None
        assert not pin.extras
        assert [one.operator for one in pin.specifier] == ["=="]
    names = [canonicalize_name(pin.name) for pin in pins()]
    assert names == sorted(names)


def test_the_ranges() -> None:
    """Each version is one that our ranges allow; where a range was raised, `make pins` comes next."""
    groups = PROJECT["dependency-groups"]
    wanted = [line for group in groups.values() for line in group if isinstance(line, str)]
    for line in [*PROJECT["project"]["dependencies"], *wanted]:
        requirement = Requirement(line)
        for pin in pins():
            if canonicalize_name(pin.name) == canonicalize_name(requirement.name):
                (version,) = (one.version for one in pin.specifier)
                assert version in requirement.specifier, f"{pin} is not in {requirement.specifier}"
