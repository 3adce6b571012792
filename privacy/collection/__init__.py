"""Asking people for attributes, each for a purpose of the register. docs/decisions/0009."""
