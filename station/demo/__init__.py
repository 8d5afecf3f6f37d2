"""The whole station on one machine, against simulators that speak the real wires."""
