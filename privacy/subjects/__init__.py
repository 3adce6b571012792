"""People as opaque subjects: they come before accounts. docs/decisions/0005."""
