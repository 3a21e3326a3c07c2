#!/usr/bin/python
"""Documentation of the action `signed_certificate`, which runs on the machine that runs Ansible."""

from __future__ import annotations

DOCUMENTATION = """
module: signed_certificate
short_description: Signs a request by the key of an authority
description:
  - Runs where Ansible runs, so that the authority's key never leaves that machine.
  - In check mode nothing is signed, and RV(content) describes the certificate instead.
options:
  request: {description: The signing request as PEM., type: str, required: true}
  ca: {description: The authority's certificate., type: path, required: true}
  ca_key: {description: The authority's key., type: path, required: true}
  days: {description: How long the certificate is good., type: int, required: true}
attributes:
  check_mode:
    description: Changes nothing, and reports what would change.
    support: full
author: Remediation runner authors (!UNKNOWN)
"""

EXAMPLES = """
- name: Sign
  runner.remediation.signed_certificate:
    request: "{{ request }}"
    ca: /etc/authority/ca.pem
    ca_key: /etc/authority/ca.key
    days: 90
"""

RETURN = """
content: {description: The certificate as PEM., type: str, returned: success}
"""
