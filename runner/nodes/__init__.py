"""Nodes: signs of trouble before the failure, from measured signals to the greylist."""
