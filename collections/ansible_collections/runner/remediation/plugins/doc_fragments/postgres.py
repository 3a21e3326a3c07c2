"""How modules that ask PostgreSQL reach it."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = """
options:
  socket:
    description: The directory of the server's socket.
    type: path
    default: /var/run/postgresql
  port:
    description: The server's port, which is part of the socket's name.
    type: int
    default: 5432
  role:
    description: The role to connect as. It must be a superuser.
    type: str
    default: postgres
  system_user:
    description: Who psql runs as, where root acts; empty means root.
    type: str
    default: postgres
"""
