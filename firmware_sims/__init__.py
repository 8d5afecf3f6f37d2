"""Simulated devices that speak the wire protocols over one shared physical world."""
