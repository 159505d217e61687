"""Faults that must do no harm, one test per entry of the table in docs/reliability.md."""
