"""Workers that are forks of the user's process, and processes that fork after they have sent something."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from raddle._internal import serialization
from raddle._internal.serialization.references import inherit

PROGRAM = """
import dataclasses, enum, os
import pytest

from raddle._internal import serialization
from raddle._internal.serialization.references import inherit

@dataclasses.dataclass
class Point:
    x: int

class Color(enum.Enum):
    RED = 1

def make():
    return Point(1)

received, sent = os.pipe()
call = serialization.dump_call((Color.RED,), None)
function = serialization.dump_function(make)
if os.fork() == 0:
    inherit()
    (color,), _ = serialization.load_call(call)
    assert color is Color.RED
    own = Point(1)                                   # of the class that was inherited
    result = serialization.load_function(function)()
    data = serialization.dump_result([own, result, color, make, Point])
    os.write(sent, data)
    os._exit(0)
os.close(sent)
own, result, color, function, cls = serialization.load_result(os.read(received, 100_000))
assert type(own) is Point
assert type(result) is Point
assert color is Color.RED
assert function is make
assert cls is Point
os.wait()
print("all is well")
"""


def test_classes_of_main_in_a_fork_of_it() -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True)
    assert done.stdout.strip() == "all is well", done.stderr


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_what_a_fork_makes_is_not_what_another_one_makes() -> None:
    """Both have the state of the process that they came from, as the workers of one zygote do."""
    loaded = []
    for number in range(2):
        received, sent = os.pipe()
        if os.fork() == 0:
            code = 1
            try:
                inherit()
                made: Any = type("Made", (), {"number": number})
                os.write(sent, serialization.dump_result(made()))
                code = 0
            finally:
                os._exit(code)
        os.close(sent)
        with open(received, "rb") as stream:
            loaded.append(serialization.load_result(stream.read()))
        os.wait()
    assert [made.number for made in loaded] == [0, 1]


def test_importing_is_light() -> None:
    """A worker that is never sent a class by value has no use for cloudpickle."""
    program = (
        "import sys; before = set(sys.modules); from raddle._internal import serialization as s; "
        "s.load_function(s.dump_function(lambda: 1))(); print('cloudpickle' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    assert done.stdout.strip() == "False", done.stderr
