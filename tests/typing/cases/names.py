"""What the public modules export, for `import *` too; a name that does not exist is an error."""

import builtins
import concurrent.futures
import sys

from typing_extensions import assert_type

import raddle
import raddle.futures
from raddle.futures import *  # noqa: F403
from raddle.futures import ThreadPool  # type: ignore[attr-defined]  # noqa: F401

_ = raddle.Nothing  # type: ignore[attr-defined]
_ = raddle.futures.Nothing  # type: ignore[attr-defined]

assert_type(ThreadPoolExecutor().submit(int), Future[int])  # noqa: F405
assert_type(ProcessPoolExecutor().submit(int), Future[int])  # noqa: F405
stdlib_pool: concurrent.futures.ProcessPoolExecutor = raddle.futures.ProcessPoolExecutor()
if sys.version_info >= (3, 14):
    assert_type(InterpreterPoolExecutor(), concurrent.futures.InterpreterPoolExecutor)  # noqa: F405
assert_type(raddle.__version__, str)

timeout: builtins.TimeoutError = raddle.TaskTimeout()
for kind in (raddle.DependencyFailed, raddle.ExecutorFull, raddle.ForkError, raddle.InvalidStateError):
    exception: Exception = kind()
