"""Keys per person and retention class, under key-encryption keys with epochs. docs/decisions/0004."""
