"""Ansible, imported once: a process that only forks, and whose forks are the runs.

`parent` is that process, `client` asks it, `preload` is what it imports, `loaded` says whether
that is still what lies on the disk, `child` makes a fork forget that it is one.
"""
