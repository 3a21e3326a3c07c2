"""`runner demo`: a small fleet of real processes, one fault, and the runner at work on it."""
