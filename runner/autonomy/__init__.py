"""Learning: pure functions from a record to the level that it has earned.

No clock, no store, no network: `trial` reads one incident, `earn` replays a record,
`uplift` compares runs with alerts that were left alone, `bounds` is the arithmetic.
"""
