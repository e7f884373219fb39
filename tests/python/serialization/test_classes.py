"""Local classes go by value, and are the same classes when they come back."""

from __future__ import annotations

import abc
import collections
import dataclasses
import enum
import functools
import gc
import pickle
import sys
import threading
import typing
import weakref
from typing import Any

import pytest

from raddle._internal import serialization
from raddle._internal.serialization import identity
from tests.python.serialization.support import Worker
from tests.python.serialization.support import worker as a_worker


def same(x: Any) -> Any:
    return x


def check(worker: Worker, *values: Any) -> None:
    for value in values:
        back = worker.run(same, value)
        assert type(back) is type(value)
        assert back == value
        assert worker.run(same, type(value)) is type(value)


def test_plain_ones(worker: Worker) -> None:
    class Base:
        """Documented."""

        shared = 1

        def __init__(self, x: int) -> None:
            self.x = x

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Base) and self.x == other.x

        __hash__ = None  # type: ignore[assignment]

        @property
        def doubled(self) -> int:
            return 2 * self.x

        @staticmethod
        def static() -> int:
            return 5

        @classmethod
        def made(cls) -> Base:
            return cls(9)

    class Derived(Base):
        def __init__(self, x: int) -> None:
            super().__init__(x)

        def own_class(self) -> type:
            return __class__  # type: ignore[name-defined, no-any-return]

    check(worker, Base(1), Derived(2))
    assert worker.run(lambda d: (d.doubled, d.static(), d.shared, type(d).__doc__), Derived(2)) == (
        4,
        5,
        1,
        None,
    )
    assert worker.run(lambda: Derived.made()) == Derived(9)
    assert worker.run(lambda d: d.own_class(), Derived(1)) is Derived
    assert worker.run(lambda d: (isinstance(d, Base), issubclass(Derived, Base)), Derived(1)) == (True, True)
    described = worker.run(lambda c: (c.__name__, c.__qualname__, c.__module__, c.__doc__), Base)
    assert described == (Base.__name__, Base.__qualname__, Base.__module__, Base.__doc__)


def test_data_classes(worker: Worker) -> None:
    @dataclasses.dataclass(order=True)
    class Point:
        x: int
        y: list[int] = dataclasses.field(default_factory=list)
        hidden: typing.ClassVar[int] = 3
        start: dataclasses.InitVar[int] = 0

        def __post_init__(self, start: int) -> None:
            self.x += start

    @dataclasses.dataclass(frozen=True)
    class Frozen(collections.UserList):  # type: ignore[type-arg]
        x: int

    @dataclasses.dataclass
    class Slotted:
        __slots__ = ("x",)
        x: int

    check(worker, Point(1, [2], 5), Slotted(2))
    assert worker.run(lambda p: dataclasses.replace(p, x=7, start=0), Point(1)) == Point(7)
    assert worker.run(lambda: Point(3)) == Point(3)
    assert worker.run(lambda p: [f.name for f in dataclasses.fields(p)], Point(1)) == ["x", "y"]
    assert worker.run(lambda p: dataclasses.asdict(p), Point(1)) == {"x": 1, "y": []}


def test_slots(worker: Worker) -> None:
    class Slotted:
        __slots__ = ("__dict__", "__weakref__", "value")

    class Narrow:
        __slots__ = "only"

    made = Slotted()
    made.value = 1  # type: ignore[attr-defined]
    made.other = 2  # type: ignore[attr-defined]
    narrow = Narrow()
    narrow.only = 3
    back = worker.run(same, made)
    assert (back.value, back.other) == (1, 2)
    assert worker.run(lambda n: (n.only, hasattr(n, "__dict__")), narrow) == (3, False)


def test_named_tuples(worker: Worker) -> None:
    Pair = collections.namedtuple("Pair", "one other", defaults=[2])  # noqa: PYI024

    class Typed(typing.NamedTuple):
        a: int
        b: str = "b"

        def joined(self) -> str:
            return f"{self.a}{self.b}"

    check(worker, Pair(1), Typed(1))
    assert worker.run(lambda t: (t.joined(), t._asdict(), t._replace(a=2)), Typed(1)) == (
        "1b",
        {"a": 1, "b": "b"},
        Typed(2),
    )


