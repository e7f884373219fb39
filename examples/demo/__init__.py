"""The main job of Raddle on real input: five kinds of concurrent work over a tree of Python files.

Run it as ``python examples/demo``; ``--help`` lists the options. Each module is one idea:

| module | what it is for |
|---|---|
| `corpus` | which files the jobs work on |
| `jobs` | what is done to one file, and what comes out |
| `complexity` | the figures per function that the second job computes |
| `server`, `client` | the local HTTP server that answers late, and how to ask it |
| `ways` | one function over many files: serial, stdlib, Raddle, asyncio, processes |
| `arrays` | a convolution over large arrays: serial, stdlib, joblib, Raddle |
| `pipeline` | three stages joined by bounded queues: by hand, and with Raddle |
| `plan` | which jobs are run in which ways |
| `measure` | time each way and hold its results to the others' |
| `progress`, `table`, `page` | what a reader sees: live, as a table or JSON, as an HTML page |
| `interrupt`, `cli` | Ctrl-C and the command line |
"""
