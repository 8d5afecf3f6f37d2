"""From detector lines to a verdict."""
