"""Process pools under what runs other people's code: doctest, pytest, notebooks, the interactive interpreter."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.python.processes.programs import LIMIT, run


def test_doctest(tmp_path: Path) -> None:
    source = '''
        """
        >>> import os
        >>> from raddle.futures import ProcessPoolExecutor
        >>> def cube(number):
        ...     return number ** 3
        >>> with ProcessPoolExecutor(2) as pool:
        ...     list(pool.map(cube, range(4)))
        ...     pool.submit(square, 5).result()
        [0, 1, 8, 27]
        25
        """

        def square(number):
            """
            >>> from raddle.futures import ProcessPoolExecutor
            >>> with ProcessPoolExecutor(1) as pool:
            ...     pool.submit(square, 3).result()
            9
            """
            return number * number

        if __name__ == "__main__":
            import doctest
            print("begun")
            print(doctest.testmod())
    '''
    path = tmp_path / "documented.py"
    path.write_text(textwrap.dedent(source), "utf-8")
    passed = ["TestResults(failed=0, attempted=6)"]
    assert [re.sub(", skipped=0", "", line) for line in run([path], cwd=tmp_path)] == passed
    ended = subprocess.run(
        [sys.executable, "-m", "doctest", path], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["prepend", "importlib"])
def test_pytest(tmp_path: Path, mode: str) -> None:
    source = """
        import pytest
        from raddle.futures import ProcessPoolExecutor

        class Custom(Exception):
            pass

        def square(number):
            return number * number

        def fail():
            raise Custom("no")

        @pytest.fixture
        def pool():
            with ProcessPoolExecutor(2) as pool:
                yield pool

        def test_a_function_of_the_module(pool):
            assert list(pool.map(square, range(4))) == [0, 1, 4, 9]

        def test_a_local_function(pool):
            def cube(number):
                return square(number) * number
            assert pool.submit(cube, 3).result() == 27

        class TestMethods:
            def method(self, number):
                return -number

            def test_a_method(self, pool):
                assert pool.submit(self.method, 3).result() == -3

        def test_an_error(pool):
            with pytest.raises(Custom, match="no"):
                pool.submit(fail).result()
    """
    folder = tmp_path / "suite"
    folder.mkdir()
    folder.joinpath("test_inner.py").write_text(textwrap.dedent(source), "utf-8")
    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            f"--import-mode={mode}",
            "suite",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    assert ended.returncode == 0, ended.stdout
    assert "4 passed" in ended.stdout


def test_a_notebook(tmp_path: Path) -> None:
    """Cells are compiled under made-up names, run in `__main__`, which has no file, and define things again."""
    notebook = '''
        import linecache
        import sys

        main = sys.modules["__main__"]
        namespace = main.__dict__
        del main.__file__
        print("begun")

        def cell(number, source):
            name = f"<ipython-input-{number}-0123456789ab>"
            linecache.cache[name] = (len(source), None, source.splitlines(True), name)
            exec(compile(source, name, "exec"), namespace)

        cell(1, """
        from raddle.futures import ProcessPoolExecutor
        factor = 2
        class Yarn:
            def __init__(self, length):
                self.length = length
        def scale(number):
            return factor * number
        def knit(yarn):
            assert isinstance(yarn, Yarn)
            return Yarn(yarn.length + 1)
        def tear():
            raise ValueError("torn")
        pool = ProcessPoolExecutor(2)
        print(pool.submit(scale, 5).result())
        made = pool.submit(knit, Yarn(1)).result()
        print(type(made) is Yarn, made.length)
        """)
        cell(2, """
        def scale(number):
            return factor * number + 1
        print(pool.submit(scale, 5).result())
        factor = 3
        def scale(number):
            return factor * number + 1
        print(list(pool.map(scale, [5, 6])))
        """)
        cell(3, """
        class Yarn:
            colour = "red"
        def dye(yarn):
            return yarn
        dyed = pool.submit(dye, Yarn()).result()
        print(type(dyed) is Yarn, dyed.colour)
        """)
        cell(4, """
        import traceback
        try:
            pool.submit(tear).result()
        except ValueError as error:
            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
            print("in tear" in text, "<ipython-input-1-0123456789ab>" in text)
        pool.shutdown()
        """)
    '''
    path = tmp_path / "kernel.py"
    lines = textwrap.dedent(notebook)
    path.write_text(lines, "utf-8")
    assert run([path], cwd=tmp_path) == [
        "10",
        "True 2",
        "11",
        "[16, 19]",
        "True red",
        "True True",
    ]


def test_the_interactive_interpreter(tmp_path: Path) -> None:
    session = textwrap.dedent("""
        from raddle.futures import ProcessPoolExecutor
        def square(number):
            return number * number

        pool = ProcessPoolExecutor(1)
        print("got", pool.submit(square, 5).result())
        pool.shutdown()
    """)
    ended = subprocess.run(
        [sys.executable, "-i", "-q"],
        input=session,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    assert ended.returncode == 0, ended.stdout
    assert "got 25" in ended.stdout
