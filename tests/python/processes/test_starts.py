"""Programs of every shape work with processes: no guard, no file, no module that a worker could import."""

from __future__ import annotations

import textwrap
import zipapp
from pathlib import Path

import pytest

from tests.python.processes.programs import HEAD, run, script

STARTS = ("zygote", "spawn", "fork")
SQUARES = """
def square(number):
    return number * number, os.getpid()

with ProcessPoolExecutor(2, start={start!r}) as pool:
    results = list(pool.map(square, range(5)))
    print([value for value, _ in results], os.getpid() in [worker for _, worker in results])
    print(pool.submit(lambda: __name__).result())
"""
SQUARED = ["[0, 1, 4, 9, 16] False", "__main__"]


@pytest.mark.parametrize("start", STARTS)
class TestWithoutAGuard:
    def test_a_script(self, tmp_path: Path, start: str) -> None:
        assert run([script(tmp_path, SQUARES.format(start=start))], cwd=tmp_path) == SQUARED

    def test_a_command(self, tmp_path: Path, start: str) -> None:
        assert run(["-c", HEAD + SQUARES.format(start=start)], cwd=tmp_path) == SQUARED

    @pytest.mark.parametrize("argument", [["-"], []], ids=["named", "by default"])
    def test_standard_input(self, tmp_path: Path, start: str, argument: list[str]) -> None:
        assert run(argument, cwd=tmp_path, stdin=HEAD + SQUARES.format(start=start)) == SQUARED

    def test_a_package(self, tmp_path: Path, start: str) -> None:
        package = tmp_path / "weaver"
        package.mkdir()
        package.joinpath("__init__.py").touch()
        package.joinpath("yarn.py").write_text("def spin(number):\n    return 10 * number\n", "utf-8")
        source = (
            "from .yarn import spin\n"
            + SQUARES.format(start=start)
            + "with ProcessPoolExecutor(1) as pool:\n"
            + "    print(pool.submit(spin, 2).result(), pool.submit(lambda: spin(3)).result())\n"
        )
        script(package, source, "__main__.py")
        script(package, source, "cloth.py")
        assert run(["-m", "weaver"], cwd=tmp_path) == [*SQUARED, "20 30"]
        assert run(["-m", "weaver.cloth"], cwd=tmp_path) == [*SQUARED, "20 30"]

    def test_a_zip_application(self, tmp_path: Path, start: str) -> None:
        source = tmp_path / "source"
        source.mkdir()
        source.joinpath("yarn.py").write_text("def spin(number):\n    return 10 * number\n", "utf-8")
        script(
            source,
            "from yarn import spin\n"
            + SQUARES.format(start=start)
            + "with ProcessPoolExecutor(1) as pool:\n    print(pool.submit(spin, 2).result())\n",
            "__main__.py",
        )
        zipapp.create_archive(source, tmp_path / "weaver.pyz")
        assert run([tmp_path / "weaver.pyz"], cwd=tmp_path) == [*SQUARED, "20"]

    def test_a_program_that_is_no_file_at_all(self, tmp_path: Path, start: str) -> None:
        forget = "del sys.modules['__main__'].__file__\nsys.modules['__main__'].__spec__ = None\n"
        assert run([script(tmp_path, forget + SQUARES.format(start=start))], cwd=tmp_path) == SQUARED


def test_a_guard_does_no_harm(tmp_path: Path) -> None:
    source = """
        def square(number):
            return number * number

        def main():
            with ProcessPoolExecutor(2) as pool:
                print(list(pool.map(square, range(5))))

        if __name__ == "__main__":
            main()
    """
    assert run([script(tmp_path, source)], cwd=tmp_path) == ["[0, 1, 4, 9, 16]"]


@pytest.mark.parametrize(
    ("context", "child"),
    [("fork", True), ("spawn", True), ("forkserver", False), (None, False)],
)
def test_the_context_of_multiprocessing_names_the_start(
    tmp_path: Path, context: str | None, child: bool
) -> None:
    """Forked and spawned workers are children of the program; those of the zygote are its children."""
    source = f"""
        import multiprocessing
        context = {context!r} and multiprocessing.get_context({context!r})
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            print(pool.submit(os.getppid).result() == os.getpid())
    """
    assert run([script(tmp_path, source)], cwd=tmp_path) == [str(child)]


class TestModules:
    """Functions of modules are imported by the workers, wherever the program has found them."""

    YARN = "def spin(number):\n    return 10 * number\n"

    def test_beside_a_script_that_is_run_from_elsewhere(self, tmp_path: Path) -> None:
        folder = tmp_path / "program"
        path = script(
            folder,
            """
            from yarn import spin
            with ProcessPoolExecutor(1) as pool:
                print(pool.submit(spin, 2).result())
            """,
        )
        folder.joinpath("yarn.py").write_text(self.YARN, "utf-8")
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        for where in (path, path.relative_to(tmp_path)):
            assert run([where], cwd=tmp_path) == ["20"]
        assert run([Path("..", path.relative_to(tmp_path))], cwd=elsewhere) == ["20"]

    @pytest.mark.parametrize("workers", ["before there are workers", "afterwards"])
    def test_on_a_path_that_the_program_adds(self, tmp_path: Path, workers: str) -> None:
        loom = tmp_path / "loom"
        loom.mkdir()
        loom.joinpath("yarn.py").write_text(self.YARN, "utf-8")
        source = f"""
            with ProcessPoolExecutor(1) as pool:
                if {workers!r} == "afterwards":
                    pool.submit(int).result()
                sys.path.insert(0, {str(loom)!r})
                import yarn
                print(pool.submit(yarn.spin, 2).result())
                print(pool.submit(lambda number: yarn.spin(number), 3).result())
        """
        assert run([script(tmp_path, source)], cwd=tmp_path) == ["20", "30"]

    @pytest.mark.parametrize("workers", ["before there are workers", "afterwards"])
    def test_in_a_folder_that_the_program_changes_to(self, tmp_path: Path, workers: str) -> None:
        loom = tmp_path / "loom"
        loom.mkdir()
        loom.joinpath("yarn.py").write_text(self.YARN, "utf-8")
        source = f"""
            with ProcessPoolExecutor(1) as pool:
                if {workers!r} == "afterwards":
                    pool.submit(int).result()
                os.chdir({str(loom)!r})
                import yarn  # a command's path begins with the current folder
                print(pool.submit(yarn.spin, 2).result())
            with ProcessPoolExecutor(1) as later:
                print(later.submit(os.getcwd).result() == os.getcwd())
        """
        assert run(["-c", HEAD + textwrap.dedent(source)], cwd=tmp_path) == ["20", "True"]

    def test_that_the_program_has_made_itself(self, tmp_path: Path) -> None:
        source = """
            import types
            made = types.ModuleType("made")
            exec("def spin(number):\\n    return 10 * number", vars(made))
            sys.modules["made"] = made
            with ProcessPoolExecutor(1) as pool:
                print(pool.submit(made.spin, 2).result())
        """
        assert run([script(tmp_path, source)], cwd=tmp_path) == ["20"]


