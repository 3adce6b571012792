"""Every application knows a person under its own pseudonym. docs/decisions/0005."""
