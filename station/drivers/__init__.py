"""Adapters to the devices of a lane."""
