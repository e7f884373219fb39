"""All areas, in the order of the report and of the README."""

from __future__ import annotations

from collections.abc import Mapping

from benches import futures, multiprocessing, processes, queue, threading
from benches.area import Area
from benches.run import Workload

AREAS: Mapping[str, Area] = {
    area.name: area
    for area in (futures.AREA, processes.AREA, multiprocessing.AREA, threading.AREA, queue.AREA)
}


def workloads() -> dict[str, tuple[Area, Workload]]:
    """Returns every workload with its area, by name.

    Raises:
        ValueError: when two areas have a workload of the same name.
    """
    found: dict[str, tuple[Area, Workload]] = {}
    for area in AREAS.values():
        for name, workload in area.workloads.items():
            if name in found:
                raise ValueError(f"two workloads are named {name!r}")
            found[name] = area, workload
    return found


def measured() -> list[Area]:
    """Returns the areas that there are results of."""
    return [area for area in AREAS.values() if area.has_results]
