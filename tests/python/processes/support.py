"""Drives a zygote as the pool does, over the same socket, without the pool."""

from __future__ import annotations

import ast
import contextlib
import os
import resource
import select
import signal
import socket
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raddle._internal.processes import environment, messages

if TYPE_CHECKING:  # programs that start zygotes by themselves look at what is imported
    from raddle.futures import ProcessPoolExecutor

MakePool = Callable[..., "ProcessPoolExecutor"]
EVALUATE = "tests.python.processes.serving:evaluate"
REPORTS = {
    messages.READY: "ready",
    messages.FORKED: "forked",
    messages.REFUSED: "refused",
    messages.ENDED: "ended",
    messages.FAILED: "failed",
}


@dataclass
class Report:
    kind: str
    number: int
    ticket: int
    pid: int
    text: str
    fds: list[int]


@dataclass
class Worker:
    """A worker and the ends of what it was given."""

    pid: int
    pidfd: int
    ends: list[int] = field(default_factory=list)

    def read(self) -> bytes:
        """What it writes to its results, up to the end or the first pause."""
        chunks = []
        while chunk := os.read(self.ends[0], 1 << 16):
            chunks.append(chunk)
        return b"".join(chunks)


def is_alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open nothing, until the block ends."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    hog = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) + 3, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                hog.append(os.open(os.devnull, os.O_RDONLY))
        yield
    finally:
        for fd in hog:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for a condition for which nothing can be waited on."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.002)


class Zygote:
    """A zygote, started as the native half starts one."""

    def __init__(
        self,
        preload: Sequence[str] = (),
        *,
        flags: Sequence[str] | None = None,
        python: str | None = None,
        spec: environment.Specification | None = None,
        prepare: Callable[[Zygote], list[int]] | None = None,
        parent: int | None = None,
        **options: Any,
    ) -> None:
        spec = spec or environment.specification(preload, serve=None)
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(20)
        self.send(messages.PREPARE, pid=parent or os.getpid(), body=spec.preparation)
        self.tickets = 0
        self.ends = prepare(self) if prepare else None
        arguments = [*flags, spec.arguments[-1]] if flags is not None else spec.arguments
        self.process = subprocess.Popen(
            [python or spec.program, *arguments],
            env=dict(spec.environment),
            stdin=theirs,
            **options,
        )
        theirs.close()

    def send(
        self, kind: int, ticket: int = 0, pid: int = 0, body: bytes = b"", fds: Sequence[int] = ()
    ) -> None:
        fds = list(fds)
        memory = None
        if len(body) > 16 * 1024:
            memory = os.memfd_create("order")
            os.write(memory, body)
            fds.append(memory)
            body = b""
        header = messages.HEADER.pack(kind, int(memory is not None), ticket, pid, len(fds))
        socket.send_fds(self.socket, [header + body], fds)
        if memory is not None:
            os.close(memory)

    def receive(self) -> Report | None:
        """The next report; None at the end."""
        try:
            packet, fds, _, _ = socket.recv_fds(self.socket, messages.LARGEST, messages.MOST_FDS)
        except ConnectionResetError:
            return None
        if not packet:
            return None
        kind, number, ticket, pid, count = messages.HEADER.unpack_from(packet)
        assert len(fds) == count
        return Report(REPORTS[kind], number, ticket, pid, packet[messages.HEADER.size :].decode(), fds)

    def expect(self, kind: str) -> Report:
        report = self.receive()
        assert report is not None, f"the zygote has ended, with {self.process.wait(10)}"
        assert report.kind == kind, report
        return report

    def ask(self, source: str, serve: str = EVALUATE, **options: Any) -> list[int]:
        """Ask for a worker that runs some source; return the other ends of its results and its life line."""
        self.tickets += 1
        reading, writing = os.pipe()
        dying, living = os.pipe()
        fds = [writing, writing, writing, writing, dying]
        order = environment.order(
            textwrap.dedent(source).encode(), name="Worker", index=self.tickets, serve=serve, **options
        )
        self.send(messages.FORK, self.tickets, body=order.body, fds=[*fds, *order.fds])
        os.close(writing)
        os.close(dying)
        return [reading, living]

    def fork(self, source: str, **options: Any) -> Worker:
        """Start a worker that runs some source."""
        ends = self.ask(source, **options)
        report = self.expect("forked")
        assert report.ticket == self.tickets
        (pidfd,) = report.fds
        return Worker(report.pid, pidfd, ends)

    def evaluate(self, source: str, **options: Any) -> Any:
        """Run a worker to its end; return the value of an expression, or what statements assign to `answer`."""
        if "answer" not in source:
            source = f"answer = {source}"
        worker = self.fork(source, **options)
        try:
            written = worker.read()
            ended = self.expect("ended")
            assert ended.pid == worker.pid
            assert ended.number == 0, written
            return ast.literal_eval(written.decode())
        finally:
            self.release(worker)

    def release(self, worker: Worker) -> None:
        for fd in (worker.pidfd, *worker.ends):
            os.close(fd)
        worker.ends.clear()

    def stop(self) -> None:
        """Stop it by a signal, and wait until it has: it goes on for a moment after the signal was sent."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> int:
        """End it; return its exit code."""
        self.socket.close()
        return self.process.wait(10)


def spawn(source: str, preload: Sequence[str] = (), **options: Any) -> tuple[subprocess.Popen[bytes], Worker]:
    """Start a worker as an interpreter of its own, as the native half does for `start="spawn"`."""
    spec = environment.specification(preload, zygote=False, serve=None)
    started = Zygote(spec=spec, prepare=lambda z: z.ask(source), **options)
    started.socket.close()
    assert started.ends is not None
    pid = started.process.pid
    return started.process, Worker(pid, os.pidfd_open(pid), started.ends)


@contextlib.contextmanager
def zygote(*arguments: Any, **options: Any) -> Iterator[Zygote]:
    running = Zygote(*arguments, **options)
    try:
        yield running
    finally:
        running.socket.close()
        try:
            running.process.wait(10)
        except subprocess.TimeoutExpired:
            running.process.kill()
            running.process.wait()


def spare_of(z: Zygote, *workers: Worker) -> int:
    """Wait until there is a process that is none of these workers, and return its id."""
    path = Path(f"/proc/{z.process.pid}/task/{z.process.pid}/children")
    others: set[int] = set()

    def found() -> bool:
        others.update({int(pid) for pid in path.read_text().split()} - {worker.pid for worker in workers})
        return bool(others)

    until(found)
    (spare,) = others
    return spare


def has_ended(pidfd: int, seconds: float = 10) -> bool:
    """Wait until a process has ended; return whether it has."""
    return bool(select.select([pidfd], [], [], seconds)[0])


def run_program(
    command: Sequence[str | Path], *, stdin: str = "", folder: Path | None = None, **variables: str
) -> str:
    """Run a program of its own to its end; return what it printed."""
    environ = {**os.environ, **variables}
    done = subprocess.run(
        command, input=stdin, cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), (done.returncode, done.stdout, done.stderr)
    return done.stdout
