"""`test._test_multiprocessing`, started by fork, which some builds of Python have no module for."""

from __future__ import annotations

from test._test_multiprocessing import (  # type: ignore[import-not-found,unused-ignore]
    install_tests_in_module_dict,
)

install_tests_in_module_dict(globals(), "fork")
