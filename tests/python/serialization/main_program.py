"""A program whose `__main__` is full of things that its workers need; it checks by itself that all is well."""

import abc
import collections
import concurrent.futures
import contextvars
import dataclasses
import enum
import functools
import sys
import threading
import typing

from tests.python.serialization.support import Worker

T = typing.TypeVar("T")
user = contextvars.ContextVar("user", default="nobody")
model = None
cache: dict = {}
THRESHOLD = 10


def initialize():
    global model
    model = "loaded"
    cache["filled"] = True


def work(x):
    return model, dict(cache), x > THRESHOLD


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0
    made = 0

    class Inner:
        pass

    def __post_init__(self):
        Point.made += 1

    def norm(self):
        return abs(self.x) + abs(self.y)

    @classmethod
    def origin(cls):
        return cls(0, 0)

    @staticmethod
    def double(x):
        return 2 * x


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: int


class Color(enum.Enum):
    RED = 1
    BLUE = 2
    AZURE = 2  # noqa: PIE796

    def mixed(self):
        return Color.BLUE if self is Color.RED else Color.RED


class Mode(enum.Flag):
    READ = 1
    WRITE = 2


Pair = collections.namedtuple("Pair", "one other")  # noqa: PYI024


class Typed(typing.NamedTuple):
    a: int
    b: str = "b"


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def __init__(self, side):
        self.side = side

    def area(self):
        return self.side**2

    def __eq__(self, other):
        return type(other) is type(self) and other.side == self.side

    __hash__ = None


class Box(typing.Generic[T]):
    def __init__(self, content: T):
        self.content = content


class Slotted:
    __slots__ = ("__private", "value")

    def __init__(self, value):
        self.value = value
        self.__private = -value

    def private(self):
        return self.__private


class Meta(type):
    def __call__(cls, *args):
        made = super().__call__(*args)
        made.tagged = True
        return made


class WithMeta(metaclass=Meta):
    pass


class Plugin:
    registered: typing.ClassVar[list] = []

    def __init_subclass__(cls, **options):
        Plugin.registered.append(cls.__name__)


class Child(Plugin):
    def __repr__(self):
        return super().__repr__().split(" ")[0]


class Refused(Exception):
    def __init__(self, code, *, reason):
        super().__init__(f"{code}: {reason}")
        self.code, self.reason = code, reason


class Lazy:
    @functools.cached_property
    def value(self):
        return 42


def refuse(code):
    raise Refused(code, reason="no")


@functools.lru_cache(maxsize=100)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@functools.singledispatch
def describe(value):
    return "something"


@describe.register
def _(value: int):
    return "an int"


@describe.register(Point)
def _(value):
    return "a point"


def decorated(function):
    @functools.wraps(function)
    def wrapper(*args):
        return "wrapped", function(*args)

    return wrapper


@decorated
def plain(x):
    return x


def who():
    return user.get()


def counter():
    count = 0

    def add():
        nonlocal count
        count += 1
        return count

    def read():
        return count

    return add, read


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def make_local():
    class Local:
        value = 3

    return Local()


def uses_a_class_body():
    class Body:
        bound = THRESHOLD

    return Body.bound


def uses_a_submodule():
    return concurrent.futures.Future.__name__


def same(x):
    return x


def raised(function, *args):
    try:
        function(*args)
    except Exception as error:
        return error
    raise AssertionError("it did not raise")


def check(worker):
    run = worker.run
    # Globals: what an initializer sets is there, and what the program binds anew arrives with the next function.
    assert run(initialize) is None
    assert run(work, 11) == ("loaded", {"filled": True}, True)
    assert model is None
    assert cache == {}
    globals()["THRESHOLD"] = 20
    assert run(lambda x: (model, x > THRESHOLD), 11) == ("loaded", False)

    # Instances come back as instances of the same classes.
    for value in (Point(1, 2), Frozen(3), Color.RED, Mode.READ | Mode.WRITE, Pair(1, 2), Typed(1), Square(2)):
        back = run(same, value)
        assert (type(back), back) == (type(value), value)
    assert run(same, Color.AZURE) is Color.BLUE
    assert run(lambda color: color.mixed(), Color.RED) is Color.BLUE
    assert run(lambda: [Color["AZURE"], Color(1), list(Color)]) == [
        Color.BLUE,
        Color.RED,
        [Color.RED, Color.BLUE],
    ]
    assert run(same, Mode.READ) is Mode.READ
    assert run(lambda: Point(5)) == Point(5)
    assert type(run(same, Point.Inner())) is Point.Inner
    assert type(run(same, Box(3))) is Box
    assert run(lambda: Box[int](4)).content == 4
    for cls in (Point, Point.Inner, Color, Shape, Square, Box, Slotted, WithMeta, Meta, Pair, T):
        assert run(same, cls) is cls, cls
    assert run(lambda cls: (cls.__module__, cls.__qualname__), Point.Inner) == (__name__, "Point.Inner")
    assert run(lambda square: (isinstance(square, Shape), square.area()), Square(3)) == (True, 9)
    slotted = run(lambda s: (s, hasattr(s, "__dict__"), s.private()), Slotted(3))
    assert type(slotted[0]) is Slotted
    assert slotted[1:] == (False, -3)
    assert run(lambda: WithMeta()).tagged
    assert type(run(same, Child())) is Child
    assert Plugin.registered == ["Child"]
    assert run(lambda lazy: lazy.value, Lazy()) == 42

    # What a worker does to a class stays there, until the program changes it.
    made = Point.made
    run(lambda: [Point(1), setattr(Point, "made", -1)])
    run(same, Point(2))
    assert Point.made == made + 1
    Point.shade = "dark"
    assert run(lambda point: point.shade, Point(2)) == "dark"

    # Functions of every kind.
    assert run(same, work) is work
    assert run(fibonacci, 60) == 1548008755920
    assert [run(describe, x) for x in (1, "x", Point(1))] == ["an int", "something", "a point"]
    assert run(plain, 1) == ("wrapped", 1)
    assert run(Point(3, 4).norm) == 7
    assert run(Point.origin) == Point(0)
    assert run(Point.double, 3) == 6
    assert run(functools.partial(same, x=3)) == 3
    assert run(even, 10)
    assert not run(odd, 10)
    add, read = run(same, counter())
    assert (add(), add(), read()) == (1, 2, 2)
    assert run(uses_a_class_body) == 20
    assert run(uses_a_submodule) == "Future"
    local = run(make_local)
    assert local.value == 3
    assert type(local).__qualname__ == "make_local.<locals>.Local"
    assert run(same, local).__class__ is local.__class__
    assert run(lambda: sys.modules[__name__].Point is Point)

    # Exceptions, and context variables.
    error = raised(run, refuse, 7)
    assert type(error) is Refused
    assert (error.code, error.reason, error.args) == (7, "no", ("7: no",))
    assert "in refuse" in str(error.__cause__), error.__cause__
    user.set("me")
    assert worker.run_in(contextvars.copy_context(), who) == "me"
    assert run(who) == "nobody"

    # What can't be sent is named.
    error = raised(run, same, [Point(threading.Lock())])
    assert "args[0][0].x is a _thread.lock" in str(error), error


worker = Worker()
check(worker)
worker.close()
print("all is well")
