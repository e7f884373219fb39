"""Which value of a global variable a task sees, in programs whose functions go by value."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.python.processes.programs import HEAD, run, script


def outcome(tmp_path: Path, body: str) -> list[str]:
    return run([script(tmp_path, textwrap.dedent(body))], cwd=tmp_path)


def test_a_task_sees_what_a_variable_was_bound_to_when_it_was_submitted(tmp_path: Path) -> None:
    body = """
    N = 1
    def f(_=None):
        return N, helper()
    def g(_=None):
        return f()
    def h():
        return N
    def helper():
        return "old"
    def closure():
        number = 1
        def count():
            return number
        def more():
            nonlocal number
            number += 1
        return count, more

    with ProcessPoolExecutor(max_workers=2) as pool:
        print(set(pool.map(f, range(8), chunksize=1)), pool.submit(g).result())
        N = 2
        def helper():
            return "new"
        print(pool.submit(h).result())
        print(set(pool.map(f, range(8), chunksize=1)), set(pool.map(g, range(8), chunksize=1)))
        count, more = closure()
        print(pool.submit(count).result())
        more()
        print(pool.submit(count).result())
    """
    assert outcome(tmp_path, body) == [
        *("{(1, 'old')} (1, 'old')", "2", "{(2, 'new')} {(2, 'new')}"),
        *("1", "2"),
    ]


def test_a_new_function_takes_along_what_was_changed_in_place(tmp_path: Path) -> None:
    body = """
    class Settings:
        level = 0
    settings = Settings()
    table = list(range(20_000))
    small = {}
    def known(_):
        return settings.level, table[0], dict(small)

    with ProcessPoolExecutor(max_workers=2) as pool:
        print(set(map(str, pool.map(known, range(8), chunksize=1))))
        settings.level, table[0], small["a"] = 2, 99, 1
        print(pool.submit(lambda: (settings.level, table[0], small)).result())
        print(set(map(str, pool.map(known, range(8), chunksize=1))))
    """
    assert outcome(tmp_path, body) == ["{'(0, 0, {})'}", "(2, 99, {'a': 1})", "{\"(2, 99, {'a': 1})\"}"]


def test_what_tasks_store_stays_while_the_parent_changes_nothing(tmp_path: Path) -> None:
    body = """
    class Cache:
        found = None
    cache = Cache()
    model = None
    def fill():
        global model
        cache.found, model = 1, "loaded"
    def look():
        return cache.found, model

    with ProcessPoolExecutor(max_workers=1) as pool:
        pool.submit(look).result()
        pool.submit(fill).result()
        print(pool.submit(look).result())
        print(pool.submit(fill).result(), pool.submit(look).result())
    """
    assert outcome(tmp_path, body) == ["(1, 'loaded')", "None (1, 'loaded')"]


def test_what_the_initializer_binds_stays(tmp_path: Path) -> None:
    body = """
    CONNECTION = None
    STATE = 0
    def connect():
        global STATE
        globals()["CONNECTION"] = "open"
        STATE = 7
    def state(_=None):
        return CONNECTION, STATE

    for start in "zygote", "spawn", "fork":
        with ProcessPoolExecutor(1, initializer=connect, start=start) as pool:
            print(pool.submit(state).result())
            STATE = 1
            print(pool.submit(lambda: (STATE, CONNECTION)).result(), pool.submit(state).result())
        STATE = 0
    """
    assert outcome(tmp_path, body) == ["('open', 7)", "(7, 'open') ('open', 7)"] * 3


def test_a_connection_that_the_initializer_opens_may_be_open_in_the_parent_too(tmp_path: Path) -> None:
    body = """
    import sqlite3
    connection = sqlite3.connect(":memory:")
    def connect():
        global connection
        connection = sqlite3.connect(":memory:")
    def ask():
        return connection.execute("select 1").fetchone()

    with ProcessPoolExecutor(1, initializer=connect) as pool:
        print(pool.submit(ask).result())
    """
    assert outcome(tmp_path, body) == ["(1,)"]


def test_functions_go_by_value_from_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    program = (
        HEAD
        + "os.rmdir(os.getcwd())\nwith ProcessPoolExecutor(1) as pool: print(pool.submit(lambda: 1).result())"
    )
    assert run(["-c", program], cwd=gone) == ["1"]
