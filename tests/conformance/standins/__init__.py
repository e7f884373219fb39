"""Replacements that misbehave on purpose, for the tests of the harness itself."""
