"""Doses, cycles and recipes: pure integration and judgement."""