class Planets(enum.Enum):
    """An importable one, to compare with."""

    EARTH = 1


def test_enumerations(worker: Worker) -> None:
    class Color(enum.Enum):
        RED = 1
        BLUE = 2
        AZURE = 2  # noqa: PIE796

    class Permission(enum.IntFlag):
        READ = 1
        WRITE = 2
        BOTH = 3

    class Text(str, enum.Enum):
        A = "a"

    class Planet(enum.Enum):
        EARTH = (5.9, 6.3)
        MARS = (0.6, 3.3)

        def __init__(self, mass: float, radius: float) -> None:
            self.mass = mass
            self.radius = radius

        @property
        def ratio(self) -> float:
            return self.mass / self.radius

    class Auto(enum.Enum):
        @staticmethod
        def _generate_next_value_(name: str, *_: Any) -> str:
            return name.lower()

        FIRST = enum.auto()

    for member in (*Color, *Permission, *Text, *Planet, *Auto, Planets.EARTH):
        assert worker.run(same, member) is member
        assert worker.run(lambda m: type(m)(m.value), member) is member
        assert worker.run(lambda m: type(m)[m.name], member) is member
    assert worker.run(same, Permission.READ | Permission.WRITE) is Permission.BOTH
    assert worker.run(lambda: Permission.BOTH) is Permission.BOTH
    assert worker.run(lambda c: list(c.__members__), Color) == ["RED", "BLUE", "AZURE"]
    assert worker.run(lambda: Color["AZURE"] is Color.BLUE)
    assert worker.run(lambda p: (p.mass, p.ratio), Planet.MARS) == (0.6, Planet.MARS.ratio)
    assert worker.run(lambda t: t + "b", Text.A) == "ab"
    assert worker.run(lambda d: d[Color.RED], {Color.RED: 1}) == 1


def test_abstract_bases(worker: Worker) -> None:
    class Shape(abc.ABC):
        @property
        @abc.abstractmethod
        def area(self) -> float: ...

    class Square(Shape):
        def __init__(self, side: float) -> None:
            self.side = side

        @property
        def area(self) -> float:
            return self.side**2

    @Shape.register
    class Odd:
        pass

    assert worker.run(lambda s: (s.area, isinstance(s, Shape)), Square(3)) == (9, True)
    assert worker.run(lambda s: isinstance(s, Shape), Odd())
    with pytest.raises(TypeError, match="abstract"):
        worker.run(lambda: Shape())


T = typing.TypeVar("T")


def test_generics_and_protocols(worker: Worker) -> None:
    class Box(typing.Generic[T]):
        def __init__(self, content: T) -> None:
            self.content = content

    class Ints(Box[int]):
        pass

    @typing.runtime_checkable
    class Sized(typing.Protocol):
        def size(self) -> int: ...

    class Thing:
        def size(self) -> int:
            return 3

    class Movie(typing.TypedDict, total=False):
        title: str
        year: int

    assert worker.run(lambda b: (type(b), b.content), Box(1)) == (Box, 1)
    assert worker.run(lambda: Ints(4)).content == 4
    assert worker.run(lambda: typing.get_args(Box[int])) == (int,)
    assert worker.run(lambda b: Box[str](b), "x").content == "x"
    assert worker.run(lambda t: isinstance(t, Sized), Thing())
    assert worker.run(lambda: Movie(title="a")) == {"title": "a"}
    assert worker.run(lambda m: sorted(m.__optional_keys__), Movie) == ["title", "year"]
    assert worker.run(same, Movie) is Movie


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax is new in 3.12")
def test_type_parameters_in_brackets(worker: Worker) -> None:
    variables: dict[str, Any] = {"__name__": "somewhere"}
    exec(
        "class Box[T]:\n"
        "    def __init__(self, content: T): self.content = content\n"
        "    def get(self) -> T: return self.content\n"
        "def first[S](items: list[S]) -> S: return items[0]\n"
        "type Pairs[U] = list[tuple[U, U]]\n",
        variables,
    )
    box = variables["Box"]
    assert worker.run(lambda b: b.get(), box(3)) == 3
    assert type(worker.run(same, box(3))) is box
    assert worker.run(variables["first"], [1, 2]) == 1
    assert worker.run(same, variables["Pairs"]) is variables["Pairs"]


