"""`AtomicInt`."""

from __future__ import annotations

import operator
from typing import Any

import pytest

from raddle.threading import AtomicInt
from tests.python.threading.support import Running

LARGEST, SMALLEST = 2**63 - 1, -(2**63)


def test_it_is_read_and_set() -> None:
    number = AtomicInt()
    assert number.load() == 0
    assert number.store(5) is None  # type: ignore[func-returns-value]
    assert number.exchange(-7) == 5
    assert (int(number), operator.index(number), bool(number)) == (-7, -7, True)
    assert not AtomicInt(0)
    assert repr(number) == "AtomicInt(-7)"
    assert list(range(AtomicInt(3))) == [0, 1, 2]


def test_what_changes_it_returns_the_value_before() -> None:
    number = AtomicInt(12)
    assert (number.add(), number.add(5), number.sub(), number.sub(7)) == (12, 13, 18, 17)
    assert (number.and_(0b110), number.or_(0b1001), number.xor(0b1111)) == (10, 2, 11)
    assert (number.max(3), number.max(9), number.min(20), number.min(-1)) == (4, 4, 9, 9)
    assert number.load() == -1


def test_it_is_exchanged_if_it_is_what_was_expected() -> None:
    number = AtomicInt(1)
    assert number.compare_exchange(1, 5) == (True, 1)
    assert number.compare_exchange(1, 9) == (False, 5)
    assert number.load() == 5


def test_it_is_changed_in_place() -> None:
    number = same = AtomicInt(1)
    number += 5
    number -= 2
    assert number is same
    assert number.load() == 4


def test_nothing_wraps() -> None:
    number = AtomicInt(LARGEST)
    for change in (number.add, lambda: number.add(LARGEST), lambda: number.sub(-1)):
        with pytest.raises(OverflowError):
            change()
    with pytest.raises(OverflowError):
        number += 1
    assert number.load() == LARGEST
    number.store(SMALLEST)
    with pytest.raises(OverflowError):
        number.sub()
    with pytest.raises(OverflowError):
        number.sub(1)
    assert number.load() == SMALLEST
    with pytest.raises(OverflowError):
        number.store(LARGEST + 1)
    with pytest.raises(OverflowError):
        AtomicInt(SMALLEST - 1)


@pytest.mark.parametrize("value", ["1", 1.0, None])
def test_it_takes_integers_only(value: Any) -> None:
    with pytest.raises(TypeError):
        AtomicInt(value)
    with pytest.raises(TypeError):
        AtomicInt().add(value)


def test_it_compares_by_the_value_of_the_moment() -> None:
    number = AtomicInt(5)
    assert number == 5 == number
    assert number == AtomicInt(5) == 5.0
    assert number != 6
    assert 4 < number < 5.5
    assert AtomicInt(5) <= number <= 2**100
    assert number >= AtomicInt(-1)
    number += 1
    assert number == 6
    assert number != "6"
    assert number is not None
    with pytest.raises(TypeError):
        assert number < "7"  # type: ignore[operator]


def test_it_has_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(AtomicInt())


@pytest.mark.parametrize("threads", [1, 100])
def test_many_threads_count_right(threads: int) -> None:
    number, most = AtomicInt(), AtomicInt()

    def count() -> None:
        nonlocal number
        for _ in range(2000 // threads):
            most.max(number.add() + 1)
            number += 1
            while True:
                before = number.load()
                if number.compare_exchange(before, before + 1)[0]:
                    break

    counting = [Running(count) for _ in range(threads)]
    for one in counting:
        one.result()
    assert number.load() == 3 * (2000 // threads) * threads
    assert most.load() <= number.load()
