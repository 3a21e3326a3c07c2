"""The webhook, the API, live events and the dashboard."""