def test_metaclasses(worker: Worker) -> None:
    class Meta(type):
        def __call__(cls, *args: Any) -> Any:
            made = super().__call__(*args)
            made.tagged = True
            return made

        def __len__(cls) -> int:
            return 7

    class Tagged(metaclass=Meta):
        pass

    assert worker.run(lambda: Tagged()).tagged  # type: ignore[attr-defined]
    assert worker.run(lambda c: len(c), Tagged) == 7
    assert worker.run(same, Meta) is Meta


def test_bases_that_want_to_be_told_of_subclasses(worker: Worker) -> None:
    class Plugin:
        names: typing.ClassVar[list[str]] = []

        def __init_subclass__(cls, *, name: str) -> None:
            cls.label = name  # type: ignore[attr-defined]
            Plugin.names.append(name)

    class First(Plugin, name="first"):
        pass

    assert worker.run(lambda f: (f.label, Plugin.names), First()) == ("first", ["first"])
    assert type(worker.run(same, First())) is First
    assert Plugin.names == ["first"]


def test_attributes_of_odd_types(worker: Worker) -> None:
    class Odd:
        partial = staticmethod(functools.partial(same, 1))
        method = functools.partialmethod(lambda self, x: x, 2)
        cached = functools.cache(lambda x: x)

        @functools.singledispatchmethod
        def show(self, x: Any) -> str:
            return "object"

        @show.register
        def _(self, x: int) -> str:
            return "int"

        class Inner:
            class Deeper:
                pass

    assert worker.run(lambda o: (o.partial(), o.method(), o.show(1), o.show("")), Odd()) == (
        1,
        2,
        "int",
        "object",
    )
    assert type(worker.run(lambda: Odd.Inner.Deeper())) is Odd.Inner.Deeper


def test_classes_that_refer_to_each_other(worker: Worker) -> None:
    class Tree:
        def leaf(self) -> Any:
            return Leaf(self)

    class Leaf:
        def __init__(self, tree: Any) -> None:
            self.tree = tree

        def trees(self) -> type:
            return Tree

    leaf = worker.run(lambda: Tree().leaf())
    assert type(leaf) is Leaf
    assert type(leaf.tree) is Tree
    assert worker.run(lambda x: x.trees(), leaf) is Tree


def test_exceptions(worker: Worker) -> None:
    class Refused(Exception):
        pass

    def refuse() -> None:
        raise Refused(1)

    def catch() -> str:
        try:
            refuse()
        except Refused:
            return "caught"
        return "missed"

    assert worker.run(catch) == "caught"
    with pytest.raises(Refused):
        worker.run(refuse)


def test_a_changed_class_is_sent_again_and_not_before() -> None:
    class Setting:
        value = 1
        seen: typing.ClassVar[list[int]] = []

    with a_worker() as worker:
        assert worker.run(lambda s: s.value, Setting()) == 1
        worker.run(lambda s: setattr(type(s), "value", -1), Setting())
        assert worker.run(lambda s: s.value, Setting()) == -1
        assert Setting.value == 1
        Setting.value = 2
        assert worker.run(lambda s: s.value, Setting()) == 2

        class Derived(Setting):
            pass

        assert worker.run(lambda s: s.value, Derived()) == 2
        Setting.value = 3
        assert worker.run(lambda s: s.value, Derived()) == 3


def test_a_class_is_described_once() -> None:
    class Local:
        pass

    known = [identity.known_definition(Local, upward=False)]
    for _ in range(2):
        serialization.dump_call((Local(),), None)
        known.append(identity.known_definition(Local, upward=False))
    assert known[0] is None
    assert known[1] == known[2] is not None


