"""What `raddle.multiprocessing` is made of.

| module | what it holds |
|---|---|
| `contexts` | the contexts, whose primitives are Raddle's |
| `primitives` | locks and what else processes wait for |
| `passing` | how what lives in shared memory reaches a process that did not inherit it |
| `queues` | queues |
| `pools` | pools |
| `connections` | pipes and sockets |
| `manager_classes`, `manager_calls` | managers, and how their proxies reach them |
| `bound`, `pickling` | what the native half needs |
| `shared_blocks` | named blocks of memory |
| `heaps`, `shared_values` | memory for `Value` and `Array`, without a file |
"""
