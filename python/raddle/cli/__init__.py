"""The command `raddle`.

| module | what it is |
|---|---|
| `main` | the parser; what every command has in common: errors, exit codes, Ctrl-C |
| `errors` | what a command raises when it can't do what was asked |
| `output` | tables for people, JSON for machines |
| `doctor` | `raddle doctor` |
| `completion` | `raddle completion` |

A command is a module with `add`, which adds its parser, and a function of the parsed options that does it.
"""
