"""`python -m raddle` is the command `raddle`."""

import sys

from raddle.cli.main import main

sys.exit(main())
