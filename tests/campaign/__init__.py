"""Many lane-hours on virtual time with mishaps at random moments. `python -m tests.campaign --help`."""
