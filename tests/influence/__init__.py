"""Tests of the influence package."""