class TestWhereItIsStarted:
    def test_in_a_thread_that_ends(self, tmp_path: Path) -> None:
        """The death signal of a process is tied to the thread that has started it; here it is gone."""
        source = """
            import threading
            pools = []

            def make():
                pools.append(ProcessPoolExecutor(1))
                print(pools[0].submit(pow, 2, 3).result())

            thread = threading.Thread(target=make)
            thread.start()
            thread.join()
            with pools[0] as pool:
                print(pool.submit(pow, 2, 4).result())
        """
        assert run([script(tmp_path, source)], cwd=tmp_path) == ["8", "16"]

    def test_beside_threads_that_hold_locks(self, tmp_path: Path) -> None:
        source = """
            import logging, threading
            stop = threading.Event()

            def work():
                while not stop.is_set():
                    logging.getLogger("x").debug("y")
                    sorted(str(number) for number in range(50))

            threads = [threading.Thread(target=work) for _ in range(4)]
            for thread in threads:
                thread.start()
            for _ in range(5):
                with ProcessPoolExecutor(2) as pool:
                    assert sum(pool.map(abs, range(10))) == 45
            stop.set()
            print("fine")
        """
        assert run([script(tmp_path, source)], cwd=tmp_path) == ["fine"]

    def test_in_a_coroutine(self, tmp_path: Path) -> None:
        source = """
            import asyncio

            async def main():
                async with ProcessPoolExecutor(2) as pool:
                    print(await asyncio.gather(*(pool.submit(pow, 2, n) for n in range(5))))

            asyncio.run(main())
        """
        assert run([script(tmp_path, source)], cwd=tmp_path) == ["[1, 2, 4, 8, 16]"]

    def test_while_a_module_is_imported(self, tmp_path: Path) -> None:
        """A module that maps at import: its functions cannot be imported by a worker before it is done."""
        source = HEAD + textwrap.dedent("""
            def square(number):
                return number * number

            with ProcessPoolExecutor(2) as pool:
                SQUARES = list(pool.map(lambda number: number ** 2, range(4)))
        """)
        tmp_path.joinpath("table.py").write_text(source, "utf-8")
        assert run(["-c", "import table; print(table.SQUARES)"], cwd=tmp_path) == ["[0, 1, 4, 9]"]

    def test_in_a_child_that_was_forked(self, tmp_path: Path) -> None:
        source = """
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            with ProcessPoolExecutor(1) as pool:
                print(pool.submit(pow, 2, 3).result(), flush=True)
                child = os.fork()
                if not child:
                    with ProcessPoolExecutor(1) as own:
                        print(own.submit(pow, 2, 4).result(), flush=True)
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
                print(pool.submit(pow, 2, 5).result())
        """
        assert run([script(tmp_path, source)], cwd=tmp_path) == ["8", "16", "32"]

    def test_without_standard_streams(self, tmp_path: Path) -> None:
        source = """
            for stream in (0, 2):
                os.close(stream)
            with ProcessPoolExecutor(1) as pool:
                print(pool.submit(pow, 2, 3).result())
        """
        assert run([script(tmp_path, source)], cwd=tmp_path) == ["8"]

    def test_with_few_descriptors_left_it_says_so(self, tmp_path: Path) -> None:
        source = """
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))
            try:
                with ProcessPoolExecutor(4) as pool:
                    print(list(pool.map(abs, range(3))))
            except (OSError, RuntimeError) as error:
                print(type(error).__name__)
        """
        (line,) = run([script(tmp_path, source)], cwd=tmp_path)
        assert line in ("[0, 1, 2]", "OSError", "BrokenProcessPool", "RuntimeError")


@pytest.mark.parametrize(
    "options", [[], ["-O"], ["-X", "utf8", "-W", "error::UserWarning"], ["-I"], ["-X", "dev"]], ids=str
)
def test_workers_have_the_interpreters_options(tmp_path: Path, options: list[str]) -> None:
    source = """
        def flags():
            return tuple(sys.flags), sys.warnoptions, __debug__

        with ProcessPoolExecutor(1) as pool:
            print(pool.submit(flags).result() == flags())
            print(pool.submit(lambda: sys.argv).result() == sys.argv)
    """
    path = script(tmp_path, source)
    assert run([path, "an", "argument"], cwd=tmp_path, options=options) == ["True", "True"]
