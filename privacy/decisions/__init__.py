"""May this application do this, with this person's data, now? AuthZEN 1.0."""
