"""Tests of the report page and the pictures."""
