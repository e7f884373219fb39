"""Running the command line as users do."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any


def raddle(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `raddle` with arguments to its end."""
    command = [Path(sys.executable).with_name("raddle"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
