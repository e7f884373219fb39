"""Every figure that the README claims, measured against its peer in one run.

``python -m benches`` measures and writes ``results/<area>/<version>.json``; ``python -m benches.table`` and
``python -m benches.plot`` turn these files into the README's tables and the documentation's plots.

- ``harness``: samples two callables in turn and takes the median of the paired ratios
- ``sides``: who is compared with whom
- ``crew``: threads that are there before the clock runs
- ``run``: what a workload is given: the two sides, the size of the run, one way to compare
- ``results``: one measured row, and the JSON that keeps it
- ``targets``: what each row has to reach on which interpreter
- ``area``, ``areas``: what is measured, by the public module that it belongs to
- ``futures``, ``processes``, ``multiprocessing``, ``threading``, ``queue``: the workloads of an area, a module for each
  kind
"""
