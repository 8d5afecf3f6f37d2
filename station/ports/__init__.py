"""What the workflow needs of the world outside: one Protocol per adapter, and the values that cross it.

Every adapter raises only `StationError`s. Contract tests run against each adapter of a port.
"""
