"""The OpenID Provider: applications of the company, their codes and their tokens.

docs/decisions/0006 (access tokens) and 0007 (the provider).
"""