def test_classes_that_need_each_other_are_described_together(worker: Worker) -> None:
    class First:
        def other(self) -> Any:
            return Second()

    class Second:
        def other(self) -> Any:
            return First()

    alone = len(serialization.dump_call((First(),), None))
    together = len(serialization.dump_call((First(), Second(), [First, Second]), None))
    assert together < alone + 200
    assert [type(one) for one in worker.run(lambda pair: pair, (First(), Second()))] == [First, Second]
    assert type(worker.run(lambda one: one.other(), Second())) is First


def test_definitions_can_go_apart() -> None:
    class Local:
        pass

    definitions: list[identity.Definition] = []
    data = serialization.dump_call((Local(), Local), None, definitions=definitions)
    (definition,) = definitions
    assert definition.content not in data
    assert len(data) < 300
    again: list[identity.Definition] = []
    serialization.dump_call((Local(),), None, definitions=again)
    assert again == definitions
    with a_worker() as worker:
        with pytest.raises(pickle.UnpicklingError, match="has not arrived"):
            worker.run(serialization.load_call, data)
        worker.run(serialization.load_definition, definition.key, definition.content)
        args, _ = worker.run(serialization.load_call, data)
        assert [type(args[0]), args[1]] == [Local, Local]


def test_a_class_that_a_worker_has_made(worker: Worker) -> None:
    def make() -> Any:
        class Made:
            value = 3

        return Made()

    first, second = worker.run(make), worker.run(make)
    assert first.value == 3
    assert type(first) is not type(second)
    assert type(worker.run(same, first)) is type(first)
    with a_worker() as other:
        assert type(other.run(same, first)) is type(first)
        assert other.run(lambda m: m.value, first) == 3


def test_two_workers_send_instances_of_one_class() -> None:
    class Local:
        pass

    with a_worker() as one, a_worker() as other:
        assert {type(one.run(lambda: Local())), type(other.run(lambda: Local()))} == {Local}


def test_a_class_outlives_a_call_in_the_worker(worker: Worker) -> None:
    class Local:
        pass

    assert worker.run(lambda: id(Local)) == worker.run(lambda: id(Local))


def test_classes_are_forgotten_in_the_end() -> None:
    class Local:
        pass

    gone = weakref.ref(Local)
    serialization.dump_call((Local(),), None)
    del Local
    for _ in range(600):
        serialization.dump_call((type("Other", (), {})(),), None)
    gc.collect()
    assert gone() is None


def test_many_threads_send_one_class(worker: Worker) -> None:
    class Local:
        pass

    sent: list[bytes] = []
    threads = [
        threading.Thread(
            target=lambda: sent.extend(serialization.dump_call((Local(),), None) for _ in range(50))
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sent) == 400
    for data in sent:
        (back,), _ = serialization.load_call(data)
        assert type(back) is Local


def test_what_is_loaded_where_it_was_made_changes_nothing() -> None:
    class Local:
        method = same

        def own(self) -> int:
            return 1

    serialization.dump_call((Local(),), None)  # pickle keeps the names of slots in the class
    before = dict(Local.__dict__)
    (back,), _ = serialization.load_call(serialization.dump_call((Local(),), None))
    assert type(back) is Local
    assert dict(Local.__dict__) == before


def test_singletons_of_main() -> None:
    import __main__

    source = (
        "class Missing:\n"
        "    def __reduce__(self): return 'MISSING'\n"
        "    def __bool__(self): return False\n"
        "MISSING = Missing()\n"
        "def is_missing(x): return x is MISSING\n"
    )
    try:
        exec(source, __main__.__dict__)
        with a_worker() as worker:
            assert worker.run(same, __main__.MISSING) is __main__.MISSING
            assert worker.run(__main__.is_missing, __main__.MISSING)
            assert worker.run(lambda pair: pair[0] is pair[1][0], (__main__.MISSING, [__main__.MISSING]))
    finally:
        for name in ("Missing", "MISSING", "is_missing"):
            vars(__main__).pop(name, None)


def test_an_extension_type_is_never_taken_apart() -> None:
    kind = type(pickle.PickleBuffer(b""))
    assert serialization.loads(serialization.dumps(kind)) is kind
    for special in (type(None), type(...), type(NotImplemented), type(lambda: 0), type(len), property):
        assert serialization.loads(serialization.dumps([special, lambda: 0]))[0] is special
