"""What travels between processes, as bytes, and how it comes back as what it was.

| where | what |
|---|---|
| `plain` | the quick way, which the native half goes by itself, and the entries for when it leaves off |
| `large` | large bytes-like objects, out of band |
| `modules`, `references` | what a worker could import, and so goes by name |
| `pickling` | the pickler that sends the rest by value |
| `functions`, `captured`, `namespaces` | functions by value, and the globals they use |
| `identity`, `cloud`, `generics` | classes by value, the same ones when they come back; cloudpickle |
| `wrappers` | what functools wraps around functions |
| `exceptions`, `standins`, `remote` | exceptions, whatever they hold and wherever their classes are |
| `contexts` | context variables |
| `lent` | primitives of `raddle.multiprocessing` |
| `refusals`, `path` | what can't be sent, and where it is |

Each name is imported when it is first asked for, and what a worker needs for receiving calls imports next to nothing:
`typing`, `logging`, `traceback`, `dis` and cloudpickle together would double the time until a first task has run.

What comes out of a worker is unpickled, so a worker is trusted as the program itself is.
"""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from raddle._internal.serialization.contexts import dump_context, load_context
    from raddle._internal.serialization.exceptions import dump_error, load_error
    from raddle._internal.serialization.identity import load_definition
    from raddle._internal.serialization.large import OUT_OF_BAND, SCAN_DEPTH, SCAN_ITEMS
    from raddle._internal.serialization.modules import Outlook, dump_path, load_path, outlook
    from raddle._internal.serialization.pickling import register
    from raddle._internal.serialization.plain import (
        dump_call,
        dump_function,
        dump_result,
        dumps,
        load_call,
        load_function,
        load_result,
        loads,
    )
    from raddle._internal.serialization.references import inherit

_HOMES = {
    "contexts": ("dump_context", "load_context"),
    "exceptions": ("dump_error", "load_error"),
    "identity": ("load_definition",),
    "large": ("OUT_OF_BAND", "SCAN_DEPTH", "SCAN_ITEMS"),
    "modules": ("Outlook", "dump_path", "load_path", "outlook"),
    "pickling": ("register",),
    "plain": (
        *("dump_call", "dump_function", "dump_result", "dumps"),
        *("load_call", "load_function", "load_result", "loads"),
    ),
    "references": ("inherit",),
}

__all__ = [
    "OUT_OF_BAND",
    "SCAN_DEPTH",
    "SCAN_ITEMS",
    "Outlook",
    "dump_call",
    "dump_context",
    "dump_error",
    "dump_function",
    "dump_path",
    "dump_result",
    "dumps",
    "inherit",
    "load_call",
    "load_context",
    "load_definition",
    "load_error",
    "load_function",
    "load_path",
    "load_result",
    "loads",
    "outlook",
    "register",
]

if not TYPE_CHECKING:  # or every name would exist, typing errors included

    def __getattr__(name: str) -> object:
        """Import a name from where it is made, once."""
        for home, names in _HOMES.items():
            if name in names:
                module = __import__(f"{__name__}.{home}", fromlist=(name,))
                value = globals()[name] = getattr(module, name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
