"""The performance harness: our paths against a baseline in the manner of the reference implementation, in one run."""
