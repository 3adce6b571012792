"""Consent, decisions, rights and evidence.

Knows people only as opaque subject ids and callers only as the `Actor` it is given.
"""
