"""What people said, under which words, and the proof of it."""
