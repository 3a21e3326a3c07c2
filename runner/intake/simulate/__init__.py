"""`runner simulate`: what Alertmanager may send, played to a receiver; tests play the same rows."""
