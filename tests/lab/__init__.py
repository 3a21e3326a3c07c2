"""Hosts with a real systemd, real monitoring and real faults, on one machine: see docs/lab.md."""
