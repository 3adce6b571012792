"""Accounts, credentials, sessions and single sign-on.

To `privacy` it is one more system that holds personal data, and accounts for itself like any other.
"""
