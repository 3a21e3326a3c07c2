"""Running Ansible: one run at a time per call, dry run first, bounded, and findable afterwards."""
