"""The script that a zygote executes, and a worker of `start="spawn"`.

Standard input is the socket to the pool. The first message on it says what `sys.path` is; until then nothing of the
user's can be imported, and nothing of the user's is to shadow a module that is needed here.

A program that has been frozen into one executable can't execute a script: it is started itself, with an argument that
`freeze_support` knows.
"""

import os
import sys

FROZEN = "--raddle-process"


def main() -> None:
    """Become what the first message says, as the script that was executed."""
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        del sys.path[0]  # this folder
    # What is imported before `sys.path` is the user's comes from the interpreter's own.
    import _socket  # noqa: F401
    import struct  # noqa: F401

    sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))
    _run()


def freeze_support() -> None:
    """Become what the first message says, if this frozen program was started for that; otherwise, do nothing."""
    if sys.argv[1:] == [FROZEN] and getattr(sys, "frozen", False):
        _run()


def _run() -> None:
    import _socket
    from marshal import loads

    from raddle._internal.processes import messages

    socket = _socket.socket(fileno=_take_standard_input())

    request = messages.receive(socket)
    if request is None or request.kind != messages.PREPARE:
        os._exit(0)
    preparation = loads(request.body)
    preparation["parent"] = request.pid
    if preparation["zygote"]:
        from raddle._internal.processes.zygote import main as run
    else:
        from raddle._internal.processes.spawned import main as run
    run(socket, preparation)


def _take_standard_input() -> int:
    """Put nothing in the place of standard input, and return what it was."""
    for number in (1, 2):
        try:
            os.fstat(number)
        except OSError:
            # Closed. A descriptor that is opened later must not become standard output by accident.
            os.set_inheritable(os.open(os.devnull, os.O_WRONLY), True)
    taken = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return taken


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        # Not left to the interpreter: with PYTHONINSPECT it would go on to read commands, from the socket at worst.
        sys.excepthook(*sys.exc_info())
        os._exit(1)
