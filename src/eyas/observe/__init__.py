"""Seeing it: the console, the records of a run, the report. Consumers of events; nothing here changes a run."""
