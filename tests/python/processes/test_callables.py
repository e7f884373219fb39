"""What a program's `__main__` has, in workers that never run it: callables of every sort, globals, classes."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.python.processes.programs import HEAD, run, script

CALLABLES = """
import asyncio
import functools

shift = 100

def plain(number):
    return number + shift

def decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) + 1
    return wrapper

@decorated
def wrapped(number):
    return number

@functools.lru_cache
def cached(number):
    return number + shift

async def coroutine(number):
    await asyncio.sleep(0)
    return number + shift

def closure():
    hidden = 7
    return lambda number: number + hidden

class Calculator:
    def __init__(self, offset):
        self.offset = offset
    def __call__(self, number):
        return number + self.offset
    def method(self, number):
        return number - self.offset
    @classmethod
    def of_class(cls, number):
        return cls(3)(number)
    @staticmethod
    def static(number):
        return 2 * number
    async def coroutine(self, number):
        return number * self.offset

def local_class():
    class Local:
        def __call__(self, number):
            return -number
        def method(self, number):
            return 10 * number
    return Local()

def recursive(number):
    return 1 if number < 2 else number * recursive(number - 1)

def odd(number):
    return bool(number) and even(number - 1)

def even(number):
    return not number or odd(number - 1)

@functools.singledispatch
def dispatched(value):
    return "anything"

@dispatched.register
def _(value: int):
    return "a whole number"

with ProcessPoolExecutor(2) as pool:
    def call(function, *args):
        by_submit = pool.submit(function, *args).result()
        if args:
            by_map, = pool.map(function, *([arg] for arg in args))
            assert by_submit == by_map, function
        return by_submit
"""


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("plain, 1", 101),
        ("lambda number: number + shift, 1", 101),
        ("closure(), 1", 8),
        ("wrapped, 1", 2),
        ("cached, 1", 101),
        ("functools.partial(plain, 1)", 101),
        ("functools.partial(lambda a, b: a - b, 5), 2", 3),
        ("functools.partial(Calculator(5).method, 7)", 2),
        ("Calculator(5), 1", 6),
        ("Calculator(5).method, 1", -4),
        ("Calculator.of_class, 1", 4),
        ("Calculator.static, 4", 8),
        ("local_class(), 4", -4),
        ("local_class().method, 4", 40),
        ("recursive, 5", 120),
        ("even, 10", True),
        ("dispatched, 3", "a whole number"),
        ("dispatched, 'x'", "anything"),
        ("'{}-{}'.format, 1, 2", "1-2"),
        ("[3, 1, 2].__getitem__, 1", 1),
        ("int.from_bytes, b'\\x01\\x00', 'big'", 256),
        ("len, 'four'", 4),
        ("__import__('operator').itemgetter(1), 'ab'", "b"),
    ],
)
def test_callables_of_main(tmp_path: Path, expression: str, result: object) -> None:
    source = f"{CALLABLES}    print(repr(call({expression})))\n"
    assert run(["-c", HEAD + source], cwd=tmp_path) == [repr(result)]


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("coroutine, 1", 101),
        ("Calculator(5).coroutine, 2", 10),
        ("functools.partial(coroutine, 2)", 102),
    ],
)
def test_coroutine_functions_run_on_a_loop_in_the_worker(
    tmp_path: Path, expression: str, result: object
) -> None:
    source = f"{CALLABLES}    print(repr(pool.submit({expression}).result()))\n"
    assert run(["-c", HEAD + source], cwd=tmp_path) == [repr(result)]


def test_globals_are_as_they_were_bound_when_a_function_was_submitted(tmp_path: Path) -> None:
    source = """
        factor = 2

        def scale(number):
            return factor * number

        def count():
            global counted
            counted += 1
            return counted

        counted = 10
        with ProcessPoolExecutor(1) as pool:
            print(pool.submit(scale, 5).result())
            factor = 3
            print(pool.submit(scale, 5).result())
            print(pool.submit(count).result(), counted)
    """
    assert run([script(tmp_path, source)], cwd=tmp_path) == ["10", "15", "11 10"]


@pytest.mark.parametrize("how", ["script", "command"])
def test_classes_of_main_keep_their_identity_on_the_way_back(tmp_path: Path, how: str) -> None:
    source = """
        import collections
        import dataclasses
        import enum
        import typing

        class Colour(enum.Enum):
            RED = 1
            BLUE = 2

        class Flags(enum.IntFlag):
            A = 1
            B = 2

        class Problem(Exception):
            def __init__(self, what, code=0):
                super().__init__(what)
                self.what = what
                self.code = code

        class Worse(Problem):
            pass

        @dataclasses.dataclass
        class Point:
            x: int
            colour: Colour = Colour.RED
            class Inner:
                pass

        Pair = collections.namedtuple("Pair", "a b")

        class Typed(typing.NamedTuple):
            a: int

        class Slots:
            __slots__ = ("value",)
            def __init__(self, value):
                self.value = value

        class Meta(type):
            pass

        class WithMeta(metaclass=Meta):
            pass

        class Base:
            pass

        class Derived(Base):
            pass

        def give(value):
            return value

        def check(value, kind):
            return isinstance(value, kind), type(value) is kind

        def fail(kind, *args):
            raise kind(*args)

        def make(name):
            return globals()[name]()

        def kinds():
            return Colour, Point, Problem

        def recolour(point):
            assert point.colour is Colour.RED
            point.colour = Colour.BLUE
            return point

        def local():
            class Local:
                value = 5
            return Local()

        with ProcessPoolExecutor(2) as pool:
            submit = lambda *args: pool.submit(*args).result()
            for value in (Point(1), Pair(1, 2), Typed(1), Slots(3), WithMeta(), Derived(), Point.Inner()):
                assert type(submit(give, value)) is type(value), value
                assert submit(check, value, type(value)) == (True, True), value
                (again,) = pool.map(give, [value])
                assert type(again) is type(value), value
            for member in (Colour.RED, Flags.A | Flags.B):
                assert submit(give, member) is member
            assert submit(recolour, Point(1)).colour is Colour.BLUE
            assert submit(kinds) == (Colour, Point, Problem)
            assert type(submit(make, "Derived")) is Derived
            assert isinstance(submit(make, "Derived"), Base)
            for kind in (Problem, Worse):
                try:
                    submit(fail, kind, "no", 7)
                except kind as error:
                    assert type(error) is kind and (error.what, error.code) == ("no", 7)
                else:
                    raise AssertionError(kind)
            assert submit(local).value == 5
            Point.added = "later"
            assert submit(give, Point(2)).added == "later"
        print("fine")
    """
    if how == "script":
        assert run([script(tmp_path, source)], cwd=tmp_path) == ["fine"]
    else:
        assert run(["-c", HEAD + textwrap.dedent(source)], cwd=tmp_path) == ["fine"]
