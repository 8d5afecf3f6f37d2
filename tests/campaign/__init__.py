"""Many lane-hours on virtual time with mishaps at random moments. `python -m tests.campaign --help`."""

import os

# A seed has one core to itself: another thread of the matrix library would only spin on the core of the next seed.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
