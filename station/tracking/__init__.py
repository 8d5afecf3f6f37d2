"""Events to the central tracking system."""
