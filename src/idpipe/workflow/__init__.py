"""Workflow: what rules and scripts call. Nothing is imported here: every job starts with this."""
