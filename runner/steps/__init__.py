"""The steps of an incident: each loads it, asks the module that knows, and stores the answer.

A step may be repeated after a crash, so it starts by looking how far the incident is. It
returns `Then`: whether the incident goes on, or has ended or waits for a person.
"""
