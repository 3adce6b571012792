"""What the tests stand on: real servers, a real browser, real Node."""
