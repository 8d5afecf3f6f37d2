"""Rules of review and the performance of people and model."""
