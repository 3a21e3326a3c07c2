"""Measurements; `make bench` runs them. Speeds are ratios taken side by side in one run."""
