"""Running Ansible: one run at a time per call, rehearsed, bounded, and findable afterwards."""
