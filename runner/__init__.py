"""An Ansible-integrated remediation runner: from an alert to a verified fix."""

__version__ = "0.1.0"
